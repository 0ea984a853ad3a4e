"""Users with what they need, and passwords that change without refusing a client."""

from __future__ import annotations

import pytest

from readiness.dataservices.mongodb.commands import build_first_user, commands_of
from readiness.dataservices.mongodb.members import Config, Member, User
from readiness.dataservices.mongodb.steps import (
    DropUser,
    Enrol,
    Reconfigure,
    SetPassword,
    StepDown,
    WaitForMajority,
)
from readiness.dataservices.mongodb.users import Promote, passwords_of, rotation_of, users_of

CREDENTIALS = {"operator": "o1", "app": "a1", "monitor": "m1", "backup": "b1", "inspector": "i1"}
ALL = ("operator", "app", "monitor", "backup", "inspector")
POWERFUL = ("root", "__system", "dbOwner", "readWriteAnyDatabase", "clusterAdmin", "hostManager", "restore")  # fmt: skip


def test_every_user_has_what_it_needs_and_no_more() -> None:
    roles = {user.name: sorted(user.roles) for user in users_of("orders", CREDENTIALS)}

    assert roles == {
        "operator": ["clusterManager@admin", "clusterMonitor@admin", "userAdminAnyDatabase@admin"],
        "app": ["readWrite@orders"],
        "monitor": ["clusterMonitor@admin"],
        "backup": ["backup@admin"],
        "inspector": ["read@orders"],
    }
    assert not [role for each in roles.values() for role in each if role.split("@")[0] in POWERFUL]


@pytest.mark.parametrize(
    ("credentials", "there", "busy", "expected"),
    [
        ({}, ALL, (), None),
        ({"monitor-next": "m2"}, ALL, (), (SetPassword(User("monitor", frozenset({"clusterMonitor@admin"})), "monitor-next"), Promote({**CREDENTIALS, "monitor": "m2"}))),
        ({"app-next": "a2"}, ALL, ("app",), (SetPassword(User("app-b", frozenset({"readWrite@orders"})), "app-next", create=True), Promote({**CREDENTIALS, "app": "a2", "rotation.user": "app-b"}))),
        ({"app-next": "a2"}, (*ALL, "app-b"), ("app",), (SetPassword(User("app-b", frozenset({"readWrite@orders"})), "app-next"), Promote({**CREDENTIALS, "app": "a2", "rotation.user": "app-b"}))),
        ({"rotation.user": "app-b", "app": "a2"}, (*ALL, "app-b"), ("app",), None),
        ({"rotation.user": "app-b", "app": "a2"}, (*ALL, "app-b"), ("app-b",), DropUser("app")),
        ({"rotation.user": "app-b", "app": "a2"}, ("operator", "app-b"), ("app-b",), None),
    ],
    ids=["nothing", "an own user", "the app moves to a second user", "again after a crash", "clients still use the old one", "nobody does", "it is gone"],
)  # fmt: skip
def test_a_password_changes(credentials: dict[str, str], there: tuple[str, ...], busy: tuple[str, ...], expected: object) -> None:  # fmt: skip
    found = {**CREDENTIALS, **credentials}

    assert rotation_of(users_of("orders", found), found, there, busy) == expected


def test_the_operator_tries_the_new_password_first() -> None:
    assert passwords_of({**CREDENTIALS, "operator-next": "o2"}) == ("o2", "o1")
    assert passwords_of(CREDENTIALS) == ("o1",)


APP = User("app", frozenset({"readWrite@orders"}))
MAJORITY = {"w": "majority", "wtimeout": 10_000}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (StepDown("h", "why"), [{"replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 15}]),
        (WaitForMajority(), [{"setDefaultRWConcern": 1, "defaultWriteConcern": {"w": "majority", "wtimeout": 0}, "writeConcern": MAJORITY}]),
        (Enrol(create=(APP,), update=(APP,)), [
            {"createUser": "app", "pwd": "a1", "roles": [{"role": "readWrite", "db": "orders"}], "mechanisms": ["SCRAM-SHA-256"], "writeConcern": MAJORITY},
            {"updateUser": "app", "roles": [{"role": "readWrite", "db": "orders"}], "writeConcern": MAJORITY},
        ]),
        (SetPassword(APP, "monitor"), [{"updateUser": "app", "pwd": "m1", "writeConcern": MAJORITY}]),
        (DropUser("app"), [{"dropUser": "app", "writeConcern": MAJORITY}]),
        (Reconfigure(Config(5, 2, (Member(0, "a:1", 1, 1, {"tags": {"zone": "a"}}), Member(1, "b:1", 0, 0)), rest={"_id": "rs0", "settings": {"replicaSetId": 1}}), "why"), [{
            "replSetReconfig": {"_id": "rs0", "version": 5, "settings": {"replicaSetId": 1, "electionTimeoutMillis": 10_000}, "members": [
                {"tags": {"zone": "a"}, "_id": 0, "host": "a:1", "votes": 1, "priority": 1}, {"_id": 1, "host": "b:1", "votes": 0, "priority": 0}]},
            "maxTimeMS": 10_000,
        }]),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_a_step_is_a_few_commands_and_never_forced(step: object, expected: list[dict[str, object]]) -> None:  # fmt: skip
    found = list(commands_of(step, CREDENTIALS))

    assert found == expected
    assert "force" not in str(found)


def test_the_first_user_is_the_operators() -> None:
    found = build_first_user("o1")

    assert (found["createUser"], found["pwd"]) == ("operator", "o1")
    assert {role["db"] for role in found["roles"]} == {"admin"}

"""What MongoDB answers, as members, positions and states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from bson.timestamp import Timestamp

from readiness.dataservices.mongodb.founding import may_found, problem_of
from readiness.dataservices.mongodb.members import Config, Member, Optime, Seen, State, User
from readiness.dataservices.mongodb.reading import (
    Look,
    config_of,
    document_of,
    lag_of,
    observed_of,
    state_of,
)

IN_SET = {"setName": "rs0", "me": "a:1"}
CONFIG = {"_id": "rs0", "version": 4, "term": 2, "members": [
    {"_id": 0, "host": "a:1", "votes": 1, "priority": 1, "hidden": False},
    {"_id": 1, "host": "b:1", "votes": 0, "priority": 0, "tags": {"zone": "x"}}],
    "settings": {"electionTimeoutMillis": 10_000, "replicaSetId": "id"}}  # fmt: skip


def status(my: int, term: int = 2, *, mine: str = "a:1", at: int = 100, primary_at: int | None = None) -> dict[str, Any]:  # fmt: skip
    members = [
        {"name": mine, "state": my, "self": True, "optime": {"ts": Timestamp(at, 1), "t": term}}
    ]
    if primary_at is not None:
        members.append({"name": "p:1", "state": 1, "optime": {"ts": Timestamp(primary_at, 1), "t": term}})  # fmt: skip
    return {"set": "rs0", "myState": my, "term": term, "members": members}


@pytest.mark.parametrize(
    ("look", "state"),
    [
        (Look("a:1"), "SILENT"),
        (Look("a:1", {"isreplicaset": True}, stranger=True), "EMPTY"),
        (Look("a:1", {"isreplicaset": True}), "REMOVED"),
        (Look("a:1", IN_SET, stranger=True), "UNKNOWN"),
        (Look("a:1", {**IN_SET, "isWritablePrimary": True}), "PRIMARY"),
        (Look("a:1", {**IN_SET, "secondary": True}, stranger=True), "SECONDARY"),
        (Look("a:1", IN_SET, status=status(5)), "STARTUP2"),
        (Look("a:1", IN_SET, status=status(9)), "ROLLBACK"),
        (Look("a:1", IN_SET, status=status(99)), "UNKNOWN"),
    ],
)
def test_what_a_member_is(look: Look, state: str) -> None:
    assert state_of(look) == state


def test_of_two_primaries_the_later_one_is() -> None:
    old = Look("a:1", {**IN_SET, "isWritablePrimary": True}, status=status(1, 2), config=CONFIG)
    new = Look("b:1", {**IN_SET, "isWritablePrimary": True, "me": "b:1"}, status=status(1, 3, mine="b:1"), config={**CONFIG, "term": 3},
               defaults={"defaultWriteConcern": {"w": "majority"}, "defaultWriteConcernSource": "global"},
               users={"users": [{"user": "app", "db": "admin", "roles": [{"role": "readWrite", "db": "orders"}]}]})  # fmt: skip

    found = observed_of([old, new])

    assert found.primary == "b:1"
    assert found.at("a:1").state is State.UNKNOWN
    assert found.config is not None
    assert found.config.term == 3
    assert found.majority is True
    assert found.users == {User("app", frozenset({"readWrite@orders"}))}


def test_a_member_under_two_names_is_one_primary() -> None:
    primary = {**IN_SET, "isWritablePrimary": True}
    looks = [Look(host, primary, status=status(1), config=CONFIG) for host in ("a:1", "new:1")]

    found = observed_of(looks)

    assert found.primary == "a:1"
    assert [s.state for s in found.seen] == [State.PRIMARY, State.PRIMARY]


def test_without_a_primary_the_newest_configuration_counts() -> None:
    looks = [Look("a:1", {**IN_SET, "secondary": True}, status=status(2, at=50), config=CONFIG),
             Look("b:1", {**IN_SET, "secondary": True}, status=status(2, mine="b:1"), config={**CONFIG, "version": 5}), Look("c:1")]  # fmt: skip

    found = observed_of(looks)

    assert found.primary == ""
    assert found.users is None
    assert found.config is not None
    assert found.config.version == 5
    assert found.seen == (
        Seen("a:1", State.SECONDARY, Optime(2, 50, 1), "rs0"),
        Seen("b:1", State.SECONDARY, Optime(2, 100, 1), "rs0"),
        Seen("c:1", State.SILENT),
    )


def test_an_implied_concern_is_none() -> None:
    look = Look("a:1", {**IN_SET, "isWritablePrimary": True}, status=status(1), config=CONFIG,
                defaults={"defaultWriteConcern": {"w": "majority"}, "defaultWriteConcernSource": "implicit"})  # fmt: skip

    assert observed_of([look]).majority is False


def test_a_configuration_is_given_back_as_it_was() -> None:
    config = config_of(CONFIG)

    assert config == Config(4, 2, (Member(0, "a:1", 1, 1, {"hidden": False}), Member(1, "b:1", 0, 0, {"tags": {"zone": "x"}})), 10_000,
                            {"_id": "rs0", "settings": CONFIG["settings"]})  # fmt: skip
    assert document_of(config) == {k: v for k, v in CONFIG.items() if k != "term"}


@pytest.mark.parametrize(("document", "lag"), [(status(2, primary_at=107), 7), (status(1), 0), (status(2), None), ({}, None)])  # fmt: skip
def test_how_far_behind(document: Mapping[str, Any], lag: int | None) -> None:
    assert lag_of(document) == lag


EMPTY = Look("e:1", {"isreplicaset": True}, stranger=True)
MEMBER = Look("m:1", {**IN_SET, "secondary": True}, status=status(2))


@pytest.mark.parametrize(
    ("ordinal", "own", "others", "may"),
    [
        (0, EMPTY, [EMPTY, EMPTY], True),
        (0, EMPTY, [], True),
        (1, EMPTY, [EMPTY, EMPTY], False),
        (0, EMPTY, [EMPTY, Look("c:1")], False),
        (0, EMPTY, [EMPTY, MEMBER], False),
        (0, EMPTY, [EMPTY, Look("c:1", {"isreplicaset": True})], False),
        (0, MEMBER, [EMPTY, EMPTY], False),
        (0, Look("a:1"), [EMPTY, EMPTY], False),
    ],
    ids=["all are empty", "alone", "not the first", "one is silent", "the others are a set", "one has been in a set", "it is in a set", "no mongod"],
)  # fmt: skip
def test_who_founds_a_set(ordinal: int, own: Look, others: list[Look], may: bool) -> None:
    assert may_found(ordinal, own, others) is may


@pytest.mark.parametrize(
    ("look", "problem"),
    [
        (EMPTY, ""),
        (Look("a:1"), "the member is SILENT"),
        (Look("a:1", IN_SET, status=status(5)), "the member is STARTUP2"),
        (Look("a:1", IN_SET, status=status(3)), "the member is RECOVERING"),
        (Look("a:1", {"isreplicaset": True}), "the member is REMOVED"),
        (Look("a:1", IN_SET, status=status(1)), ""),
        (Look("a:1", IN_SET, status=status(2)), ""),
        (Look("a:1", IN_SET, status=status(2, primary_at=110)), ""),
        (Look("a:1", IN_SET, status=status(2, primary_at=111)), "the member is more than 10 s behind"),
        (Look("a:1", {**IN_SET, "secondary": True}, stranger=True), ""),
    ],
)  # fmt: skip
def test_when_a_member_is_ready(look: Look, problem: str) -> None:
    assert problem_of(look, 10) == problem

"""Which step comes next, for every state in which an operator may find a RabbitMQ, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from readiness.dataservices.rabbitmq.commands import (
    Aim,
    Credentials,
    Grow,
    Rebalance,
    SetUser,
    Step,
    Wait,
    next_step,
)
from readiness.dataservices.rabbitmq.reading import Member, Observed, Queue
from readiness.dataservices.rabbitmq.users import CREDENTIALS, USERS, password_hash

PODS = ("q-0", "q-1", "q-2")
KNOWN = {each.key: f"{each.key}-secret" for each in CREDENTIALS}
AIM = Aim(3)


def stored(known: Mapping[str, str]) -> dict[str, str]:
    return {user.name: password_hash(user.name, known[user.key]) for user in USERS}


def queue(name: str = "orders", leader: str = "q-0", members: Any = PODS) -> Queue:  # fmt: skip
    return Queue(name, "/", "quorum", True, leader, frozenset(members), frozenset(members))


WHOLE = Observed(
    tuple(Member(pod, running=True, settled=True) for pod in PODS),
    (queue(), queue("mails", "q-1")),
    stored(KNOWN),
    frozenset({"app-a"}),
)


def members(**changed: Member) -> Observed:
    found = (changed.get(m.pod.replace("-", "_"), m) for m in WHOLE.members)
    return replace(WHOLE, members=tuple(found))


DOWN = members(q_2=Member("q-2", running=False, settled=False))
THIN = replace(WHOLE, queues=(queue(members=PODS[:2]),))
LOPSIDED = replace(WHOLE, queues=tuple(queue(f"q{n}", "q-1") for n in range(3)))

STEPS: list[tuple[str, Aim, Observed, Step | None]] = [
    ("nothing to do", AIM, WHOLE, None),
    ("nobody answers", AIM, Observed(), Wait("no member tells of its users")),
    ("a user is missing", AIM, replace(WHOLE, users={}), SetUser(USERS[0])),
    ("a password was changed by hand", AIM, replace(WHOLE, users={**stored(KNOWN), "monitoring": "x"}), SetUser(USERS[2])),
    ("a queue has two members", AIM, THIN, Grow("q-2")),
    ("a queue of two, while a member is away", AIM, replace(DOWN, queues=THIN.queues), None),
    ("leaders on one member", AIM, LOPSIDED, Rebalance()),
    ("the same, while a member is away", AIM, replace(DOWN, queues=LOPSIDED.queues), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("aim", "observed", "step"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_what_comes_next(aim: Aim, observed: Observed, step: Step | None):
    assert next_step(aim, observed, KNOWN) == step


def carried_out(step: Step, known: dict[str, str], users: dict[str, str]) -> None:
    """What the rim does with a step, as far as a rotation needs it."""
    match step:
        case Credentials(renew, put):
            known.update({key: f"{known[key]}+" for key in renew}, **put)
        case SetUser(user):
            users[user.name] = password_hash(user.name, known[user.key])


def rotation(connected: str) -> tuple[list[Step], dict[str, str], dict[str, str]]:
    """Steps until nothing more is to do; each decided from what stands, as after a restart."""
    known, users, steps = dict(KNOWN), stored(KNOWN), list[Step]()
    for _ in range(10):
        observed = replace(WHOLE, users=dict(users), connected=frozenset({connected}))
        step = next_step(Aim(3, rotation="monday"), observed, known)
        if step is None or isinstance(step, Wait):
            return [*steps, *([step] if step else [])], known, users
        steps.append(step)
        carried_out(step, known, users)
    raise AssertionError(steps)


def test_a_rotation_never_leaves_the_binding_without_a_login():
    steps, known, users = rotation(connected="app-b")

    assert steps == [
        Credentials(("app-b-password",), {"rotation-started": "monday", "rotation-from": "app-a"}),
        SetUser(USERS[1]),
        Credentials(put={"active-user": "app-b"}),
        Credentials(("app-a-password",), {"rotation-done": "monday"}),
        SetUser(USERS[0]),
    ]
    assert users == stored(known) != stored(KNOWN)
    assert known["active-user"] == "app-b"


def test_a_rotation_waits_for_those_who_are_still_connected():
    steps, known, users = rotation(connected="app-a")

    assert steps[-1] == Wait("applications are still connected as app-a: restart them")
    assert users["app-a"] == stored(KNOWN)["app-a"]
    assert "rotation-done" not in known


def test_the_next_rotation_goes_back():
    known = {**KNOWN, "active-user": "app-b", "rotation-started": "monday", "rotation-from": "app-a", "rotation-done": "monday"}  # fmt: skip

    assert next_step(Aim(3, rotation="monday"), WHOLE, known) is None
    assert next_step(Aim(3, rotation="tuesday"), WHOLE, known) == Credentials(
        ("app-a-password",), {"rotation-started": "tuesday", "rotation-from": "app-b"}
    )

"""Which step comes next, for every state in which an operator may find a RabbitMQ, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from readiness.api.dataservice import DataService
from readiness.dataservices.command import Amend, Step, Task, Tell, Wait
from readiness.dataservices.order import Order
from readiness.dataservices.rabbitmq.commands import Grow, Rebalance, SetUser, next_step
from readiness.dataservices.rabbitmq.reading import Member, Observed, Queue
from readiness.dataservices.rabbitmq.users import CREDENTIALS, USERS, password_hash
from readiness.snapshot import Seen

PODS = ("q-0", "q-1", "q-2")
KNOWN = {each.key: f"{each.key}-secret" for each in CREDENTIALS}


def task(observed: Observed, known: Mapping[str, str] = KNOWN, rotation: str = "") -> Task:
    service = DataService.model_validate({"name": "jobs", "rabbitmq": {}})
    order = Order("ns", "shop", service, "rabbitmq", "op", "op", 3, known, formed=True)
    return Task(order, Seen(facts=observed), 3, rotation)


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

STEPS: list[tuple[str, Observed, object]] = [
    ("nothing to do", WHOLE, None),
    ("nobody answers", Observed(), None),
    ("a user is missing", replace(WHOLE, users={}), SetUser(USERS[0])),
    ("a password was changed by hand", replace(WHOLE, users={**stored(KNOWN), "monitoring": "x"}), SetUser(USERS[2])),
    ("a queue has two members", THIN, Grow("q-2")),
    ("a queue of two, while a member is away", replace(DOWN, queues=THIN.queues), None),
    ("leaders on one member", LOPSIDED, Rebalance()),
    ("the same, while a member is away", replace(DOWN, queues=LOPSIDED.queues), None),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "act"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])  # fmt: skip
def test_what_comes_next(observed: Observed, act: object):
    step = next_step(task(observed))

    assert (step.act if isinstance(step, Tell) else step) == act


def carried_out(step: Step, known: dict[str, str], users: dict[str, str]) -> None:
    """What the rim does with a step, as far as a rotation needs it."""
    match step:
        case Amend(_, renew, put):
            known.update({key: f"{known[key]}+" for key in renew}, **put)
        case Tell(SetUser(user)):
            users[user.name] = password_hash(user.name, known[user.key])


def rotation(connected: str, asked: str = "jobs@monday") -> tuple[list[Step], dict[str, str], dict[str, str]]:  # fmt: skip
    """Steps until nothing more is to do; each decided from what stands, as after a restart."""
    known, users, steps = dict(KNOWN), stored(KNOWN), list[Step]()
    for _ in range(12):
        observed = replace(WHOLE, users=dict(users), connected=frozenset({connected}))
        step = next_step(task(observed, known, asked))
        if step is None or isinstance(step, Wait):
            return [*steps, *([step] if step else [])], known, users
        steps.append(step)
        carried_out(step, known, users)
    raise AssertionError(steps)


def told(steps: list[Step]) -> list[object]:
    return [s.act if isinstance(s, Tell) else (s.renew, dict(s.put)) if isinstance(s, Amend) else s for s in steps]  # fmt: skip


def test_a_rotation_never_leaves_the_binding_without_a_login():
    steps, known, users = rotation(connected="app-b")

    assert told(steps) == [
        (("app-b-password", "monitoring-password", "definitions-password"), {"rotation.begun": "jobs@monday", "rotation.from": "app-a"}),
        SetUser(USERS[1]), SetUser(USERS[2]), SetUser(USERS[3]),
        ((), {"rotation.user": "app-b"}),
        (("app-a-password",), {"rotation.done": "jobs@monday"}),
        SetUser(USERS[0]),
    ]  # fmt: skip
    assert users == stored(known) != stored(KNOWN)
    assert known["rotation.user"] == "app-b"


def test_a_rotation_waits_for_those_who_are_still_connected():
    steps, known, users = rotation(connected="app-a")

    assert steps[-1] == Wait("applications are still connected as app-a: restart them", "Rotating")
    assert users["app-a"] == stored(KNOWN)["app-a"]
    assert "rotation.done" not in known


def test_one_user_can_be_named():
    assert told(rotation("app-a", "jobs/monitoring@2")[0]) == [
        (("monitoring-password",), {"rotation.begun": "jobs/monitoring@2", "rotation.done": "jobs/monitoring@2"}),
        SetUser(USERS[2]),
    ]  # fmt: skip
    (waits,) = rotation("app-a", "jobs/nobody")[0]
    assert isinstance(waits, Wait)
    assert waits.reason == "UnknownUser"


def test_the_next_rotation_goes_back():
    known = {**KNOWN, "rotation.user": "app-b", "rotation.begun": "jobs", "rotation.from": "app-a", "rotation.done": "jobs"}  # fmt: skip

    observed = replace(WHOLE, users=stored(known))
    assert next_step(task(observed, known, "jobs")) is None
    step = next_step(task(observed, known, "jobs/app@2"))
    assert isinstance(step, Amend)
    assert step.renew == ("app-a-password",)
    assert step.put == {"rotation.begun": "jobs/app@2", "rotation.from": "app-b"}

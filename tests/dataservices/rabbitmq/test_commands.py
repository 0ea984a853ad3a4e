"""Which step comes next, for every state in which an operator may find a RabbitMQ, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from readiness import naming
from readiness.api.dataservice import DataService
from readiness.dataservices.command import Amend, Resize, Step, Task, Tell, Wait
from readiness.dataservices.order import Order
from readiness.dataservices.rabbitmq.commands import Rebalance, SetUser, next_step
from readiness.dataservices.rabbitmq.leaving import Grow, Mark, Shrink
from readiness.dataservices.rabbitmq.reading import Member, Observed, Queue, seen_of
from readiness.dataservices.rabbitmq.users import (
    CREDENTIALS,
    USERS,
    operator_passwords,
    password_hash,
    wanted_password,
)
from readiness.snapshot import Seen

KNOWN = {each.key: f"{each.key}-secret" for each in CREDENTIALS}
OWN = "readiness-operator-password"
MAIN = naming.store("shop", "jobs")
PODS = tuple(f"{MAIN}-{number}" for number in range(3))


def task(observed: Observed, known: Mapping[str, str] = KNOWN, rotation: str = "") -> Task:
    service = DataService.model_validate({"name": "jobs", "rabbitmq": {}})
    order = Order("ns", "shop", service, "rabbitmq", "op", "op", 3, known, formed=True)
    return Task(order, Seen(facts=observed), 3, rotation)


def stored(known: Mapping[str, str]) -> dict[str, str]:
    return {user.name: password_hash(user.name, known[user.key]) for user in USERS}


def queue(name: str = "orders", leader: str = PODS[0], members: Any = PODS) -> Queue:  # fmt: skip
    return Queue(name, "/", "quorum", True, leader, frozenset(members), frozenset(members))


WHOLE = Observed(
    tuple(Member(pod, running=True, settled=True) for pod in PODS),
    (queue(), queue("mails", PODS[1])),
    stored(KNOWN),
    frozenset({"app-a"}),
)


def members(**changed: Member) -> Observed:
    found = (changed.get(f"q_{m.pod[-1]}", m) for m in WHOLE.members)
    return replace(WHOLE, members=tuple(found))


DOWN = members(q_2=Member(PODS[2], running=False, settled=False))
THIN = replace(WHOLE, queues=(queue(members=PODS[:2]),))
LOPSIDED = replace(WHOLE, queues=tuple(queue(f"q{n}", PODS[1]) for n in range(3)))

STEPS: list[tuple[str, Observed, object]] = [
    ("nothing to do", WHOLE, None),
    ("nobody answers", Observed(), None),
    ("a user is missing", replace(WHOLE, users={}), SetUser(USERS[0])),
    ("a password was changed by hand", replace(WHOLE, users={**stored(KNOWN), "monitoring": "x"}), SetUser(USERS[2])),
    ("a queue has two members", THIN, Grow(PODS[2])),
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
        case Amend(_, renew, put, drop):
            known.update({key: f"{known.get(key, key)}+" for key in renew}, **put)
            for key in drop:
                del known[key]
        case Tell(SetUser(user)):
            users[user.name] = password_hash(user.name, wanted_password(user, known))


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
        (("app-b-password", "monitoring-password", "definitions-password", f"{OWN}.next"), {"rotation.begun": "jobs@monday", "rotation.from": "app-a"}),
        SetUser(USERS[1]), SetUser(USERS[2]), SetUser(USERS[3]), SetUser(USERS[4]),
        ((), {OWN: f"{OWN}.next+", f"{OWN}.previous": KNOWN[OWN]}),
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


def test_the_operators_own_password_changes_while_both_are_known():
    steps, known, users = rotation("app-a", "jobs/readiness-operator@2")

    assert told(steps) == [
        ((f"{OWN}.next",), {"rotation.begun": "jobs/readiness-operator@2", "rotation.done": "jobs/readiness-operator@2"}),
        SetUser(USERS[4]),
        ((), {OWN: f"{OWN}.next+", f"{OWN}.previous": KNOWN[OWN]}),
    ]  # fmt: skip
    assert users["readiness-operator"] == password_hash("readiness-operator", known[OWN])
    assert operator_passwords(known) == (f"{OWN}.next+", KNOWN[OWN])


def test_the_cookie_is_refused_with_the_reason():
    (waits,) = rotation("app-a", "jobs/erlang-cookie")[0]

    assert isinstance(waits, Wait)
    assert (waits.reason, "full stop" in waits.why) == ("NeedsStop", True)


def test_the_next_rotation_goes_back():
    known = {**KNOWN, "rotation.user": "app-b", "rotation.begun": "jobs", "rotation.from": "app-a", "rotation.done": "jobs"}  # fmt: skip

    observed = replace(WHOLE, users=stored(known))
    assert next_step(task(observed, known, "jobs")) is None
    step = next_step(task(observed, known, "jobs/app@2"))
    assert isinstance(step, Amend)
    assert step.renew == ("app-a-password",)
    assert step.put == {"rotation.begun": "jobs/app@2", "rotation.from": "app-b"}


# --- fewer members


def five_to_four(observed: Observed, *, there: int = 5, calm: bool = True) -> object:
    """The act, the reason of a wait, or the step, for four declared members of a service of so many."""
    service = DataService.model_validate({"name": "jobs", "rabbitmq": {"replicas": there}})
    order = Order("ns", "shop", service, "rabbitmq", "op", "op", 5, KNOWN, formed=True)
    step = next_step(Task(order, seen_of(observed), 4, calm=calm))
    return step.act if isinstance(step, Tell) else step.reason if isinstance(step, Wait) else step


FIVE = tuple(f"{MAIN}-{number}" for number in range(5))
RUN = tuple(Member(pod, running=True, settled=True) for pod in FIVE)
LAST = FIVE[4]


def on(*members: int, kind: str = "quorum") -> Queue:
    pods = frozenset(FIVE[n] for n in members)
    return Queue(f"{kind}-{members}", "/", kind, True, FIVE[members[0]], pods, pods)


def cluster(
    *queues: Queue, marked: tuple[str, ...] = (), run: tuple[Member, ...] = RUN
) -> Observed:
    return Observed(run, queues, stored(KNOWN), frozenset(), frozenset(marked))


CLASSIC = Queue("old", "/", "classic", True, LAST)
DEAD = (*RUN[:4], Member(LAST, running=False, settled=False))


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (cluster(on(0, 1, 2), on(1, 3, 4)), Grow(FIVE[0])),
        (cluster(on(0, 1, 2), on(0, 1, 2, 3, 4)), Shrink(LAST)),
        (cluster(on(0, 1, 2)), Mark((LAST,))),
        (cluster(on(0, 1, 2), marked=(LAST,)), Resize(4)),
        (cluster(on(0, 1, 2), CLASSIC), "Shrink"),
        (cluster(on(0, 1, 4, kind="stream")), "Shrink"),
        (cluster(on(0, 1, 2), run=(*RUN[:3], Member(FIVE[3], running=False, settled=False), RUN[4])), "Scaling"),
    ],
    ids=["a queue needs a member elsewhere", "queues have enough elsewhere", "no queue is there", "it is marked", "a classic queue", "a stream", "another one is away"],
)  # fmt: skip
def test_the_last_member_leaves_when_no_queue_needs_it(observed: Observed, expected: object):
    assert five_to_four(observed) == expected


def test_a_member_that_went_without_a_word_is_told_of():
    dead = cluster(on(0, 1, 2), run=DEAD, marked=(LAST,))

    assert five_to_four(dead, there=4) == "StillCounted"
    assert five_to_four(dead, there=4, calm=False) == "Scaling", "its hook may still be at it"
    assert five_to_four(cluster(on(0, 1, 2), run=RUN[:4], marked=(LAST,)), there=4) == Mark(())
    assert five_to_four(cluster(on(0, 1, 2), run=RUN[:4]), there=4) is None


def test_growth_does_not_wait_for_applications_to_take_up_a_password():
    known = {**KNOWN, "rotation.begun": "jobs", "rotation.from": "app-a", "rotation.user": "app-b"}
    observed = replace(THIN, users=stored(known), connected=frozenset({"app-a"}))
    step = next_step(task(observed, known, "jobs"))

    assert isinstance(step, Tell)
    assert step.act == Grow(PODS[2])

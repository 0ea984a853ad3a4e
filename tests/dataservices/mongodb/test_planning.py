"""What comes next of a replica set, with the whole of what an operator may find: its configuration, members, passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from readiness.api.dataservice import DataService
from readiness.dataservices.command import Amend, Resize, Step, Task, Tell, Wait
from readiness.dataservices.mongodb.build import wanted_of
from readiness.dataservices.mongodb.members import Config, Member, Observed, Optime, Seen, State
from readiness.dataservices.mongodb.planning import Facts, next_step
from readiness.dataservices.mongodb.steps import DropUser, Reconfigure, SetPassword
from readiness.dataservices.order import Order
from readiness.snapshot import Seen as Told

KNOWN = {"operator": "o1", "app": "a1", "monitor": "m1", "backup": "b1", "inspector": "i1", "keyfile": "k"}  # fmt: skip


def order(members: int = 3, known: Mapping[str, str] = KNOWN) -> Order:
    service = DataService.model_validate({"name": "orders", "mongodb": {"replicas": members}})
    return Order("shop", "checkout", service, "mongo:8", "op", "op", 3, known)


def observed(members: int = 3, known: Mapping[str, str] = KNOWN, **changed: Any) -> Observed:
    """A set of this size as it should be."""
    wanted = wanted_of(order(members, known))
    at = Optime(1, 100)
    seen = tuple(Seen(h, State.SECONDARY if n else State.PRIMARY, at, "rs0") for n, h in enumerate(wanted.hosts))  # fmt: skip
    config = Config(7, 1, tuple(Member(n, h) for n, h in enumerate(wanted.hosts)))
    found: dict[str, Any] = {"seen": seen, "primary": wanted.hosts[0], "config": config, "majority": True, "users": frozenset(wanted.users)}  # fmt: skip
    return Observed(**found | changed)


def step(facts: Facts, *, members: int = 3, replicas: int = 3, known: Mapping[str, str] = KNOWN, asked: str = "") -> Step | None:  # fmt: skip
    return next_step(Task(order(members, known), Told(facts=facts), replicas, asked))


def test_a_set_as_it_should_be_needs_nothing():
    assert step(Facts(observed())) is None
    assert step(Facts(observed()), asked="") is None
    assert next_step(Task(order(), Told(), 3)) is None, "nobody has looked yet"


def test_a_set_that_is_not_founded_lacks_something():
    silent = Observed(tuple(Seen(h, State.EMPTY) for h in wanted_of(order()).hosts))
    found = step(Facts(silent))

    assert isinstance(found, Wait)
    assert (found.reason, found.fix, found.lacks) == ("NotFounded", "", True)


def test_a_lost_quorum_is_an_obstacle():
    down = [Seen(h, State.SECONDARY if n == 2 else State.SILENT, Optime(1, 100), "rs0") for n, h in enumerate(wanted_of(order()).hosts)]  # fmt: skip
    found = step(Facts(observed(seen=tuple(down), primary="")))

    assert isinstance(found, Wait)
    assert found.reason == "QuorumLost"
    assert found.fix.startswith("bring the other members")


def test_members_that_leave_go_from_the_configuration_before_their_pods():
    found = step(Facts(observed(5)), members=5)
    assert isinstance(found, Tell)
    assert isinstance(found.act, Reconfigure)
    assert found.lacks

    three = observed().config
    assert step(Facts(observed(5, config=three)), members=5) == Resize(3)


FRESH = {**KNOWN, "monitor-next": "m2", "rotation.begun": "orders/monitor"}
APP = {**KNOWN, "app-next": "a2"}
TURNED = {**KNOWN, "app": "a2", "rotation.user": "app-b"}
BOTH = observed(known=TURNED).users or frozenset()
OLD = observed().users or frozenset()


@pytest.mark.parametrize(
    ("facts", "known", "asked", "expected"),
    [
        (Facts(observed()), KNOWN, "orders/monitor", ("monitor-next",)),
        (Facts(observed()), FRESH, "orders/monitor", SetPassword),
        (Facts(observed(), accepted=frozenset({"monitor-next"})), FRESH, "", {"monitor": "m2"}),
        (Facts(observed()), {**KNOWN, "monitor": "m2", "rotation.begun": "orders/monitor"}, "orders/monitor", None),
        (Facts(observed()), APP, "", SetPassword),
        (Facts(observed(), accepted=frozenset({"app-next"})), APP, "", {"app": "a2", "rotation.user": "app-b"}),
        (Facts(observed(users=BOTH | OLD)), TURNED, "", "Rotating"),
        (Facts(observed(users=BOTH | OLD), busy=frozenset({"app-b"})), TURNED, "", DropUser),
        (Facts(observed(users=BOTH | OLD), busy=frozenset({"app"})), TURNED, "", None),
        (Facts(observed()), KNOWN, "orders/nobody", "UnknownUser"),
    ],
    ids=["asked", "begun", "let in", "done", "the application's", "its second user", "sessions unknown", "nobody uses the first", "somebody does", "nobody of that name"],
)  # fmt: skip
def test_passwords(facts: Facts, known: Mapping[str, str], asked: str, expected: object):
    found = step(facts, known=known, asked=asked)
    match found:
        case Tell(act=act):
            assert type(act) is expected
        case Amend(renew=(_, *_)):
            assert found.renew == expected
        case Amend():
            assert found.put == expected
            assert [key for key in known if key.endswith("-next")] == list(found.drop)
        case Wait(reason=reason):
            assert reason == expected
        case _:
            assert found is expected

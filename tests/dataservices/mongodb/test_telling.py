"""What a policy's status tells of a replica set."""

from __future__ import annotations

import pytest

from readiness.dataservices.mongodb.members import Config, Member, Observed, Optime, Seen, State
from readiness.dataservices.mongodb.reconfigure import Wanted
from readiness.dataservices.mongodb.telling import seen_of
from readiness.snapshot import MemberSeen

HOSTS = tuple(f"db-{n}.db-members.shop.svc:27017" for n in range(3))
WHOLE = Config(4, 3, tuple(Member(n, host) for n, host in enumerate(HOSTS)))


def observed(*states: State, config: Config | None = WHOLE, late: int = 0) -> Observed:
    at = [Optime(3, 1000 - (late if n == 2 else 0)) if s.holds_data else None for n, s in enumerate(states)]  # fmt: skip
    seen = tuple(Seen(*each) for each in zip(HOSTS, states, at, strict=True))
    primary = HOSTS[states.index(State.PRIMARY)] if State.PRIMARY in states else ""
    return Observed(seen, primary, config, bool(primary), frozenset() if primary else None)


@pytest.mark.parametrize(
    ("seen", "primary", "reason", "members"),
    [
        (observed(State.PRIMARY, State.SECONDARY, State.SECONDARY), "db-0", "", [("primary", ()), ("secondary", ()), ("secondary", ())]),
        (observed(State.PRIMARY, State.SECONDARY, State.STARTUP2), "db-0", "MemberSyncing", [("primary", ()), ("secondary", ()), ("", ("Syncing",))]),
        (observed(State.PRIMARY, State.SECONDARY, State.SECONDARY, late=30), "db-0", "MemberSyncing", [("primary", ()), ("secondary", ()), ("secondary", ("Lagging",))]),
        (observed(State.SECONDARY, State.SILENT, State.SILENT), "", "QuorumLost", [("secondary", ()), ("", ("Silent",)), ("", ("Silent",))]),
        (observed(State.EMPTY, State.EMPTY, State.SILENT, config=None), "", "NotFounded", [("", ("NotInSet",)), ("", ("NotInSet",)), ("", ("Silent",))]),
        (observed(State.PRIMARY, State.EMPTY, State.EMPTY, config=Config(1, 1, WHOLE.members[:1])), "db-0", "Growing", [("primary", ()), ("", ("NotInSet",)), ("", ("NotInSet",))]),
    ],
    ids=["whole", "a member copies", "a member is late", "no quorum", "nobody has founded it", "it grows"],
)  # fmt: skip
def test_a_set_is_told(seen: Observed, primary: str, reason: str, members: list[tuple[str, tuple[str, ...]]]) -> None:  # fmt: skip
    found = seen_of(Wanted(HOSTS), seen)

    assert (found.primary, found.reason) == (primary, reason)
    assert found.members == tuple(MemberSeen(f"db-{n}", *each) for n, each in enumerate(members))


def test_the_lag_of_the_last_makes_no_two_looks_differ() -> None:
    looks = [observed(State.PRIMARY, State.SECONDARY, State.SECONDARY, late=late) for late in (2, 5)]  # fmt: skip
    one, other = (seen_of(Wanted(HOSTS), each) for each in looks)

    assert (one.lag, other.lag) == (2, 5)
    assert one == other


def test_every_state_has_its_words() -> None:
    for state in State:
        found = seen_of(Wanted(HOSTS), observed(State.SECONDARY, State.SECONDARY, state)).members[2]
        assert bool(found.role) != bool(found.reasons), state

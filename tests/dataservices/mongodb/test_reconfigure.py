"""From any set that was seen, one change at a time, to the set that is wanted; never without a primary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readiness.dataservices.mongodb import steps
from readiness.dataservices.mongodb.members import (
    MOST_VOTES,
    SET,
    Config,
    Member,
    Observed,
    Optime,
    Seen,
    State,
    User,
)
from readiness.dataservices.mongodb.reconfigure import Wanted, plan_of
from readiness.dataservices.mongodb.rolling import roll_of
from readiness.dataservices.mongodb.steps import (
    Enrol,
    Held,
    Reconfigure,
    Replace,
    StepDown,
    WaitForMajority,
)

NOW = Optime(3, 1000)
USERS = (User("app", frozenset({"readWrite@orders"})),)


def host(ordinal: int) -> str:
    return f"orders-{ordinal}.orders.shop.svc:27017"


def old(number: int) -> str:
    return f"old-{number}.example.com:27017"


@dataclass
class World:
    """A set that does what it is told, as far as a real one would. `states` is by server, not by name."""

    wanted: Wanted
    config: Config
    states: dict[str, State]
    primary: str
    names: dict[str, str]
    majority: bool = False
    users: frozenset[User] = frozenset()

    def server(self, name: str) -> str:
        """The server behind a host name; it may have two."""
        return self.names.get(name, name)

    def seen(self) -> Observed:
        hosts = {*self.wanted.hosts, *(m.host for m in self.config.members)}
        members = {self.server(m.host) for m in self.config.members}
        found = []
        for name in sorted(hosts):
            server = self.server(name)
            state = self.states.get(server, State.EMPTY)
            if server not in members and state.holds_data:
                state = State.REMOVED
            found.append(Seen(name, state, NOW if state.holds_data else None, SET if state.holds_data else ""))  # fmt: skip
        users = self.users if self.primary else None
        return Observed(tuple(found), self.primary, self.config, self.majority, users)

    def heirs(self) -> list[str]:
        return [m.host for m in self.config.voters
                if m.priority and m.host != self.primary and self.states.get(self.server(m.host)) is State.SECONDARY]  # fmt: skip

    def carry_out(self, step: object, heir: str = "") -> None:
        match step:
            case Reconfigure(config):
                self.config = config
                for member in config.members:
                    server = self.server(member.host)
                    if self.states.get(server, State.EMPTY) in (State.EMPTY, State.REMOVED):
                        self.states[server] = State.SECONDARY  # time passes: it has copied the data
            case StepDown(leaving):
                self.states[self.server(leaving)] = State.SECONDARY
                self.states[self.server(heir)] = State.PRIMARY
                self.primary = heir
            case WaitForMajority():
                self.majority = True
            case Enrol(create, update):
                changed = {user.name for user in update}
                self.users = frozenset({u for u in self.users if u.name not in changed} | {*create, *update})  # fmt: skip
        names = [m.host for m in self.config.members]
        self.primary = next((n for n in names if self.states.get(self.server(n)) is State.PRIMARY), "")  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn, *, whole: bool) -> World:
    """Any set with a primary and a living majority; with `whole`, everything wanted answers."""
    size = draw(st.integers(1, 7))
    hosts = tuple(map(host, range(size)))
    numbers = draw(st.lists(st.integers(0, 9), min_size=1, max_size=9, unique=True))
    names: dict[str, str] = {}
    members, states = [], {}
    for number in numbers:
        strange = number >= size or draw(st.booleans())
        name = old(number) if strange else host(number)
        if strange and number < size and draw(st.booleans()):
            names[host(number)] = name  # the same server, known by the name it is to have
        votes = draw(st.integers(0, 1))
        members.append(
            Member(number, name, votes, draw(st.sampled_from((0, 1, 2))) if votes else 0)
        )
        dead = draw(st.booleans()) and ((strange and host(number) not in names) or not whole)
        states[name] = draw(st.sampled_from((State.SILENT, State.STARTUP2))) if dead else State.SECONDARY  # fmt: skip
    first = draw(st.sampled_from(members))
    voters = [replace(m, votes=1, priority=1) if m is first else m for m in members]
    excess = {m.id for m in [m for m in voters if m.votes and m.id != first.id][MOST_VOTES - 1 :]}
    voters = [replace(m, votes=0, priority=0) if m.id in excess else m for m in voters]
    states[first.host] = State.PRIMARY
    config = Config(draw(st.integers(1, 50)), 3, tuple(voters), draw(st.sampled_from((10_000, 2_000))))  # fmt: skip
    for name in hosts:
        if names.get(name, name) not in states and not whole and draw(st.booleans()):
            states[name] = State.SILENT
    for member in config.voters:  # a primary has a majority
        alive = sum(states[m.host].holds_data for m in config.voters)
        if alive < config.majority and not states[member.host].holds_data:
            states[member.host] = State.SECONDARY
    return World(Wanted(hosts, USERS), config, states, first.host, names)


def voters(config: Config) -> set[int]:
    return {member.id for member in config.voters}


def check(world: World, step: Reconfigure) -> None:
    """What a server refuses, and what must not be lost."""
    before, after = world.config, step.config
    assert after.version == before.version + 1
    assert len(voters(before) ^ voters(after)) <= 1
    assert 1 <= len(after.voters) <= MOST_VOTES
    assert len({m.id for m in after.members}) == len({m.host for m in after.members}) == len(after.members)  # fmt: skip
    assert all(m.votes or not m.priority for m in after.members)
    leader = next(m for m in before.members if m.host == world.primary)
    assert next(m for m in after.members if m.id == leader.id).priority, (
        "the primary stays electable"
    )
    alive = [m for m in after.voters if world.states.get(world.server(m.host), State.EMPTY).holds_data]  # fmt: skip
    assert len(alive) >= after.majority
    gone = [m for m in before.members if m.id not in {n.id for n in after.members}]
    if any(world.states[world.server(m.host)].holds_data for m in gone) and len(before.voters) < MOST_VOTES:  # fmt: skip
        held = [h for h in world.wanted.voters if world.states.get(world.server(h), State.EMPTY).holds_data]  # fmt: skip
        assert len(held) == len(world.wanted.voters), "data went before the wanted members held it"


def run(world: World, data: st.DataObject) -> Held | None:
    """Step by step until nothing is left to do; what holds it up."""
    for _ in range(80):
        step = plan_of(world.wanted, world.seen())
        if step is None or isinstance(step, Held):
            return step
        if isinstance(step, Reconfigure):
            check(world, step)
        heir = ""
        if isinstance(step, StepDown):
            assert step.host == world.primary
            assert world.heirs(), "nobody could take over"
            heir = data.draw(st.sampled_from(world.heirs()))
        world.carry_out(step, heir)
    raise AssertionError(f"does not settle: {world}")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(whole=True), st.data())
def test_any_set_becomes_the_wanted_one(world: World, data: st.DataObject) -> None:
    assert run(world, data) is None
    assert {m.host for m in world.config.members} == set(world.wanted.hosts)
    assert {m.host for m in world.config.voters} == set(world.wanted.voters)
    assert len(world.config.voters) % 2 == 1
    assert {m.priority for m in world.config.voters} == {1}
    assert world.majority
    assert world.users == set(USERS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(whole=False), st.data())
def test_whatever_is_silent_it_never_does_harm_and_goes_on_when_it_answers(world: World, data: st.DataObject) -> None:  # fmt: skip
    held = run(world, data)
    if held is not None:
        assert held.message
        for name in (*world.wanted.hosts, *(m.host for m in world.config.members)):
            server = world.server(name)
            if world.states.get(server, State.EMPTY) in (State.SILENT, State.STARTUP2):
                configured = any(world.server(m.host) == server for m in world.config.members)
                world.states[server] = State.SECONDARY if configured else State.EMPTY
        assert run(world, data) is None
    assert {m.host for m in world.config.members} == set(world.wanted.hosts)


@given(worlds(whole=False))
def test_nothing_is_planned_without_a_primary(world: World) -> None:
    seen = world.seen()
    lost = replace(seen, primary="", seen=tuple(
        replace(s, state=State.SECONDARY) if s.state is State.PRIMARY else s for s in seen.seen
    ))  # fmt: skip
    held = plan_of(world.wanted, lost)

    assert isinstance(held, Held)
    assert held.reason in (steps.ELECTING, steps.QUORUM_LOST)


def observed(states: str, config: Config | None = None, optimes: Iterable[Optime | None] = ()) -> Observed:  # fmt: skip
    """`PSE-`: primary, secondary, empty, silent."""
    words = {"P": State.PRIMARY, "S": State.SECONDARY, "E": State.EMPTY, "-": State.SILENT, "2": State.STARTUP2}  # fmt: skip
    known = list(optimes) or [NOW if words[c].holds_data else None for c in states]
    seen = tuple(Seen(host(n), words[c], known[n], SET if words[c].holds_data else "") for n, c in enumerate(states))  # fmt: skip
    primary = host(states.index("P")) if "P" in states else ""
    users = frozenset(USERS) if primary else None
    return Observed(seen, primary, config, bool(primary), users)


def config_of(votes: str) -> Config:
    """`10.`: a voter, a member without a vote, none."""
    members = [Member(n, host(n), int(v), int(v)) for n, v in enumerate(votes) if v != "."]
    return Config(4, 3, tuple(members))


WANTED = Wanted(tuple(map(host, range(3))), USERS)


@pytest.mark.parametrize(
    ("states", "votes", "after", "why"),
    [
        ("PEE", "1..", "10.", "orders-1 is missing"),
        ("P2E", "10.", "100", "orders-2 is missing"),
        ("PSS", "100", "110", "orders-1 has caught up"),
        ("PSS", "110", "111", "orders-2 has caught up"),
        ("PSSSS", "11111", "1111.", "orders-4 is not wanted"),
        ("PSSS", "1111", "111.", "orders-3 is not wanted"),
        ("P-S2", "1110", "111.", "orders-3 is not wanted"),
    ],
)
def test_one_change_at_a_time(states: str, votes: str, after: str, why: str) -> None:
    seen = observed(states, config_of(votes))

    step = plan_of(WANTED, seen)

    assert step == Reconfigure(replace(config_of(after), version=5), why)


@pytest.mark.parametrize(
    ("states", "votes", "reason", "words"),
    [
        ("EEE", "", "NotFounded", "when all answer"),
        ("EE-", "", "NotFounded", "orders-2 not answering"),
        ("PEE", "", "LoginRefused", "orders-0 does not let the operator in"),
        ("P2E", "10.", "", ""),
        ("P22", "100", "MemberSyncing", "orders-1, orders-2 not caught up"),
        ("PS2", "100", "MemberSyncing", "orders-1, orders-2 not caught up"),
        ("PE-", "1..", "", ""),
        ("P--", "1..", "MemberSilent", "orders-1 does not answer"),
        ("P--", "111", "TooFewMembers", "1 of 3 voters hold the data"),
        ("PS-", "111", "MemberSyncing", "orders-2 not caught up"),
        ("SS-", "111", "Electing", "2 of 3 voters elect a primary"),
        ("S--", "111", "QuorumLost", "furthest ahead: orders-0"),
        ("---", "111", "QuorumLost", "orders-2 SILENT"),
    ],
)
def test_what_holds_it_up(states: str, votes: str, reason: str, words: str) -> None:
    found = plan_of(WANTED, observed(states, config_of(votes) if votes else None))

    assert (found.reason if isinstance(found, Held) else "") == reason
    if isinstance(found, Held):
        assert words in found.message


def test_what_the_primary_did_not_tell_holds_up_nothing_else() -> None:
    seen = replace(observed("PEE", config_of("1..")), users=None, majority=None)

    assert isinstance(plan_of(WANTED, seen), Reconfigure)


def test_a_full_set_gives_up_no_majority_for_a_newcomer() -> None:
    strangers = Member(9, old(9), 1, 1)
    config = Config(4, 3, (*(Member(n, host(n), 1, 1) for n in range(6)), strangers, Member(6, host(6), 0, 0)))  # fmt: skip
    seen = observed("PSS---S", config)
    seen = replace(seen, seen=(*seen.seen, Seen(old(9), State.SECONDARY, NOW, SET)))

    found = plan_of(Wanted(tuple(map(host, range(7))), USERS), seen)

    assert found == Held("TooFewMembers", "without old-9 too few voters hold the data")


def test_a_primary_that_is_to_leave_leaves_last() -> None:
    seen = observed("SSP", config_of("111"))

    step = plan_of(Wanted(WANTED.hosts[:1], USERS), seen)

    assert step == Reconfigure(replace(config_of("1.1"), version=5), "orders-1 is not wanted")


def test_a_lost_quorum_names_every_position_and_the_furthest() -> None:
    found = plan_of(
        Wanted(tuple(map(host, range(5)))),
        observed(
            "SS---", config_of("11111"), [Optime(3, 900, 2), Optime(4, 800, 1), None, None, None]
        ),
    )

    assert found == Held(
        "QuorumLost",
        "2 of 5 voters hold the data, too few to elect a primary: orders-0 SECONDARY (term 3, 900.2); "
        "orders-1 SECONDARY (term 4, 800.1); orders-2 SILENT; orders-3 SILENT; orders-4 SILENT; "
        "furthest ahead: orders-1",
        "bring the other members or their volumes back; only when none can return, force a configuration by hand "
        "on the member furthest ahead: writes that only the others have are lost then",
    )


def test_a_member_of_another_set_is_left_alone() -> None:
    seen = observed("PSE", config_of("1.."))
    step = plan_of(Wanted(WANTED.hosts[:2], USERS), seen)

    assert isinstance(step, Held)
    assert (step.reason, step.message) == (
        "ForeignMember",
        "orders-1 belongs to another replica set",
    )


def test_an_even_number_has_one_member_without_a_vote() -> None:
    assert [len(Wanted(tuple(map(host, range(n)))).voters) for n in range(1, 8)] == [1, 1, 3, 3, 5, 5, 7]  # fmt: skip


@pytest.mark.parametrize(
    ("states", "votes", "outdated", "expected"),
    [
        ("PSS", "111", (), None),
        ("PSS", "111", (0, 1, 2), Replace(host(2))),
        ("PSS", "111", (0, 1), Replace(host(1))),
        ("PSS", "111", (0,), StepDown(host(0), "its pod is to be replaced")),
        ("SPS", "111", (0, 1), Replace(host(0))),
    ],
)
def test_the_primary_is_replaced_last(states: str, votes: str, outdated: tuple[int, ...], expected: object) -> None:  # fmt: skip
    assert roll_of(WANTED, observed(states, config_of(votes)), [*map(host, outdated)]) == expected


@pytest.mark.parametrize(("states", "votes", "reason"), [("P2S", "111", "MemberSyncing"), ("SS-", "111", "Electing"), ("PS2", "110", "MemberSyncing")])  # fmt: skip
def test_no_member_is_replaced_while_another_is_away(states: str, votes: str, reason: str) -> None:
    found = roll_of(WANTED, observed(states, config_of(votes)), [host(0)])

    assert isinstance(found, Held)
    assert found.reason == reason


def test_a_lagging_member_holds_a_roll() -> None:
    seen = observed("PSS", config_of("111"), [NOW, Optime(3, 980), NOW])

    assert isinstance(found := roll_of(WANTED, seen, [host(2)]), Held)
    assert found.message == "orders-1 not caught up"

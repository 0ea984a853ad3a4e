"""From what is wanted and what was seen of a replica set: the next step, one change at a time.

Pure. The rules stand in the order in which they apply; the first that finds a step decides. What
they keep, whatever was seen: at most one vote changes, the primary stays and stays electable, a
majority of the voters is alive before and after, a member that holds data goes only when all that
are wanted hold it, and nothing is ever forced: without a primary there is no step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from readiness.dataservices.mongodb import steps
from readiness.dataservices.mongodb.members import (
    ELECTION_MILLIS,
    MOST_VOTES,
    SET,
    Config,
    Member,
    Observed,
    Seen,
    State,
    User,
)
from readiness.dataservices.mongodb.steps import Enrol, Held, Reconfigure, Step, StepDown

_IN_A_SET: Final = frozenset(State) - {State.EMPTY, State.SILENT}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a set should be: a host for each ordinal, users, and how many seconds are no lag."""

    hosts: tuple[str, ...]
    users: tuple[User, ...] = ()
    lag: int = 10

    @property
    def voters(self) -> tuple[str, ...]:
        """An odd number of the hosts, at most seven: one vote more than odd only adds ways to tie."""
        return self.hosts[: min(len(self.hosts) - (len(self.hosts) + 1) % 2, MOST_VOTES)]


@dataclass(frozen=True, slots=True)
class _View:
    """What the rules look at: a set with a primary."""

    wanted: Wanted
    seen: Observed
    config: Config

    def is_alive(self, member: Member) -> bool:
        return self.seen.at(member.host).state.holds_data

    def is_close(self, host: str) -> bool:
        return self.seen.is_close(host, self.wanted.lag)

    @property
    def surplus(self) -> tuple[Member, ...]:
        """Members that should not be, or should not vote; the primary last, the dead first."""
        found = [m for m in self.config.members if m.host not in self.wanted.hosts]
        found += [m for m in self.config.voters if m.host in self.wanted.hosts[len(self.wanted.voters) :]]  # fmt: skip
        return tuple(sorted(found, key=lambda m: (m.host == self.seen.primary, self.is_alive(m), -m.id)))  # fmt: skip

    @property
    def is_complete(self) -> bool:
        """Whether every wanted voter votes and has caught up."""
        voters = {member.host for member in self.config.voters}
        return all(host in voters and self.is_close(host) for host in self.wanted.voters)

    @property
    def heirs(self) -> tuple[str, ...]:
        """The hosts of members that could be elected when the primary steps down."""
        able = (m.host for m in self.config.voters if m.priority and m.host != self.seen.primary)
        return tuple(host for host in able if self.is_close(host))


def plan_of(wanted: Wanted, seen: Observed) -> Step | Held | None:
    """The next step, what holds it up, or nothing when the set is as it should be."""
    if not seen.primary or seen.config is None:
        return _without_primary(wanted, seen)
    view = _View(wanted, seen, seen.config)
    alive = sum(map(view.is_alive, view.config.voters))
    if alive < view.config.majority:
        return Held(steps.TOO_FEW, f"{alive} of {len(view.config.voters)} voters hold the data")
    held = None
    for rule in _RULES:
        found = rule(view)
        if isinstance(found, Held):
            held = held or found
        elif found is not None:
            return found
    return held


def _wait_for_majority(view: _View) -> Step | None:
    return steps.WaitForMajority() if view.seen.majority is False else None


def _enrol(view: _View) -> Step | None:
    """Users that others made are left alone."""
    if view.seen.users is None:
        return None
    there = {user.name: user.roles for user in view.seen.users}
    create = tuple(user for user in view.wanted.users if user.name not in there)
    update = tuple(u for u in view.wanted.users if u.name in there and u.roles != there[u.name])
    return Enrol(create, update) if create or update else None


def _rename(view: _View) -> Step | None:
    """A member under another name: the same ordinal, and at the wanted host something of a set answers."""
    for member, host in _renamed(view):
        if member.host == view.seen.primary and view.heirs:
            return StepDown(member.host, f"it is to be known as {host}")
        return _changed(view, member, replace(member, host=host), f"{member.host} is now {host}")
    return None


def _renamed(view: _View) -> list[tuple[Member, str]]:
    """Members that answer at a wanted host although the configuration names another; the primary last."""
    strangers = {m.id: m for m in view.config.members if m.host not in view.wanted.hosts}
    found = [
        (strangers[ordinal], host)
        for ordinal, host in enumerate(view.wanted.hosts)
        if ordinal in strangers and view.config.member(host) is None
        if view.seen.at(host).state in _IN_A_SET
    ]
    return sorted(found, key=lambda each: each[0].host == view.seen.primary)


def _remove(view: _View) -> Step | Held | None:
    """Members that are not wanted, then votes; those that hold data wait for the wanted ones."""
    full = len(view.config.voters) >= MOST_VOTES
    for member in view.surplus:
        if view.is_alive(member) and not view.is_complete and not (full and _ready(view)):
            continue
        if member.host == view.seen.primary:
            return StepDown(member.host, "it is to leave") if view.heirs else None
        rest = [m for m in view.config.voters if m.id != member.id]
        if sum(map(view.is_alive, rest)) < len(rest) // 2 + 1:
            return Held(
                steps.TOO_FEW, f"without {_short(member.host)} too few voters hold the data"
            )
        if member.host in view.wanted.hosts:
            return _changed(view, member, replace(member, votes=0, priority=0), f"{_short(member.host)} makes the votes even")  # fmt: skip
        return _changed(view, member, None, f"{_short(member.host)} is not wanted")
    return None


def _add(view: _View) -> Step | Held | None:
    """A member that is missing, without a vote: nobody waits for it while it copies the data."""
    held = None
    for ordinal, host in enumerate(view.wanted.hosts):
        if view.config.member(host) is None:
            if (problem := _unfit(view.seen.at(host))) is None:
                return _added(view.config, ordinal, host)
            held = held or problem
    return held


def _added(config: Config, ordinal: int, host: str) -> Reconfigure:
    ids = [member.id for member in config.members]
    number = ordinal if ordinal not in ids else max(ids) + 1
    fresh = Member(number, host, votes=0, priority=0)
    return Reconfigure(config.following((*config.members, fresh)), f"{_short(host)} is missing")


def _unfit(seen: Seen) -> Held | None:
    if seen.state is State.SILENT:
        return Held(steps.SILENT, f"{_short(seen.host)} does not answer")
    if seen.state.holds_data or (seen.set and seen.set != SET):
        return Held(
            steps.FOREIGN,
            f"{_short(seen.host)} belongs to another replica set",
            "look at its data; when nothing in it is needed, delete its volume and its pod",
        )
    return None


def _ready(view: _View) -> list[Member]:
    """Wanted voters without a vote that have caught up."""
    members = (view.config.member(host) for host in view.wanted.voters)
    return [m for m in members if m and not m.votes and view.is_close(m.host)]


def _promote(view: _View) -> Step | Held | None:
    """A vote for who has caught up, unless it would leave an even number with nothing to follow."""
    ready, voters = _ready(view), view.config.voters
    leaving = any(member.votes for member in view.surplus)
    follows = len(voters) % 2 == 0 or len(ready) > 1 or leaving
    if ready and follows and len(voters) < MOST_VOTES:
        first = ready[0]
        return _changed(view, first, replace(first, votes=1, priority=1), f"{_short(first.host)} has caught up")  # fmt: skip
    names = {m.host: m.votes for m in view.config.members}
    late = [h for h in view.wanted.hosts if not view.is_close(h) or (h in view.wanted.voters and not names.get(h))]  # fmt: skip
    return Held(steps.SYNCING, f"{', '.join(map(_short, late))} not caught up") if late else None


def _settle(view: _View) -> Step | None:
    """What changes no vote: who may lead, and after how long they vote."""
    members = tuple(
        replace(m, priority=1) if m.votes and m.host in view.wanted.voters else m
        for m in view.config.members
    )
    right = replace(view.config, members=members, election_millis=ELECTION_MILLIS)
    return (
        None if right == view.config else Reconfigure(right.following(members), "settings differ")
    )


_RULES: Final[tuple[Callable[[_View], Step | Held | None], ...]] = (
    _wait_for_majority, _enrol, _rename, _remove, _add, _promote, _settle,
)  # fmt: skip


def _changed(view: _View, old: Member, new: Member | None, why: str) -> Reconfigure:
    kept = (new if each.id == old.id else each for each in view.config.members)
    return Reconfigure(view.config.following(tuple(each for each in kept if each)), why)


def _without_primary(wanted: Wanted, seen: Observed) -> Held:
    """Nothing is done without a primary; only people can say which data may be lost."""
    if seen.config is None and not any(s.state in _IN_A_SET for s in seen.seen):
        silent = [_short(s.host) for s in seen.seen if s.state is State.SILENT]
        told = f"; {', '.join(silent)} not answering" if silent else ""
        return Held(steps.NOT_FOUNDED, f"the first member founds the set when all answer{told}")
    if seen.primary:
        return Held(steps.LOGIN_REFUSED, f"{_short(seen.primary)} does not let the operator in", "compare the password of the user operator in the credentials Secret")  # fmt: skip
    voters = [m.host for m in seen.config.voters] if seen.config else list(wanted.voters)
    alive = [host for host in voters if seen.at(host).state.holds_data]
    where = "; ".join(_position(seen.at(host)) for host in voters)
    if len(alive) >= len(voters) // 2 + 1:
        return Held(steps.ELECTING, f"{len(alive)} of {len(voters)} voters elect a primary: {where}")  # fmt: skip
    known = [s for s in map(seen.at, voters) if s.optime is not None]
    ahead = max(known, key=lambda s: s.optime or 0, default=None)
    told = f"; furthest ahead: {_short(ahead.host)}" if ahead else ""
    return Held(
        steps.QUORUM_LOST,
        f"{len(alive)} of {len(voters)} voters hold the data, too few to elect a primary: {where}{told}",
        "bring the other members or their volumes back; only when none can return, force a configuration "
        "by hand on the member furthest ahead: writes that only the others have are lost then",
    )


def _position(seen: Seen) -> str:
    return f"{_short(seen.host)} {seen.state}" + (f" ({seen.optime})" if seen.optime else "")


def _short(host: str) -> str:
    """The pod's name, of a host that has one."""
    return host if host[:1].isdigit() else host.partition(".")[0]

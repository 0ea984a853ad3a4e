"""The words of a replica set: states, positions, a configuration, and what was seen of its members.

Values only. How they are read stands in `reading.py`, what follows from them in `growing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

SET: Final = "rs0"
"""Name of the replica set. Sets of different services are told apart by their keyfile."""
ELECTION_MILLIS: Final = 10_000
MOST_VOTES: Final = 7


class State(StrEnum):
    """What a member is, in the server's words and two of ours."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"
    STARTUP = "STARTUP"
    STARTUP2 = "STARTUP2"
    RECOVERING = "RECOVERING"
    ROLLBACK = "ROLLBACK"
    REMOVED = "REMOVED"
    ARBITER = "ARBITER"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"
    EMPTY = "EMPTY"
    """It answers and belongs to no set."""
    SILENT = "SILENT"
    """Nothing answers there."""

    @property
    def holds_data(self) -> bool:
        """Whether it has all of the set's data, up to its lag."""
        return self in (State.PRIMARY, State.SECONDARY)


@dataclass(frozen=True, slots=True, order=True)
class Optime:
    """A position in the oplog. Terms come first: of two members, the one of the later term is ahead."""

    term: int
    seconds: int
    increment: int = 0

    def __str__(self) -> str:
        return f"term {self.term}, {self.seconds}.{self.increment}"


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the configuration has it. `rest` is given back to the server unchanged."""

    id: int
    host: str
    votes: int = 1
    priority: float = 1
    rest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of a set."""

    version: int
    term: int
    members: tuple[Member, ...]
    election_millis: int = ELECTION_MILLIS
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def voters(self) -> tuple[Member, ...]:
        """The members that vote."""
        return tuple(member for member in self.members if member.votes)

    @property
    def majority(self) -> int:
        """How many voters elect a primary and acknowledge a write."""
        return len(self.voters) // 2 + 1

    def member(self, host: str) -> Member | None:
        """The member at a host."""
        return next((each for each in self.members if each.host == host), None)

    def following(self, members: tuple[Member, ...]) -> Config:
        """The next configuration, of these members."""
        return replace(self, version=self.version + 1, members=members)


@dataclass(frozen=True, slots=True)
class Seen:
    """One member as it was last seen. `set` is the set it says it belongs to."""

    host: str
    state: State
    optime: Optime | None = None
    set: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the admin database, with roles as `role@database`."""

    name: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Observed:
    """A set as it was seen: every host that is wanted or configured, once.

    `primary` is the host of the primary of the latest term, or nothing. What only a primary can
    tell (`majority`: whether writes wait for one by default; `users`) is None without it.
    """

    seen: tuple[Seen, ...]
    primary: str = ""
    config: Config | None = None
    majority: bool | None = None
    users: frozenset[User] | None = None

    def at(self, host: str) -> Seen:
        """What was seen at a host."""
        found = next((each for each in self.seen if each.host == host), None)
        return found or Seen(host, State.SILENT)

    def is_close(self, host: str, lag: int) -> bool:
        """Whether the member there holds all data but the last `lag` seconds of the primary's."""
        mine, first = self.at(host), self.at(self.primary)
        if not mine.state.holds_data or mine.optime is None or first.optime is None:
            return False
        return first.optime.seconds - mine.optime.seconds <= lag

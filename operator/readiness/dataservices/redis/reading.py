"""What a Redis with Sentinels says of itself, understood: who is primary, who follows, what is wrong with whom.

Pure: answers as the servers gave them in, one value out. Reasons hold nothing that moves by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from readiness.snapshot import MemberSeen, Seen

MAX_LAG: Final = 10
"""Seconds: as `min-replicas-max-lag` has it, a replica behind more than this does not count."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One server's answers; `error` is a word of ours, and then the rest is empty.

    `facts` of a member are INFO, of a sentinel SENTINEL MASTER. `accepts` holds password hashes by
    user. `quorum` is a sentinel's own view, `ranks` by host how readily a member would be promoted: as
    it says itself, or as a sentinel has it of every replica that it knows.
    """

    name: str
    host: str
    facts: Mapping[str, str] = field(default_factory=dict)
    accepts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    quorum: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `lag` is in seconds, as the primary counts it. `reasons` is empty when all is well."""

    name: str
    role: str
    lag: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """The whole set. `primary` is the member that a majority of all sentinels names, or empty."""

    primary: str
    epoch: int
    members: tuple[Member, ...]
    sentinels: tuple[Member, ...]

    @property
    def is_whole(self) -> bool:
        """One agreed primary, and nothing wrong with anyone."""
        return bool(self.primary) and not any(each.reasons for each in self.everyone)

    @property
    def everyone(self) -> tuple[Member, ...]:
        """Members and sentinels."""
        return (*self.members, *self.sentinels)

    @property
    def lag(self) -> int | None:
        """The longest lag of a replica that follows."""
        return max((each.lag for each in self.members if each.lag is not None), default=None)


def observed_of(members: tuple[Answer, ...], sentinels: tuple[Answer, ...]) -> Observed:
    """What the answers of all servers, asked at one time, say together."""
    named = Counter(each.facts.get("ip", "") for each in sentinels if not each.error)
    host, votes = max(named.items(), key=lambda item: item[1], default=("", 0))
    agreed = host if 2 * votes > len(sentinels) else ""
    primary = next((each for each in members if agreed and each.host == agreed), None)
    lags = _lags(primary)
    return Observed(
        primary=primary.name if primary else "",
        epoch=max((int(each.facts.get("config-epoch", 0)) for each in sentinels), default=0),
        members=tuple(_member(each, primary, lags.get(each.host)) for each in members),
        sentinels=tuple(_sentinel(each, agreed, len(members)) for each in sentinels),
    )


def seen_of(observed: Observed, answers: Iterable[Answer] = ()) -> Seen:
    """What is told of it, and what the next step follows from: nothing of that moves by itself."""
    members = tuple(MemberSeen(m.name, m.role, m.reasons) for m in observed.everyone)
    facts = tuple(replace(each, facts={}) for each in answers)
    reason = "" if observed.primary else "NoPrimary"
    return Seen(observed.primary, members, reason, observed.lag, facts=facts)


def _member(answer: Answer, primary: Answer | None, lag: int | None) -> Member:
    if answer.error:
        return Member(answer.name, "", None, (answer.error,))
    facts = answer.facts
    role = "primary" if facts.get("role") == "master" else "replica"
    following = primary is not None and facts.get("master_host") == primary.host
    found = {
        "Loading": facts.get("loading") == "1",
        "SecondPrimary": role == "primary" and primary is not None and answer is not primary,
        "FollowsAnother": role == "replica" and primary is not None and not following,
        "NotFollowing": role == "replica" and facts.get("master_link_status") != "up",
        "Copying": role == "replica" and facts.get("master_sync_in_progress") == "1",
        "Lagging": lag is not None and lag > MAX_LAG,
        "AppendOnlyFails": facts.get("aof_last_write_status", "ok") != "ok",
        "SavingFails": facts.get("rdb_last_bgsave_status", "ok") != "ok",
    }
    return Member(answer.name, role, lag, tuple(reason for reason, holds in found.items() if holds))


def _sentinel(answer: Answer, agreed: str, members: int) -> Member:
    if answer.error:
        return Member(answer.name, "sentinel", None, (answer.error,))
    found = {
        "Disagrees": bool(agreed) and answer.facts.get("ip") != agreed,
        "NoQuorum": not answer.quorum,
        "PrimaryDown": "down" in answer.facts.get("flags", ""),
        "KnowsTooFew": int(answer.facts.get("num-slaves", 0)) < members - 1,
    }
    return Member(answer.name, "sentinel", None, tuple(reason for reason, holds in found.items() if holds))  # fmt: skip


def _lags(primary: Answer | None) -> Mapping[str, int]:
    """Seconds since each replica was last heard of, from lines such as `slave0:ip=h,port=6379,state=online,…,lag=1`."""
    if primary is None:
        return {}
    rows = [text for key, text in primary.facts.items() if key.startswith("slave") and "ip=" in text]  # fmt: skip
    parts = [dict(pair.split("=", 1) for pair in row.split(",") if "=" in pair) for row in rows]
    return {each["ip"]: int(each["lag"]) for each in parts if each.get("state") == "online"}

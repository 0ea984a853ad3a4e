"""Which snapshots are kept and which go, each with its reason: a plan of what is listed and of now. Pure.

Days and months are those that have a snapshot, counted in UTC: an outage of a month shortens nothing. The guards come last and
can only keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from readiness.backups.snapshots import Snapshot

NEWEST: Final = 3
FRESH_SECONDS: Final = 26 * 3600
AHEAD_SECONDS: Final = 300
DEBRIS_SECONDS: Final = 24 * 3600
BURST_SHARE: Final = 0.1
BURST_BASE: Final = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """How many newest of days, of months, and of all are kept."""

    daily: int = 30
    monthly: int = 12
    last: int = NEWEST


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one snapshot, and why."""

    snapshot: Snapshot
    keep: bool
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A verdict on each, the newest first. `held`: why some or all that could go stay for now."""

    verdicts: tuple[Verdict, ...]
    held: str = ""

    @property
    def leaving(self) -> tuple[Snapshot, ...]:
        """What goes, the oldest first."""
        return tuple(each.snapshot for each in reversed(self.verdicts) if not each.keep)


def plan_retention(listed: Iterable[Snapshot], rules: Rules, now: float) -> Plan:
    """The union of the rules, under the guards."""
    ordered = sorted(listed, key=lambda each: (-each.at, each.id))
    reasons = wanted_of([each for each in ordered if each.complete], rules)
    verdicts = tuple(_verdict(each, reasons, now) for each in ordered)
    held = _held(ordered, now)
    return _kept(verdicts, held) if held else _within_burst(verdicts)


def wanted_of(complete: Sequence[Snapshot], rules: Rules) -> dict[str, str]:
    """Why a snapshot is kept, by its id; `complete` has the newest first."""
    found: dict[str, str] = {}
    for amount, bucket in ((rules.daily, _day), (rules.monthly, _month)):
        newest: dict[str, Snapshot] = {}
        for each in complete:
            standing = newest.setdefault(bucket(each), each)
            if standing.suspicious and not each.suspicious:
                newest[bucket(each)] = each
        for key in sorted(newest, reverse=True)[:amount]:
            found.setdefault(newest[key].id, f"the newest of {key}")
    for each in complete[: max(rules.last, NEWEST)]:
        found.setdefault(each.id, f"one of the newest {max(rules.last, NEWEST)}")
    return found


def _verdict(each: Snapshot, reasons: dict[str, str], now: float) -> Verdict:
    if each.complete:
        keep, why = each.id in reasons, reasons.get(each.id, "neither of a day nor of a month to be kept")  # fmt: skip
        return Verdict(each, keep, why)
    if now - each.at < DEBRIS_SECONDS:
        return Verdict(
            each, keep=True, why="not complete, and of today: its run may still be there"
        )
    return Verdict(each, keep=False, why="not complete: nothing can be restored from it")


def _held(ordered: Sequence[Snapshot], now: float) -> str:
    """What forbids every deletion."""
    if any(each.at > now + AHEAD_SECONDS for each in ordered):
        return "a snapshot is from the future: a clock is wrong"
    good = [each.at for each in ordered if each.complete and not each.suspicious]
    if not good or now - good[0] > FRESH_SECONDS:
        return "the last success is older than 26 h: what is old may be all there is"
    return ""


def _kept(verdicts: Iterable[Verdict], held: str) -> Plan:
    return Plan(tuple(v if v.keep else Verdict(v.snapshot, keep=True, why=held) for v in verdicts), held)  # fmt: skip


def _within_burst(verdicts: tuple[Verdict, ...]) -> Plan:
    """A tenth and two, the oldest; the others go another day."""
    most = int(len(verdicts) * BURST_SHARE) + BURST_BASE
    leaving = [each for each in reversed(verdicts) if not each.keep]
    if len(leaving) <= most:
        return Plan(verdicts)
    held = f"at most {most} of {len(verdicts)} go in one run"
    later = {each.snapshot.id for each in leaving[most:]}
    return Plan(
        tuple(Verdict(v.snapshot, keep=True, why=held) if v.snapshot.id in later else v for v in verdicts), held
    )  # fmt: skip


def _day(each: Snapshot) -> str:
    return f"{datetime.fromtimestamp(each.at, UTC):%Y-%m-%d}"


def _month(each: Snapshot) -> str:
    return f"{datetime.fromtimestamp(each.at, UTC):%Y-%m}"

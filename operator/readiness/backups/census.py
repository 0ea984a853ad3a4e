"""What a repository lists, counted against the rules of retention: that it keeps what it should is seen, not believed.

A run counts and tells; the operator judges. Pure. Days and months are those of the calendar, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from readiness.backups.retention import Rules, wanted_of
from readiness.backups.snapshots import Snapshot

TOLERANCE: Final = 1
"""A day that is not over, a month that has just begun, a run beside this one."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many of the last days and months have a complete snapshot, how many no rule wants, and when the oldest was made."""

    days: int
    months: int
    surplus: int
    oldest: int


def census_of(listed: Iterable[Snapshot], rules: Rules, now: float) -> Census:
    """Counted at `now`, today and this month being the last."""
    complete = sorted((s for s in listed if s.complete), key=lambda each: (-each.at, each.id))
    today, days = _day(now), {_day(each.at) for each in complete}
    wanted = wanted_of(complete, rules)
    return Census(
        days=sum(0 <= (today - day).days < rules.daily for day in days),
        months=len({_month(d) for d in days if 0 <= _month(today) - _month(d) < rules.monthly}),
        surplus=sum(each.id not in wanted for each in complete),
        oldest=complete[-1].at if complete else 0,
    )


def deviations_of(census: Census, rules: Rules, since: float, now: float) -> Iterator[str]:
    """What is not as the rules have it, of a store that has had backups since then; counted at `now`."""
    first, today = _day(min(since, census.oldest or since)), _day(now)
    of_days = min(rules.daily, (today - first).days + 1)
    of_months = min(rules.monthly, _month(today) - _month(first) + 1)
    if of_days - census.days > TOLERANCE:
        yield f"{of_days - census.days} of the last {of_days} days have no snapshot"
    if of_months - census.months > TOLERANCE:
        yield f"{of_months - census.months} of the last {of_months} months have no snapshot"
    if census.surplus > TOLERANCE:
        yield f"{census.surplus} snapshots are still there that no rule keeps"


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _month(day: date) -> int:
    return day.year * 12 + day.month

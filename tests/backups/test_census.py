"""What a repository lists, counted against what it should: years of a clean history deviate in nothing, and each thing lost is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from readiness.backups.census import Census, census_of, deviations_of
from readiness.backups.retention import Rules, plan_retention
from readiness.backups.snapshots import Snapshot

DAY, HOUR = 86400, 3600
START = int(datetime(2024, 1, 1, 2, 30, tzinfo=UTC).timestamp())
RULES = Rules(daily=30, monthly=12)


def snapshot(day: int) -> Snapshot:
    return Snapshot(f"{day:05d}", START + day * DAY, complete=True)


def history(days: int, missing: frozenset[int] = frozenset()) -> tuple[Snapshot, ...]:
    """What is left in the morning of the last day: a dump each night, retention three hours later."""
    left: tuple[Snapshot, ...] = ()
    for day in range(days):
        left = left if day in missing else (snapshot(day), *left)
        gone = {each.id for each in plan_retention(left, RULES, START + day * DAY + 3 * HOUR).leaving}  # fmt: skip
        left = tuple(each for each in left if each.id not in gone)
    return left


def said(left: tuple[Snapshot, ...], days: int, since: float = START) -> tuple[str, ...]:
    now = START + (days - 1) * DAY + 3 * HOUR
    return tuple(deviations_of(census_of(left, RULES, now), RULES, since, now))


@pytest.mark.parametrize("days", [1, 2, 15, 30, 31, 33, 60, 61, 365, 366, 500, 800])
def test_a_clean_history_of_any_length_is_as_it_should_be(days: int):
    assert said(history(days), days) == ()


def test_counted_are_days_and_months_of_the_calendar():
    left = history(800)
    census = census_of((*left, Snapshot("x", START, complete=False)), RULES, START + 799 * DAY + 3 * HOUR)  # fmt: skip

    assert (census.days, census.months, census.surplus) == (30, 12, 0)
    assert census.oldest == left[-1].at
    assert census_of((), RULES, START) == Census(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({398}, ()),
        ({398, 390}, ("2 of the last 30 days have no snapshot",)),
        ({399, 398, 397}, ("3 of the last 30 days have no snapshot",)),
        ({100, 101, 102}, ()),
        (set(range(91, 121)), ()),
        (set(range(91, 152)), ("2 of the last 12 months have no snapshot",)),
    ],
    ids=["one day", "two days", "the last three", "long ago", "April", "April and May"],
)
def test_what_was_never_saved_shows_as_long_as_it_should_be_there(
    missing: set[int], expected: tuple[str, ...]
):
    assert said(history(400, frozenset(missing)), 400) == expected


def test_what_somebody_deleted_shows():
    left = history(400)

    assert said(left[:20], 400) == ("10 of the last 30 days have no snapshot", "10 of the last 12 months have no snapshot")  # fmt: skip
    assert said(left[:28], 400) == ("2 of the last 30 days have no snapshot", "10 of the last 12 months have no snapshot")  # fmt: skip
    assert said((), 400) == ("30 of the last 30 days have no snapshot", "12 of the last 12 months have no snapshot")  # fmt: skip
    # where nobody remembers when it began, the oldest that is left tells
    assert said(left[:20], 400, since=START + 399 * DAY) == ()


def test_what_should_have_gone_shows():
    kept = history(400)

    assert said((*kept, snapshot(350)), 400) == ()
    assert said((*kept, snapshot(350), snapshot(351)), 400) == ("2 snapshots are still there that no rule keeps",)  # fmt: skip

"""Retention over years of virtual time, with failures, gaps, duplicates and debris: what is never done, and what is left in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.backups.retention import Plan, Rules, plan_retention
from readiness.backups.snapshots import Snapshot

DAY, HOUR = 86400, 3600
START = int(datetime(2024, 1, 1, 2, 30, tzinfo=UTC).timestamp())
RULES = Rules(daily=30, monthly=12, last=3)


def snapshot(at: int, nth: int = 0, *, complete: bool = True, suspicious: bool = False) -> Snapshot:
    return Snapshot(f"{at:012d}-{nth}", at, complete=complete, suspicious=suspicious)


def expected(history: Iterable[Snapshot], rules: Rules) -> set[str]:
    """What 30/12 says of everything that was ever saved, written another way: by walking from the newest on."""
    found: set[str] = set()
    walked = sorted((s for s in history if s.complete), key=lambda s: s.at, reverse=True)
    for form, amount in (("%Y%m%d", rules.daily), ("%Y%m", rules.monthly)):
        buckets: dict[str, list[Snapshot]] = {}
        for each in walked:
            buckets.setdefault(datetime.fromtimestamp(each.at, UTC).strftime(form), []).append(each)
        for bucket in list(buckets.values())[:amount]:
            good = [each for each in bucket if not each.suspicious]
            found.add((good or bucket)[0].id)
    return found | {each.id for each in walked[: rules.last]}


def check(plan: Plan, listed: Sequence[Snapshot], now: float) -> None:
    """What holds on any day whatsoever."""
    assert {v.snapshot.id for v in plan.verdicts} == {s.id for s in listed}
    assert all(v.why for v in plan.verdicts)
    leaving = {s.id for s in plan.leaving}
    complete = sorted((s for s in listed if s.complete), key=lambda s: s.at, reverse=True)
    assert not leaving & {s.id for s in complete[:3]}
    assert len(leaving) <= len(listed) * 0.1 + 2
    good = [s.at for s in complete if not s.suspicious]
    if not good or now - max(good) > 26 * HOUR:
        assert not leaving
        assert plan.held or not [v for v in plan.verdicts if not v.keep]


DAYS = st.lists(
    st.one_of(
        st.just((1, 0, 0)),
        st.just((1, 0, 0)),
        st.just((1, 0, 0)),
        st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(pattern=DAYS, years=st.integers(1, 3), prunes=st.integers(1, 9))
def test_years_of_backups(pattern: list[tuple[int, int, int]], years: int, prunes: int):
    """`pattern` repeats: successes, debris and suspicious ones of a day; retention runs every `prunes` days."""
    history: list[Snapshot] = []
    listed: list[Snapshot] = []
    for day in range(365 * years):
        whole, debris, odd = pattern[day % len(pattern)]
        at = START + day * DAY
        made = [snapshot(at + nth * HOUR) for nth in range(whole)]
        made += [snapshot(at + 600, 1, complete=False)] * debris
        made += [snapshot(at + nth * 1200 + 60, 2, suspicious=True) for nth in range(odd)]
        history, listed = history + made, listed + made
        if day % prunes == 0:
            now = at + 5 * HOUR
            plan = plan_retention(listed, RULES, now)
            check(plan, listed, now)
            gone = {each.id for each in plan.leaving}
            listed = [each for each in listed if each.id not in gone]

    wanted = expected(history, RULES)
    assert wanted <= {each.id for each in listed}, "nothing that is to be kept was ever deleted"
    if any(each.complete and not each.suspicious for each in listed):
        newest = max(each.at for each in listed if each.complete and not each.suspicious)
        settled = prune_until_nothing_goes(listed, newest + HOUR)
        young = {each.id for each in listed if not each.complete and newest + HOUR - each.at < DAY}
        if all(each.at <= newest + HOUR for each in listed):
            assert {each.id for each in settled} == wanted | young


def prune_until_nothing_goes(listed: list[Snapshot], now: float) -> list[Snapshot]:
    while (plan := plan_retention(listed, RULES, now)).leaving:
        gone = {each.id for each in plan.leaving}
        listed = [each for each in listed if each.id not in gone]
    return listed


def test_two_years_without_a_failure_leave_thirty_days_and_twelve_months():
    history = [snapshot(START + day * DAY) for day in range(730)]
    left = prune_until_nothing_goes(history, history[-1].at + HOUR)

    days = {datetime.fromtimestamp(s.at, UTC).date() for s in left}
    assert (
        len(left) == 30 + 12 - 1
    )  # the newest of this month and of the month before may be days as well
    assert len({(day.year, day.month) for day in days}) == 12


YOUNG = [snapshot(START - day * DAY) for day in range(100)]


@pytest.mark.parametrize(
    ("listed", "now", "held"),
    [
        (YOUNG, START + 26 * HOUR + 1, "older than 26 h"),
        ([replace(s, suspicious=True) for s in YOUNG], START + HOUR, "older than 26 h"),
        ([*YOUNG, snapshot(START + 2 * HOUR)], START + HOUR, "from the future"),
        ([snapshot(START, 1, complete=False)], START + 2 * DAY, "older than 26 h"),
    ],
)
def test_a_guard_forbids_every_deletion(listed: list[Snapshot], now: float, held: str):
    plan = plan_retention(listed, RULES, now)

    assert plan.leaving == ()
    assert held in plan.held


def test_what_piled_up_goes_little_by_little_and_the_oldest_first():
    plan = plan_retention(YOUNG, RULES, START + HOUR)

    assert len(plan.leaving) == 12
    assert plan.leaving[0].at < plan.leaving[-1].at
    assert plan.held == "at most 12 of 100 go in one run"
    assert max(s.at for s in plan.leaving) < min(v.snapshot.at for v in plan.verdicts if v.why == plan.held)  # fmt: skip


def test_nothing_listed_is_nothing_to_do():
    assert plan_retention((), RULES, START) == Plan((), "the last success is older than 26 h: what is old may be all there is")  # fmt: skip

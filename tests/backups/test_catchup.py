"""Missed schedules over virtual time: what is noticed, what is done about it, and how rarely."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from readiness.backups.catchup import PAUSE_SECONDS, Known, Missed, Step, catch_up, drill_again
from readiness.schedule import due_by

HOUR, MINUTE = 3600.0, 60.0
DAILY = "13 2 * * *"


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


DUE = at("2026-11-21T02:13:00")
BEFORE = Known(since=at("2026-11-01T10:00:00"), newest=DUE - 24 * HOUR + 40, listed=DUE - 21 * HOUR)
NOTICED = DUE + HOUR
LISTED = replace(BEFORE, listed=NOTICED + 60, tried=NOTICED + 30, step="listing")
SAVING = replace(LISTED, tried=NOTICED + 90, step="backup")


@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        # all is well, or nobody knows yet
        (replace(BEFORE, newest=DUE + 40), NOTICED + HOUR, None),
        (replace(BEFORE, newest=DUE - 200), NOTICED + HOUR, None),
        (BEFORE, DUE - MINUTE, None),
        (BEFORE, NOTICED - 1, None),
        (replace(BEFORE, running=True), NOTICED, None),
        # the operator, the node or the whole cluster was away: the repository is asked first
        (BEFORE, NOTICED, Missed(DUE, Step.LIST, NOTICED)),
        (BEFORE, DUE + 20 * HOUR, Missed(DUE, Step.LIST, DUE + 20 * HOUR)),
        (BEFORE, DUE + 4 * 24 * HOUR, Missed(DUE + 3 * 24 * HOUR, Step.LIST, DUE + 4 * 24 * HOUR)),
        (LISTED, NOTICED + 70, Missed(DUE, Step.SAVE, NOTICED + 70)),
        (replace(LISTED, newest=DUE + 50), NOTICED + 70, None),
        # nobody has told since: a Job by hand, or retention, that listed does for an answer
        (replace(BEFORE, listed=NOTICED + 9), NOTICED + 70, Missed(DUE, Step.SAVE, NOTICED + 70)),
        # never ran
        (Known(since=DUE - HOUR), NOTICED - 1, None),
        (Known(since=DUE - HOUR), NOTICED, Missed(DUE, Step.LIST, NOTICED)),
        # the first schedule is not due yet: backups are asked for since after it
        (Known(since=DUE + 1), NOTICED + 5 * HOUR, None),
        # one at a time, and one every six hours
        (SAVING, NOTICED + 2 * HOUR, Missed(DUE)),
        (SAVING, SAVING.tried + PAUSE_SECONDS - 1, Missed(DUE)),
        (SAVING, SAVING.tried + PAUSE_SECONDS, Missed(DUE, Step.SAVE, SAVING.tried + PAUSE_SECONDS)),
        (replace(SAVING, running=True), SAVING.tried + PAUSE_SECONDS, Missed(DUE)),
        (replace(LISTED, listed=BEFORE.listed), NOTICED + 5 * HOUR, None),
        (replace(LISTED, listed=BEFORE.listed), LISTED.tried + PAUSE_SECONDS, Missed(DUE, Step.LIST, LISTED.tried + PAUSE_SECONDS)),
        # a Job that nobody has seen is started again, as the same
        (replace(SAVING, seen=False), SAVING.tried + 20, Missed(DUE, Step.SAVE, SAVING.tried)),
        (replace(LISTED, listed=BEFORE.listed, seen=False), LISTED.tried + 20, Missed(DUE, Step.LIST, LISTED.tried)),
        (replace(SAVING, seen=False), SAVING.tried + 601, Missed(DUE)),
        # a clock that was ahead, and has been put right: nothing is blocked for longer than six hours
        (replace(SAVING, tried=NOTICED + 5 * HOUR), NOTICED + 70, Missed(DUE)),
        (replace(SAVING, tried=NOTICED + 48 * HOUR), NOTICED + 70, Missed(DUE, Step.SAVE, NOTICED + 70)),
        (replace(SAVING, tried=NOTICED + 48 * HOUR, seen=False), NOTICED + 70, Missed(DUE, Step.SAVE, NOTICED + 70)),
    ],
)  # fmt: skip
def test_what_follows_from_what_is_known(known: Known, now: float, expected: Missed | None):
    assert catch_up(DAILY, "Etc/UTC", known, now) == expected


@pytest.mark.parametrize(
    ("zone", "now", "due"),
    [
        ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:00:00"),  # 02:13 does not exist
        ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T00:13:00"),  # 02:13 comes twice
        ("America/New_York", "2026-11-21T09:00:00", "2026-11-21T07:13:00"),
    ],
)
def test_clocks_that_are_changed_miss_nothing_and_double_nothing(zone: str, now: str, due: str):
    found = catch_up(DAILY, zone, Known(since=0.0), at(now))

    assert found == Missed(at(due), Step.LIST, at(now))
    assert catch_up(DAILY, zone, Known(since=0.0, newest=at(due) + 60), at(now)) is None


def test_it_is_proved_only_by_what_the_repository_listed():
    assert not Missed(DUE, Step.LIST, NOTICED).proved
    assert Missed(DUE, Step.SAVE, NOTICED).proved
    assert Missed(DUE).proved


@pytest.mark.parametrize("schedule", [DAILY, "30 */6 * * *", "5 * * * *", "0 3 * * 0"])
@pytest.mark.parametrize("works", [True, False])
def test_jobs_are_few_over_weeks_in_which_no_schedule_runs(schedule: str, works: bool):
    """Nobody starts CronJobs; those that are made up for succeed, or never do."""
    known, now, started = Known(since=DUE - 24 * HOUR), DUE, list[tuple[float, Step]]()
    while now < DUE + 21 * 24 * HOUR:
        now += 97.0
        found = catch_up(schedule, "Etc/UTC", known, now)
        if found is None or found.step is None:
            continue
        if found.at == now:
            started.append((now, found.step))
        known = replace(known, tried=found.at, step=str(found.step), listed=now + 30)
        if found.step is Step.SAVE and works:
            known = replace(known, newest=now + 30)

    saved = [when for when, step in started if step is Step.SAVE]
    assert saved, "somebody makes up for them"
    assert min((b - a for a, b in pairwise(saved)), default=PAUSE_SECONDS) >= PAUSE_SECONDS  # fmt: skip
    assert len(started) <= 2 * 21 * 4
    if works:
        dues = {due_by(schedule, "Etc/UTC", when - HOUR) for when in saved}
        assert len(dues) == len(saved), "once for each schedule at most"


WEEKLY = "13 4 * * 0"
SUNDAY = at("2026-11-15T04:13:00")
DRILLED = Known(since=at("2026-11-01T10:00:00"), newest=SUNDAY - 7 * 24 * HOUR + 90)
DRILLING = replace(DRILLED, tried=SUNDAY + HOUR, step="restore-drill")


@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        (replace(DRILLED, newest=SUNDAY + 90), SUNDAY + 2 * HOUR, None),
        (DRILLED, SUNDAY + HOUR - 1, None),
        (replace(DRILLED, since=SUNDAY + 1), SUNDAY + 2 * HOUR, None),
        # nobody ran it, nobody is asked first
        (DRILLED, SUNDAY + HOUR, Missed(SUNDAY, Step.DRILL, SUNDAY + HOUR)),
        (replace(DRILLED, newest=0.0), SUNDAY + 30 * HOUR, Missed(SUNDAY, Step.DRILL, SUNDAY + 30 * HOUR)),
        # one at a time, and one every six hours
        (replace(DRILLED, running=True), SUNDAY + HOUR, Missed(SUNDAY)),
        (DRILLING, SUNDAY + 2 * HOUR, Missed(SUNDAY)),
        (DRILLING, SUNDAY + HOUR + PAUSE_SECONDS - 1, Missed(SUNDAY)),
        (DRILLING, SUNDAY + HOUR + PAUSE_SECONDS, Missed(SUNDAY, Step.DRILL, SUNDAY + HOUR + PAUSE_SECONDS)),
        # a Job that nobody has seen is started again, as the same
        (replace(DRILLING, seen=False), SUNDAY + HOUR + 20, Missed(SUNDAY, Step.DRILL, SUNDAY + HOUR)),
        (replace(DRILLING, newest=SUNDAY + HOUR + 60), SUNDAY + 2 * HOUR, None),
    ],
)  # fmt: skip
def test_a_drill_is_made_up_for_by_the_same_rule(known: Known, now: float, expected: Missed | None):
    assert drill_again(WEEKLY, "Etc/UTC", known, now) == expected

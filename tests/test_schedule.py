"""When a schedule falls due, across changes of the clock."""

from __future__ import annotations

from datetime import datetime

import pytest

from readiness.schedule import CronSimError, Window, due_after, due_by

BERLIN = "Europe/Berlin"
CASES = [
    # cron, zone, now, last, next
    ("0 3 * * 0", "Etc/UTC", "2026-11-22T03:00:00Z", "2026-11-22T03:00Z", "2026-11-29T03:00Z"),
    ("0 3 * * 0", "Etc/UTC", "2026-11-22T02:59:59.9Z", "2026-11-15T03:00Z", "2026-11-22T03:00Z"),
    ("0 3 * * 0", BERLIN, "2026-11-22T02:30:00Z", "2026-11-22T02:00Z", "2026-11-29T02:00Z"),
    ("0 3 * * 0", BERLIN, "2026-07-05T02:30:00Z", "2026-07-05T01:00Z", "2026-07-12T01:00Z"),
    # the clock is put forward at 02:00: what was due at 02:30 is due at 03:00
    ("30 2 * * *", BERLIN, "2026-03-29T10:00:00Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"),
    # the clock is put back at 03:00: 02:30 comes twice, and is due once
    ("30 2 * * *", BERLIN, "2026-10-25T00:29:00Z", "2026-10-24T00:30Z", "2026-10-25T00:30Z"),
    ("30 2 * * *", BERLIN, "2026-10-25T01:30:00Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),
    ("0 0 29 2 *", "Etc/UTC", "2026-11-22T00:00:00Z", "2024-02-29T00:00Z", "2028-02-29T00:00Z"),
]


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(("cron", "zone", "now", "last", "following"), CASES)
def test_when_it_is_due(cron: str, zone: str, now: str, last: str, following: str):
    assert due_by(cron, zone, at(now)) == at(last)
    assert due_after(cron, zone, at(now)) == at(following)


@pytest.mark.parametrize("cron", ["0 25 * * *", "5-3 * * * *", "@daily", "0 0 30 2 *", "* * * *"])
def test_no_schedule(cron: str):
    with pytest.raises(CronSimError):
        due_by(cron, "Etc/UTC", 0.0)


@pytest.mark.parametrize(
    ("now", "seconds", "holds"),
    [(99.9, 0, False), (100, 0, True), (200, 0, True), (200.1, 0, False), (150, 50, True), (150, 51, False)],
)  # fmt: skip
def test_a_window_is_open_long_enough(now: float, seconds: float, holds: bool):
    assert Window(100.0, 200.0).holds(now, seconds) is holds

"""What runs told, and the metrics that follow: nothing where nobody told anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from readiness.backups.alerts import (
    DRILL_FAILURE,
    DRILLED,
    EXPECTED,
    FAILURE,
    HELD,
    METRICS,
    MISMATCHES,
    RTO,
    SECONDS,
    SIZE,
    SNAPSHOTS,
    SUCCESS,
    SUSPICIOUS,
)
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.backups.standing import Standing, samples_of, with_outcome
from readiness.metrics import Metrics

SAVED = Outcome("run-1", Task.BACKUP, Result.SUCCEEDED, Reason.SAVED, "saved", 1000, 7.5, size=99, snapshots=(3, 2))  # fmt: skip
FAILED = Outcome("run-2", Task.BACKUP, Result.FAILED, Reason.FULL, "full", 2000)
DRILL = Outcome("run-3", Task.RESTORE_DRILL, Result.SUCCEEDED, Reason.RESTORED, "all", 3000, 9.0, rto=4.5)  # fmt: skip
LOST = Outcome("run-4", Task.RESTORE_DRILL, Result.FAILED, Reason.DIFFERS, "less", 4000, mismatches=2)  # fmt: skip
KEPT = Outcome("run-5", Task.RETENTION, Result.SUCCEEDED, Reason.PRUNED, "3", 5000)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((), {}),
        ((SAVED,), {SUCCESS: 1000, SIZE: 99, SECONDS: 7.5, SNAPSHOTS: 2, SUSPICIOUS: 0}),
        ((replace(SAVED, reason=Reason.SUSPICIOUS),), {SUCCESS: 1000, SIZE: 99, SECONDS: 7.5, SNAPSHOTS: 2, SUSPICIOUS: 1}),
        ((SAVED, replace(SAVED, ended=900, size=1)), {SUCCESS: 1000, SIZE: 99, SECONDS: 7.5, SNAPSHOTS: 2, SUSPICIOUS: 0}),
        ((FAILED,), {FAILURE: 2000}),
        ((replace(SAVED, result=Result.LEFT, reason=Reason.ALREADY_SAVED),), {}),
        ((DRILL,), {DRILLED: 3000, RTO: 4.5}),
        ((LOST,), {DRILL_FAILURE: 4000, MISMATCHES: 2}),
        ((DRILL, LOST), {DRILLED: 3000, RTO: 4.5, DRILL_FAILURE: 4000, MISMATCHES: 2}),
        ((KEPT,), {HELD: 0}),
        ((KEPT, replace(KEPT, result=Result.LEFT, reason=Reason.HELD, ended=6000)), {HELD: 1}),
    ],
)  # fmt: skip
def test_metrics_follow_from_what_was_told(told: tuple[Outcome, ...], expected: dict[str, float]):
    known = Standing()
    for each in told:
        known = with_outcome(known, each)

    assert samples_of(known) == {EXPECTED: 1.0, **expected}


def test_every_metric_is_exported_with_its_place_and_nothing_else():
    known = Standing()
    for each in (SAVED, FAILED, DRILL, LOST, KEPT):
        known = with_outcome(known, each)
    metrics = Metrics(lambda: 0.0)
    stores = {("shop", "checkout", "orders"): samples_of(known), ("shop", "checkout", "new"): samples_of(Standing())}  # fmt: skip
    metrics.watch_stores(lambda: stores)

    text = metrics.exposition().decode()
    assert set(samples_of(known)) == set(METRICS)
    for name in METRICS:
        assert f'{name}{{namespace="shop",policy="checkout",service="orders"}} ' in text
    assert [line for line in text.splitlines() if 'service="new"' in line] == [f'{EXPECTED}{{namespace="shop",policy="checkout",service="new"}} 1.0']  # fmt: skip

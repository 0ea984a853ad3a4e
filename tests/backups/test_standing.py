"""What the status keeps of runs, and the metrics that follow: nothing where nobody told anything."""

from __future__ import annotations

import pytest

from readiness.backups.alerts import (
    DRILL_FAILURE,
    DRILLED,
    EXPECTED,
    FAILURE,
    HELD,
    METRICS,
    PREVIOUS_RTO,
    RTO,
    SIZE,
    SNAPSHOTS,
    SUCCESS,
    SUSPICIOUS,
)
from readiness.backups.standing import samples_of, stores_of
from readiness.metrics import Metrics
from readiness.model import Manifest

EARLY, LATE = "1970-01-01T00:16:40Z", "1970-01-01T00:33:20Z"
SAVED = {"lastSuccess": EARLY, "size": 99, "snapshots": 2}
TOLD = {SUCCESS: 1000, SIZE: 99, SNAPSHOTS: 2, SUSPICIOUS: 0}
DRILLS = {"lastSuccess": EARLY, "rtoSeconds": 4, "previousRtoSeconds": 3}
ALL = SAVED | {"lastFailure": LATE, "reason": "Denied", "retentionHeld": True, "restoreDrill": DRILLS | {"lastFailure": LATE}}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, {}),
        (SAVED, TOLD),
        ({"lastFailure": LATE, "reason": "Denied"}, {FAILURE: 2000}),
        (SAVED | {"lastFailure": LATE, "reason": "Denied"}, TOLD | {FAILURE: 2000}),
        (SAVED | {"lastFailure": LATE, "reason": "Suspicious"}, TOLD | {SUSPICIOUS: 1}),
        ({"lastFailure": LATE, "reason": "Suspicious"}, {SUSPICIOUS: 1}),
        ({"restoreDrill": DRILLS}, {DRILLED: 1000, RTO: 4, PREVIOUS_RTO: 3}),
        ({"restoreDrill": {"lastFailure": LATE, "reason": "RestoredDiffers"}}, {DRILL_FAILURE: 2000}),
        ({"retentionHeld": False}, {HELD: 0}),
        ({"retentionHeld": True}, {HELD: 1}),
    ],
)  # fmt: skip
def test_metrics_follow_from_what_was_told(row: Manifest, expected: dict[str, float]):
    assert samples_of(row) == {EXPECTED: 1.0, **expected}


def policy(**spec: object) -> Manifest:
    services = [{"name": "orders", "redis": {}}, {"name": "new", "redis": {}}, {"name": "scratch", "redis": {}, "backup": {"enabled": False}}, {"name": "theirs", "external": {}}]  # fmt: skip
    return {"spec": {"dataServices": services, **spec}, "status": {"dataServices": [{"name": "orders", "backup": ALL}, {"name": "scratch"}]}}  # fmt: skip


def test_every_store_that_is_to_be_backed_up_is_expected_and_no_other():
    assert stores_of(policy()) == {}
    assert stores_of(policy(backups={"destination": {}})) == {"orders": samples_of(ALL), "new": {EXPECTED: 1.0}, "theirs": {EXPECTED: 1.0}}  # fmt: skip
    assert set(samples_of(ALL)) == set(METRICS)


def test_every_metric_is_exported_with_its_place_and_goes_with_its_policy():
    metrics = Metrics(lambda: 0.0)
    metrics.verdicts.record_stores(("shop", "checkout"), stores_of(policy(backups={"destination": {}})))  # fmt: skip

    text = metrics.exposition().decode()
    for name in METRICS:
        assert f'{name}{{namespace="shop",policy="checkout",service="orders"}} ' in text
    assert [line for line in text.splitlines() if 'service="new"' in line] == [f'{EXPECTED}{{namespace="shop",policy="checkout",service="new"}} 1.0']  # fmt: skip
    metrics.verdicts.forget(("shop", "checkout"))
    assert 'service="' not in metrics.exposition().decode()

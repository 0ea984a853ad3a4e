"""The alert rules, evaluated by promtool over hours and days of virtual time: when each fires, and when it must not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import image
from localcluster import images
from readiness.backups.alerts import (
    ALERTS,
    DRILL_FAILURE,
    DRILLED,
    EXPECTED,
    FAILURE,
    HELD,
    SUCCESS,
    SUSPICIOUS,
    Store,
    build_rules,
)
from sandbox import rootfs
from strangers import OPERATIONS

STORE = Store("shop", "checkout", "orders", "checkout-orders-runbook")
STEP = 20
"""Minutes between two evaluations, and between two samples."""
STEPS = 200 * 3
FRESH = f"0+{STEP * 60}x{STEPS}"
"""The time itself."""
ONE, ZERO = f"1x{STEPS}", f"0x{STEPS}"
BRIEF = f"0+{STEP * 60}x3"
"""The same, for an hour."""
HEALTHY = {
    EXPECTED: ONE, SUCCESS: FRESH, DRILLED: FRESH, FAILURE: None, DRILL_FAILURE: None,
    SUSPICIOUS: ZERO, HELD: ZERO,
}  # fmt: skip


@pytest.fixture(scope="module")
def promtool() -> Path:
    return rootfs(images.debian_layer(image.SUITE, OPERATIONS)) / "usr/bin/promtool"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(build_rules(STORE)))
    return path


def always(value: float) -> str:
    return f"{value}x{STEPS}"


ROWS: dict[str, tuple[dict[str, str | None], str, set[str]]] = {
    # what differs from a store that is well; when it is looked at; what fires then
    "well": ({}, "200h", set()),
    "failed once, well since": ({FAILURE: always(60)}, "2h", set()),
    "25 hours old": ({SUCCESS: ZERO}, "25h40m", set()),
    "26 hours old": ({SUCCESS: ZERO}, "26h40m", {"ReadinessBackupOld"}),
    "its metric went away a day ago": ({SUCCESS: BRIEF}, "26h", set()),
    "its metric went away": ({SUCCESS: BRIEF}, "28h", {"ReadinessBackupMissing"}),
    "never any backup, first day": ({SUCCESS: None}, "25h40m", set()),
    "never any backup": ({SUCCESS: None}, "26h20m", {"ReadinessBackupMissing"}),
    "the only backup failed": ({SUCCESS: None, FAILURE: always(600)}, "1h", {"ReadinessBackupFailed"}),
    "the last one failed": ({SUCCESS: always(600), FAILURE: always(1200)}, "1h", {"ReadinessBackupFailed"}),
    "suspicious": ({SUSPICIOUS: ONE}, "1h", {"ReadinessBackupSuspicious"}),
    "retention is held": ({HELD: ONE}, "1h", {"ReadinessBackupRetentionHeld"}),
    "drilled a week ago": ({DRILLED: ZERO}, "191h", set()),
    "drilled 8 days ago": ({DRILLED: ZERO}, "192h40m", {"ReadinessRestoreDrillOld"}),
    "never drilled, first week": ({DRILLED: None}, "191h", set()),
    "never drilled": ({DRILLED: None}, "192h20m", {"ReadinessRestoreDrillMissing"}),
    "the only drill failed": ({DRILLED: None, DRILL_FAILURE: always(60)}, "1h", {"ReadinessRestoreDrillFailed"}),
    "the last drill failed": ({DRILLED: always(60), DRILL_FAILURE: always(120)}, "1h", {"ReadinessRestoreDrillFailed"}),
    "the operator is away": (dict.fromkeys(HEALTHY), "0m", set()),
    "the operator is gone": (dict.fromkeys(HEALTHY), "20m", {"ReadinessBackupUnwatched"}),
    "the operator is gone for good": (
        dict.fromkeys(HEALTHY), "200h",
        {"ReadinessBackupUnwatched", "ReadinessBackupMissing", "ReadinessRestoreDrillMissing"},
    ),
}  # fmt: skip


def test_what_fires(promtool: Path, rules: Path):
    tests = [
        {
            "name": name,
            "interval": f"{STEP}m",
            "input_series": [*series_of("shop", {**HEALTHY, **changed}), *series_of("blog", HEALTHY)],
            "alert_rule_test": [
                {"eval_time": at, "alertname": each.name, "exp_alerts": wanted(each.name, expected)}
                for each in ALERTS
            ],
        }
        for name, (changed, at, expected) in ROWS.items()
    ]  # fmt: skip
    document = {"rule_files": [str(rules)], "evaluation_interval": f"{STEP}m", "tests": tests}
    (rules.parent / "test.json").write_text(json.dumps(document))

    done = subprocess.run([promtool, "test", "rules", rules.parent / "test.json"], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_a_rule_file(promtool: Path, rules: Path):
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout


def test_every_alert_fires_in_some_row_and_every_age_has_its_absence():
    fired = set().union(*(expected for _, _, expected in ROWS.values()))

    assert fired == {alert.name for alert in ALERTS}
    ages = {alert.expression.split()[2] for alert in ALERTS if alert.expression.startswith("time()")}  # fmt: skip
    absences = {alert.expression for alert in ALERTS if alert.expression.startswith("absent(")}
    assert {f"absent({metric})" for metric in ages} <= absences


def series_of(namespace: str, series: dict[str, str | None]) -> list[dict[str, str]]:
    """Series of the store in a namespace; one of the same name elsewhere must not answer for it."""
    labels = f'namespace="{namespace}",policy="checkout",service="orders"'
    return [{"series": f"{name}{{{labels}}}", "values": v} for name, v in series.items() if v]


def wanted(name: str, expected: set[str]) -> list[dict[str, Any]]:
    if name not in expected:
        return []
    rule = next(each for each in build_rules(STORE)["groups"][0]["rules"] if each["alert"] == name)
    return [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}]

"""Every side of HA-010: what a clone answered while a store took no writes, in; verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from readiness.api import read_policy
from readiness.control import Control, Subject
from readiness.drills.majority import MODES, WELL, back
from readiness.model import Result
from readiness.naming import SERVICE_LABEL
from readiness.request import DrillRequest
from readiness.scenario import Unmet
from readiness.script import Arm
from readiness.snapshot import Provided
from readiness.step import Boot, Fault, Play
from readiness.timeline import Check, Problem, Timeline

from .simulated import Pod
from .tables import assert_row, names_of, sides_of, table_of
from .worlds import KNOWN, subject_of, told

TABLE = table_of("majority.yaml")
ROWS = TABLE["rows"]
HA010 = KNOWN["HA-010"]
assert isinstance(HA010, Control)
CONTROLS: Mapping[str, Control] = {"HA-010": HA010}
STORES = [
    {"name": "cache", "redis": {}, "backup": {"enabled": False}},
    {"name": "queue", "external": {"rabbitmq": {"hosts": ["queue"]}}},
]
OURS = {
    "kind": "StatefulSet", "metadata": {"name": "shop-cache", "labels": {SERVICE_LABEL: "cache"}},
    "spec": {"serviceName": "shop-cache-members", "replicas": 3},
}  # fmt: skip
RIGHT = {WELL: 201, **{label: status for mode in MODES for label, status in ((mode, 503), (back(mode), 201))}}  # fmt: skip


def subject_for(row: Mapping[str, Any]) -> Subject:
    """It uses a store of the operator's own, and one of somebody else's."""
    made = subject_of(TABLE["target"] | {"uses": []}, Pod(), port=row.get("port", True))
    policy = read_policy({"targets": [TABLE["target"] | row.get("target", {})], "dataServices": STORES})  # fmt: skip
    provided = Provided(children={("StatefulSet", "shop-cache"): OURS})
    return Subject(policy, policy.targets[0], replace(made.snapshot, provided=provided), made.workload)  # fmt: skip


def outcome(arm: Arm, row: Mapping[str, Any]) -> Timeline:
    seen = row.get("arms", {}).get(arm.name, {})
    if "problem" in seen:
        return Timeline(arm.name, problem=Problem(seen["problem"], "so it is"))
    answered = RIGHT | {label: status for label, status in seen.items() if label in RIGHT}
    checks = tuple(
        Check(label, "order", 1.0, 2.0, status, () if status // 100 == 2 and label != seen.get("lacks") else (Unmet("id", "absent"),))
        for label, status in answered.items()
        if label == WELL or seen.get("checks", True)
    )  # fmt: skip
    return Timeline(arm.name, container="app", lag=seen.get("lag", 0.0), checks=checks)


@pytest.mark.parametrize("row", ROWS, ids=names_of(ROWS))
def test_row(row: dict[str, Any]) -> None:
    assert_row(row, CONTROLS, subject_for(row), lambda _id, arm: outcome(arm, row))


def test_every_side_is_shown() -> None:
    assert sides_of(ROWS, "HA-010") >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


def test_without_an_answer_nothing_is_said() -> None:
    assert told(HA010.judge(subject_for({}), {})) == "Unknown NotDrilled"


def test_each_store_is_taken_from_a_clone_of_its_own_and_given_back() -> None:
    asked = [r.arm for r in HA010.ask(subject_for({})) if isinstance(r, DrillRequest)]

    assert [arm.name for arm in asked] == ["majority-cache", "majority-queue"]
    for arm in asked:
        name = arm.name.partition("-")[2]
        assert arm.apart
        assert isinstance(arm.steps[1], Boot)
        assert [(s.of, s.mode) for s in arm.steps if isinstance(s, Fault)] == [
            (name, "refuse"), (name, "open"), (name, "blackhole"), (name, "open"),
        ]  # fmt: skip
        played = {s.label: s for s in arm.steps if isinstance(s, Play)}
        assert list(played) == list(RIGHT) == ["well", "refuse", "refuse-back", "blackhole", "blackhole-back"]  # fmt: skip
        assert [s.succeed for s in played.values()] == [True, False, False, False, False]
        assert [scene.within for scene in played["refuse"].scenes] == [0.0, 0.0]
        assert min(scene.within for scene in played["refuse-back"].scenes) >= 30.0

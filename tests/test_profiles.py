"""The profiles of checklists: they demand what they name, nothing less is let through, and a plain profile lets it be."""

from __future__ import annotations

from typing import Any

import pytest

from readiness import plan, rules
from readiness.api import read_policy
from readiness.model import Mode, Result
from readiness.snapshot import Snapshot
from readiness.weigh import settings_of

TWINS = {"SHD-001p", "SHD-010p"}
"""Looked at and not counted: each needs rollouts, and its line has another proof."""
CHECKLISTS = ["or3-cloud", "or3-providers", "job-queue", "fastapi-mongo", "omnios"]
RULES = rules.load()
TARGET = {"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}
SNAPSHOT = Snapshot(
    namespace="shop",
    workloads={
        "api": {
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:1"}]}}},
        }
    },
)


def settings(profile: str, *controls: dict[str, Any]):
    policy = read_policy({"profiles": [profile], "controls": list(controls), "targets": [TARGET]})
    return settings_of(RULES, policy, SNAPSHOT)


@pytest.mark.parametrize("profile", CHECKLISTS)
def test_a_checklist_demands_all_that_it_names_and_contradicts_itself_nowhere(profile: str):
    found = settings(profile)

    assert found.keys() == {row.id for row in RULES.profiles[profile].controls}
    assert {
        id_ for id_, each in found.items() if not each.floored or each.weakened or each.wrong
    } == set()
    assert {id_ for id_, each in found.items() if each.mode is not Mode.ENFORCE} <= TWINS  # fmt: skip


def test_every_control_of_a_checklist_is_in_its_profile():
    named = {row.id for name in CHECKLISTS for row in RULES.profiles[name].controls}
    known = {**RULES.controls, **RULES.gates}

    assert named == {id_ for id_, rule in known.items() if rule.checklists}


WEAKER = [
    ("or3-cloud", {"id": "SHD-004", "mode": "audit"}, "mode audit, floor enforce"),
    ("or3-cloud", {"id": "HLT-001", "params": {"fields": ["status"]}}, "params.fields ['status'], floor ['status', 'timestamp', 'uptime']"),
    ("or3-providers", {"id": "CFG-007", "mode": "off"}, "mode off, floor enforce"),
    ("job-queue", {"id": "BKP-004", "params": {"daily": 7}}, "params.daily 7, floor 30"),
    ("job-queue", {"id": "HA-004", "params": {"maxLost": 1}}, "params.maxLost 1, floor 0"),
    ("fastapi-mongo", {"id": "DAT-012", "severity": "P3"}, "severity P3, floor P2"),
    ("omnios", {"id": "LIM-007", "maxAge": "720h"}, "maxAge 2592000s, floor 168h"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "setting", "weakened"), WEAKER)
def test_no_policy_goes_below_a_checklist(profile: str, setting: dict[str, Any], weakened: str):
    assert settings(profile, setting)[setting["id"]].weakened == (weakened,)


@pytest.mark.parametrize(
    ("profile", "setting"),
    [
        ("job-queue", {"id": "BKP-004", "params": {"daily": 60}}),
        ("fastapi-mongo", {"id": "DAT-009", "params": {"encryptedClasses": ["luks"]}}),
        ("fastapi-mongo", {"id": "DAT-012", "severity": "P0"}),
        ("omnios", {"id": "LIM-007", "maxAge": "24h"}),
    ],
)
def test_a_policy_may_ask_for_more_and_say_what_it_has(profile: str, setting: dict[str, Any]):
    assert settings(profile, setting)[setting["id"]].weakened == ()


def judged(profile: str):
    meta = {"name": "shop", "namespace": "shop", "uid": "u", "generation": 1}
    policy = {"metadata": meta, "spec": {"profiles": [profile], "targets": [TARGET]}}
    return plan.make(RULES, plan.Situation(policy, SNAPSHOT, {}, 1_800_000_000.0), {}).findings


@pytest.mark.parametrize(
    ("profile", "counts"), [("web", False), ("or3-cloud", True), ("job-queue", True)]
)
def test_what_is_not_declared_counts_as_unproven_where_a_checklist_asks_for_it(profile: str, counts: bool):  # fmt: skip
    open_ = [f for f in judged(profile) if f.verdict.reason == "NotDeclared" and f.id not in TWINS]

    assert open_
    assert {f.counts for f in open_} == {counts}
    assert {f.verdict.result for f in open_} <= {Result.UNKNOWN, Result.OPT_IN_REQUIRED}

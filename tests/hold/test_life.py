"""What people do to a policy in its life: suspend, ask again, deny probes, waive, set a floor."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from holdrig import until
from holdworld import deployment, policy, waiver

pytestmark = pytest.mark.api


def test_suspended_nobody_looks(launch, space, seat, audit):
    launch()
    space.apply(deployment(), policy())
    space.await_verdict("True")
    valid = space.status()["validUntil"]
    space.apply(policy(suspend=True))
    until(lambda: space.condition("Reconciling") == "False/Suspended")
    audit.mark()
    space.apply(deployment(good=False))
    time.sleep(3)
    assert audit.calls(seat.user, space.name) == []
    assert space.verdict() == "True/AllControlsHold"
    assert space.status()["validUntil"] == valid
    space.apply(policy(suspend=False))
    space.await_verdict("False")


def test_run_at_is_honoured_once(launch, space, seat, audit):
    launch()
    space.apply(deployment(), policy())
    space.await_verdict("True")
    audit.mark()
    annotations = {"metadata": {"annotations": {"readiness.dev/run-at": "2026-01-01T00:00:00Z"}}}
    space.patch("readinesspolicies", "app", annotations)
    until(lambda: space.status().get("lastRunAt") == "2026-01-01T00:00:00Z")
    time.sleep(2)
    assert audit.calls(seat.user, space.name) == ["patch readinesspolicies/status 200"]


def test_a_namespace_may_deny_probes(launch, space, served):
    """While the label stands not one request is sent; without it the same policy is judged."""
    launch()
    address, port, asked = served
    workload = deployment(replicas=1)
    workload["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = port
    space.apply(workload)
    space.run_pod("app", address)
    space.label("readiness.dev/deny", "probes")
    time.sleep(1)  # until the watch has told it
    space.apply(policy(controls=("SEC-010", "CFG-009", "GAT-001")))
    until(lambda: space.finding("CFG-009").get("reason") == "ProbesDenied")
    row = space.finding("CFG-009")
    assert row["result"] == "Unknown"
    assert "readiness.dev/deny-" in row["fix"]
    assert space.finding("SEC-010")["result"] == "Pass"
    assert asked == []
    space.label("readiness.dev/deny", None)
    space.await_verdict("True")
    assert asked


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_waiver_excuses_until_it_expires(launch, space):
    launch()
    space.apply(deployment(good=False), policy())
    space.await_verdict("False")
    failing = tuple(sorted({row["id"] for row in space.status()["failures"]}))
    space.apply(waiver("all", failing, soon(12)))
    space.await_verdict("True")
    assert space.status()["summary"]["waived"] == len(failing)
    assert {row["result"] for row in space.status().get("failures", ())} <= {"Waived"}
    space.await_verdict("False", seconds=45)  # nothing but the clock says so


def test_a_floor_binds_without_being_named(launch, space, api_server):
    launch()
    name = f"floor-{space.name}"
    profile = {
        "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessProfile", "metadata": {"name": name},
        "spec": {
            "appliesTo": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}}},
            "floor": [{"id": "SEC-010", "mode": "enforce"}],
        },
    }  # fmt: skip
    weak = policy()
    next(row for row in weak["spec"]["controls"] if row["id"] == "SEC-010")["mode"] = "audit"
    space.apply(deployment(), weak)
    space.await_verdict("True")
    path = "/apis/readiness.dev/v1alpha1/readinessprofiles"
    assert "spec" in api_server.request("POST", path, profile)
    try:
        space.await_verdict("Unknown")
        assert space.finding("SEC-010")["reason"] == "WeakenedWithoutWaiver"
        space.apply(policy())
        space.await_verdict("True")
        space.apply(weak)
        space.await_verdict("Unknown")
    finally:
        api_server.request("DELETE", f"{path}/{name}")
    space.await_verdict("True")

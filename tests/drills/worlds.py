"""Subjects and verdicts of simulated servers: what the tables of this folder have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import readiness.controls
from readiness.api import read_policy
from readiness.control import Control, Requirement, Subject
from readiness.model import Result, Verdict
from readiness.registry import discover
from readiness.request import DrillRequest
from readiness.snapshot import Snapshot
from readiness.timeline import Timeline

from .simulated import Pod, Server, simulate

KNOWN = discover(readiness.controls, Requirement)
TIMES = ("SHD-001", "SHD-002", "SHD-003", "SHD-004", "SHD-005", "SHD-006", "SHD-010")
CONTROLS: Mapping[str, Control] = {i: c for i in TIMES if isinstance(c := KNOWN[i], Control)}
Spoil = Callable[[Timeline], Timeline]
SNAPSHOT = Snapshot(
    namespace="shop",
    services={"api": {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}},
)


def subject_of(target: Mapping[str, Any], pod: Pod, *, port: bool = True) -> Subject:
    """A target and the workload whose template makes such pods."""
    container: dict[str, Any] = {"name": "app"}
    if port:
        container["ports"] = [{"containerPort": 8080}]
    if pod.hook and pod.shown:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pod.hook}}}
    elif pod.hook:
        container["lifecycle"] = {"preStop": {"exec": {"command": ["/drain.sh"]}}}
    spec = {"terminationGracePeriodSeconds": pod.grace, "containers": [container]}
    workload = {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {"spec": spec}}}  # fmt: skip
    policy = read_policy({"targets": [target]})
    return Subject(policy, policy.targets[0], SNAPSHOT, workload)


def verdict_of(
    id_: str, subject: Subject, server: Server, pod: Pod, spoil: Mapping[str, Any] | None = None
) -> Verdict:
    """What a control says after its drill. `spoil` replaces fields of every timeline."""
    control = CONTROLS[id_]
    answers = {}
    for request in control.ask(subject):
        assert isinstance(request, DrillRequest)
        seen = simulate(server, pod, request.arm)
        answers[request] = replace(seen, **(spoil or {}))
    return control.judge(subject, answers)


def told(verdict: Verdict) -> str:
    """`Fail NotDrained`."""
    assert verdict.where == "Deployment/api" or verdict.result is Result.UNKNOWN
    if verdict.result is Result.FAIL:
        assert verdict.expected, verdict
        assert verdict.observed, verdict
    if not verdict.result.holds and verdict.result is not Result.UNKNOWN:
        assert verdict.fix, verdict
    return f"{verdict.result} {verdict.reason}"

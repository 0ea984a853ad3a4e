"""Which rollouts are watched: from the first pass that sees them until the last old pod is gone."""

from __future__ import annotations

import dataclasses

import pytest
from test_plan import policy, snapshot, workload

from readiness import plan
from readiness.api.profile import ProfileSpec
from readiness.control import Control, passed
from readiness.model import Safety, Severity
from readiness.naming import DENY
from readiness.passages import ROLLOUT_CONTROL
from readiness.rules import Rules
from readiness.workload import template_hash

POD = {"metadata": {"name": "a"}, "status": {"podIP": "10.0.0.1"}}
GOING = {"metadata": {"name": "a", "deletionTimestamp": "t"}, "status": {"podIP": "10.0.0.1"}}
SERVICE = {
    "metadata": {"name": "api"},
    "spec": {"clusterIP": "10.1.0.1", "ports": [{"name": "http", "port": 80}]},
}
TARGET = {
    "name": "api",
    "workloadRef": {"kind": "Deployment", "name": "api"},
    "service": {"name": "api", "port": "http"},
    "health": {"path": "/health"},
}
OLD, NEW = template_hash(workload(template="1")), template_hash(workload(template="2"))


def rules(mode="audit"):
    control = Control(
        id=ROLLOUT_CONTROL, title="t", severity=Severity.P1, criterion="c", fix="f", safety=Safety.BENIGN,
        needs=("service",), judge=lambda subject, answers: passed("Fine", "fine"),
    )  # fmt: skip
    spec = ProfileSpec.model_validate({"controls": [{"id": control.id, "mode": mode}]})
    return Rules({control.id: control}, {}, {"baseline": spec})


def streams(found, known=OLD, *, pods=(POD,), mode="audit", target=None, **spec):
    status = {"targets": [{"name": "api", "templateHash": known}]} if known else None
    seen = snapshot(
        found, services={"api": SERVICE}, slices={"api": ({"endpoints": [{"addresses": ["10.0.0.1"]}]},)},
        pods={"api": pods}, pod_addresses={"10.0.0.1": "a"}, namespace_labels=spec.pop("labels", {}),
    )  # fmt: skip
    if spec.pop("blind", False):
        seen = dataclasses.replace(seen, unreadable={"namespaces": "forbidden"})
    its = policy(status=status, targets=[TARGET | (target or {})], **spec)
    return plan.make(rules(mode), plan.Situation(its, seen, {}, 1e9), {}).streams


@pytest.mark.parametrize(
    ("why", "found", "known", "pods", "seen"),
    [
        ("a new template is seen first", workload(template="2", done=False), OLD, (POD,), (True, False)),
        ("it goes on", workload(template="2", done=False), NEW, (POD,), (False, False)),
        ("old pods still end", workload(template="2"), NEW, (POD, GOING), (False, False)),
        ("it is over", workload(template="2"), NEW, (POD,), (False, True)),
        ("scaling replaces nothing", workload(template="1", done=False), OLD, (POD,), (False, False)),
        ("nobody saw what was before", workload(template="2", done=False), "", (POD,), (False, False)),
    ],
)  # fmt: skip
def test_a_rollout_has_a_beginning_and_an_end(why, found, known, pods, seen):
    (stream,) = streams(found, known, pods=pods)

    assert (stream.begins, stream.over) == seen, why
    assert stream.template == template_hash(found)
    assert str(stream.hop) == "service/api"


@pytest.mark.parametrize(
    ("declared", "path", "lenient"),
    [
        ({}, "/health", True),
        ({"http": {"public": ["/shop", "/"]}}, "/shop", False),
        ({"http": {"protected": ["/orders"]}}, "/health", True),
    ],
)
def test_what_anyone_may_ask_is_asked(declared, path, lenient):
    (stream,) = streams(workload(), target=declared)

    assert (stream.path, stream.lenient) == (path, lenient)


@pytest.mark.parametrize(
    "why",
    [
        {"mode": "off"},
        {"suspend": True},
        {"labels": {DENY: "all"}},
        {"blind": True},
        {"target": {"health": None}},
    ],
    ids=str,
)
def test_nothing_is_watched_where_nobody_may_ask(why):
    assert streams(workload(template="2", done=False), **why) == ()


def test_a_label_that_denies_drills_does_not_deny_it():
    (stream,) = streams(workload(template="2", done=False), labels={DENY: "drills"})

    assert stream.begins

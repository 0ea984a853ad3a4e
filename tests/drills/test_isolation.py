"""NetworkPolicies of a drill, asked as a cluster would: who may reach whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.drills.isolation import WAITER, build_isolation, build_runner_access
from readiness.drills.job import build_job
from readiness.drills.room import has_room
from readiness.drills.stores import build_store
from readiness.model import Manifest
from readiness.script import Script
from readiness.step import Meter
from readiness.workload import matches

from .cloning import ARM, CACHE, PLACE, SUBJECT, clone, deployment

JOB = build_job(Script("ab12", SUBJECT, (ARM,)), "operator:1")
CREATED = {**JOB, "metadata": {**JOB["metadata"], "uid": "7"}}
POLICIES = (build_isolation(PLACE), build_runner_access(CREATED))
DENY_ALL = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}  # fmt: skip
OTHER = build_job(Script("zz99", SUBJECT, (ARM,)), "operator:1")["spec"]["template"]

PODS: dict[str, tuple[str, dict[str, str]]] = {
    "clone": ("shop", clone(deployment())["metadata"]["labels"]),
    "store": ("shop", build_store(CACHE, "redis:7", PLACE)["metadata"]["labels"]),
    "runner": ("shop", JOB["spec"]["template"]["metadata"]["labels"]),
    "other runner": ("shop", OTHER["metadata"]["labels"]),
    "application": ("shop", {"app": "api"}),
    "real store": ("infra", {"app": "redis"}),
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "api server": ("", {}),
    "node-local dns": ("", {}),
}
NAMESPACE = "kubernetes.io/metadata.name"


def admits(rules: list[Manifest] | None, other: str, port: int, side: str) -> bool:
    return any(
        (not rule.get("ports") or port in [p["port"] for p in rule["ports"]])
        and (not rule.get(side) or any(is_peer(peer, other) for peer in rule[side]))
        for rule in rules or ()
    )


def is_peer(peer: Manifest, other: str) -> bool:
    namespace, labels = PODS[other]
    near = matches(peer["namespaceSelector"], {NAMESPACE: namespace}) if "namespaceSelector" in peer else namespace == "shop"  # fmt: skip
    return bool(namespace) and near and matches(peer.get("podSelector", {}), labels)


def allowed(pod: str, other: str, port: int, direction: str) -> bool:
    """Whether policies let a connection pass at this pod's end, in a namespace that denies all.

    What is not ours may send what it likes: other policies may allow it.
    """
    if not any("readiness.dev/" in label for label in PODS[pod][1]):
        return True
    rule, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    own = [p for p in (*POLICIES, DENY_ALL) if matches(p["spec"]["podSelector"], PODS[pod][1])]
    return any(admits(p["spec"].get(rule), other, port, side) for p in own)


@pytest.mark.parametrize(
    ("source", "target", "port", "passes"),
    [
        ("clone", "store", 6379, True),
        ("store", "clone", 80, True),
        ("runner", "clone", 8080, True),
        ("runner", "store", 9999, True),
        ("runner", "api server", 6443, True),
        ("clone", "dns", 53, True),
        ("clone", "dns", 5353, True),
        ("clone", "node-local dns", 53, True),
        ("store", "dns", 53, True),
        ("clone", "runner", 80, False),
        ("clone", "application", 80, False),
        ("clone", "real store", 6379, False),
        ("clone", "api server", 6443, False),
        ("store", "real store", 6379, False),
        ("application", "clone", 80, False),
        ("application", "store", 6379, False),
        ("application", "runner", 80, False),
        ("other runner", "clone", 80, False),
    ],
)
def test_who_reaches_whom_where_everything_is_denied(source, target, port, passes):
    out = allowed(source, target, port, "Egress")
    into = allowed(target, source, port, "Ingress")

    assert (out and into) is passes


@pytest.mark.parametrize("policy", POLICIES, ids=["isolation", "runner"])
def test_each_policy_denies_what_it_does_not_allow(policy: Manifest):
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["podSelector"]["matchLabels"]


def test_the_runners_own_policy_lasts_as_long_as_its_job():
    metadata: dict[str, Any] = POLICIES[1]["metadata"]

    assert metadata["ownerReferences"][0] == {
        "apiVersion": "batch/v1", "kind": "Job", "name": JOB["metadata"]["name"], "uid": "7"
    }  # fmt: skip
    assert "readiness.dev/drill" not in metadata["labels"]
    assert POLICIES[0]["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert POLICIES[0]["metadata"]["labels"]["readiness.dev/drill"] == "ab12"


SMALL, LARGE = {"cpu": "50m", "memory": "16Mi"}, {"cpu": "2", "memory": "1Gi"}
ENOUGH = {"cpu": "50m", "memory": "32Mi"}


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ({}, {}),
        ({"requests": LARGE}, {"requests": LARGE}),
        ({"requests": SMALL, "limits": LARGE}, {"requests": ENOUGH, "limits": LARGE}),
        ({"requests": SMALL, "limits": SMALL}, {"requests": ENOUGH, "limits": ENOUGH}),
        ({"limits": {"cpu": "1"}, "claims": [{"name": "gpu"}]}, {"limits": {"cpu": "1"}}),
        ({"limits": {"memory": "lots"}}, {"limits": {"memory": "lots"}}),
        ({"limits": {"memory": 64}}, {"limits": {"memory": "32Mi"}}),
    ],
    ids=[
        "nothing",
        "requests",
        "a small request",
        "guaranteed",
        "a device",
        "no quantity",
        "a number",
    ],
)
def test_a_clone_waits_for_its_isolation_first_and_its_class_stays(told: Manifest, asked: Manifest):
    workload = deployment({"resources": told}, initContainers=[{"name": "migrate"}])
    first, *others = clone(workload, place=replace(PLACE, image="operator:1"))["spec"]["initContainers"]  # fmt: skip

    assert [each["name"] for each in others] == ["migrate"]
    assert (first["name"], first["image"]) == (WAITER, "operator:1")
    assert first["resources"] == asked
    assert first["args"] == ["drill-isolated", "--within", "30", "--required"]
    assert first["securityContext"]["runAsNonRoot"]
    assert "fsGroup" not in first["securityContext"]


def test_a_meter_finds_its_room_beside_a_small_application():
    workload = deployment({"resources": {"limits": SMALL}})
    metered = replace(ARM, steps=(Meter(),))

    assert has_room(clone(workload, metered, replace(PLACE, image="operator:1")))

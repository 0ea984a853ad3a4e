"""Applications and policies as values: a good one, its one defect, and what judges them.

Workloads have no replicas, so that no controller adds events of its own: what is proved here is
the operator's dealing with the API server, not the controls.
"""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]
PASSIVE = (
    "CFG-004",
    "GAT-001",
    "GAT-003",
    "HLT-005",
    "REL-001",
    "SEC-001",
    "SEC-010",
    "SEC-011",
    "SHD-008",
)


def deployment(name: str = "app", *, good: bool = True, replicas: int = 0) -> Object:
    """A Deployment that passes every control of PASSIVE, or fails SEC-010 and HLT-005."""
    labels = {"app": name}
    probe = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 2}
    container = {
        "name": "app", "image": "registry.example.com/app:1.0.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": probe | {"failureThreshold": 30}, "readinessProbe": probe, "livenessProbe": probe | {"periodSeconds": 20},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    pod = {
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 30, "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    if not good:
        del (
            container["readinessProbe"],
            container["resources"]["limits"],
            container["securityContext"],
        )
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


def target(name: str = "app", workload: str = "", **more: Any) -> Object:
    return {
        "name": name,
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload or name},
    } | more


def policy(
    name: str = "app", *targets: Object, controls: tuple[str, ...] = PASSIVE, **spec: Any
) -> Object:
    """A policy that enforces these controls on these targets; without any, on one of its own name."""
    return {
        "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": name},
        "spec": {
            "profiles": [], "targets": list(targets) or [target(name)],
            "controls": [{"id": id_, "mode": "enforce"} for id_ in controls],
        } | copy.deepcopy(spec),
    }  # fmt: skip


def waiver(
    name: str, controls: tuple[str, ...], expires: str, *, policy_ref: str = "app"
) -> Object:
    """A waiver of these controls on the target `app`."""
    return {
        "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessWaiver", "metadata": {"name": name},
        "spec": {
            "policyRef": policy_ref, "controls": list(controls), "targets": ["app"], "expires": expires,
            "reason": "accepted until the next release is out", "owner": "team-checkout",
        },
    }  # fmt: skip


def bare(status: Object) -> Object:
    """A status without its times: what two runs must have in common."""
    kept = {k: v for k, v in status.items() if k not in ("validUntil", "conditions", "failures")}
    rows = {
        c["type"]: (c["status"], c["reason"], c["message"]) for c in status.get("conditions", ())
    }
    failures = [{k: v for k, v in f.items() if k != "since"} for f in status.get("failures", ())]
    return kept | {"conditions": rows, "failures": failures}


def said(report: Object) -> Object:
    """What a report says and whose it is, without times, versions and uids."""
    body = report["report"]
    results = [
        {k: v for k, v in r.items() if k not in ("since", "evidence")}
        for r in body.get("results", ())
    ]
    owners = [
        (o["kind"], o["name"], o["controller"]) for o in report["metadata"]["ownerReferences"]
    ]
    return {**body, "results": results, "owners": owners, "labels": report["metadata"]["labels"]}

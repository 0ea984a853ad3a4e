"""What counts as changed: a table of desired and live, and where the first difference is."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.dataservices.drift import difference

EQUAL: list[tuple[str, Any, Any]] = [
    ("what the server adds is not ours", {"a": 1}, {"a": 1, "status": {}}),
    ("quantities are numbers", {"cpu": "1000m", "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}),
    ("empty is missing", {"selector": {}, "rules": [], "x": ""}, {}),
    ("a sidecar of somebody else's", {"containers": [{"name": "a"}]}, {"containers": [{"name": "mesh"}, {"name": "a"}]}),
    ("defaults inside a list", {"containers": [{"name": "a"}]}, {"containers": [{"name": "a", "tty": False}]}),
    ("a container's ports by number", {"ports": [{"containerPort": 1}]}, {"ports": [{"containerPort": 2}, {"containerPort": 1, "protocol": "TCP"}]}),
    ("claims, that get a status", {"volumeClaimTemplates": [{"spec": 1}]}, {"volumeClaimTemplates": [{"spec": 1, "status": {}}]}),
]  # fmt: skip
DIFFERENT: list[tuple[str, Any, Any, str]] = [
    ("a number", {"spec": {"replicas": 3}}, {"spec": {"replicas": 2}}, "spec.replicas"),
    ("missing", {"spec": {"replicas": 3}}, {}, "spec"),
    ("a flag is no number", {"a": True}, {"a": 1}, "a"),
    ("false is not missing", {"a": False}, {}, "a"),
    ("zero is not missing", {"a": 0}, {}, "a"),
    ("another quantity", {"memory": "1Gi"}, {"memory": "1G"}, "memory"),
    ("in a container", {"containers": [{"name": "a", "image": "x"}]}, {"containers": [{"name": "a", "image": "y"}]}, "containers[a].image"),
    ("a container is gone", {"containers": [{"name": "a"}]}, {"containers": []}, "containers[a]"),
    ("one more way in", {"ingress": [{"from": [1]}]}, {"ingress": [{"from": [1]}, {}]}, "ingress"),
    ("one more port in a policy", {"ports": [{"port": 1, "protocol": "TCP"}]}, {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2}]}, "ports"),
    ("a word of a command", {"command": ["a", "b"]}, {"command": ["a", "c"]}, "command[1]"),
    ("an object where a word was", {"a": {"b": 1}}, {"a": "b"}, "a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "desired", "live"), EQUAL, ids=[row[0] for row in EQUAL])
def test_as_desired(name: str, desired: Any, live: Any):
    assert difference(desired, live) == ""


@pytest.mark.parametrize(("name", "desired", "live", "at"), DIFFERENT, ids=[r[0] for r in DIFFERENT])  # fmt: skip
def test_changed(name: str, desired: Any, live: Any, at: str):
    assert difference(desired, live) == at

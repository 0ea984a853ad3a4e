"""Projection: what is kept judges like the whole, and what must not be kept is not."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from controls.test_tables import CONTROLS, ROWS, judged, situation

from readiness.cluster.project import KINDS, compact
from readiness.workload import rolled_out, template_hash

BY_NAME = {kind.name: kind for kind in KINDS}
NOISE = {
    "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
    "resourceVersion": "7",
    "selfLink": "/x",
}


def project(found):
    noisy = found | {"metadata": found["metadata"] | NOISE}
    return BY_NAME[found["kind"]].project(noisy)


def deployment():
    template = {
        "metadata": {"labels": {"app": "a"}, "annotations": {"x": "y"}},
        "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": ""}]}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "n", "generation": 2, "annotations": {"k": "v"}},
        "spec": {"replicas": 2, "selector": {}, "template": template},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "collisionCount": 1,
                   "conditions": [{"type": "Available", "lastUpdateTime": "t"}]},
    }  # fmt: skip


def test_a_template_is_kept_whole_so_that_its_hash_is_the_same():
    found = deployment()

    assert template_hash(project(found)) == template_hash(found)


@pytest.mark.parametrize(
    "reason", ["NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"]
)
def test_a_rollout_is_seen_to_end(reason):
    found = deployment()
    found["metadata"]["generation"] = found["status"]["observedGeneration"] = 2
    found["spec"]["replicas"] = found["status"]["replicas"] = found["status"]["updatedReplicas"] = 2
    found["status"]["conditions"] = [{"type": "Progressing", "reason": reason}]

    assert (
        rolled_out(project(found))
        == rolled_out(found)
        == (reason in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"))
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_an_almost_empty_object_is_projected(kind):
    bare = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": "x"}}
    kept = kind.project(bare)

    assert kept is None or kept["metadata"] == {"name": "x"}


def test_noise_is_dropped():
    kept = project(deployment())

    assert "managedFields" not in kept["metadata"]
    assert "resourceVersion" not in kept["metadata"]
    assert kept["status"]["conditions"] == [{"type": "Available"}]


def test_what_moves_by_itself_does_not_change_a_node():
    def node(beat):
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": beat}
        memory = {"type": "MemoryPressure", "status": "False", "lastHeartbeatTime": beat}
        return {"kind": "Node", "metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "a"}},
                "spec": {}, "status": {"conditions": [ready, memory], "images": [{"names": [beat]}]}}  # fmt: skip

    assert project(node("1")) == project(node("2"))
    assert project(node("1"))["status"]["conditions"] == [{"type": "Ready", "status": "True"}]


def test_pressure_is_kept_of_a_node_while_there_is_any():
    told = [{"type": "MemoryPressure", "status": "False"}, {"type": "DiskPressure", "status": "True"}]  # fmt: skip
    kept = project({"kind": "Node", "metadata": {"name": "n"}, "status": {"conditions": told}})

    assert kept["status"]["conditions"] == told[1:]


def test_a_config_map_keeps_the_start_of_its_values_and_what_leaks():
    data = {"DB_PASSWORD": "hunter2-canary-value", "long": "x" * 5000}
    kept = project({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data})

    assert [leak.where for leak in kept["leaks"]] == ["ConfigMap/c data.DB_PASSWORD"]
    assert len(kept["data"]["long"]) == 256


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}, True),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, True),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, False),
        ({"apiGroups": ["apps"], "resources": ["secrets"], "verbs": ["get"]}, False),
        ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}, False),
        ({"nonResourceURLs": ["/x"], "verbs": ["get"]}, False),
    ],
)
def test_only_roles_that_read_secrets_are_kept(rule, kept):
    role = {"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [rule]}

    assert (project(role) is not None) is kept


SEEN = {"nodes": "Node", "accounts": "ServiceAccount", "services": "Service"}
LISTED = {"budgets": "PodDisruptionBudget", "network_policies": "NetworkPolicy"}


def as_seen(kind: str, found: dict) -> dict:
    """An object as the watch would store it; rows leave out what every real object has."""
    kept = BY_NAME[kind].project({"metadata": {}, **found})
    assert kept is not None
    return kept


def projected(given: dict) -> dict:
    """A control's situation, with every object in it as the watches would have stored it."""
    given, snapshot = dict(given), dict(given.get("snapshot") or {})
    if workload := given.get("workload"):
        given["workload"] = as_seen(workload.get("kind", "Deployment"), workload)
    given["pods"] = [as_seen("Pod", pod) for pod in given.get("pods") or ()]
    for field, kind in SEEN.items():
        if field in snapshot:
            snapshot[field] = {n: as_seen(kind, o) for n, o in (snapshot[field] or {}).items()}
    for field, kind in LISTED.items():
        if field in snapshot:
            snapshot[field] = [as_seen(kind, found) for found in snapshot[field] or ()]
    return given | {"snapshot": snapshot}


@pytest.mark.parametrize(
    ("table", "row"), [(table, row) for _, table, row in ROWS], ids=[name for name, _, _ in ROWS]
)
def test_a_control_judges_what_was_stored_like_what_was_served(table, row):
    control, given = CONTROLS[table["control"]], situation(table, row)

    assert judged(control, projected(given)) == judged(control, given)


def test_parts_that_are_alike_are_stored_once_and_never_confused():
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5}
    one, two = compact({"a": [probe]}), compact({"b": [json.loads(json.dumps(probe))]})
    assert one["a"][0] is two["b"][0]
    assert compact({"on": True}) == {"on": True}
    assert compact({"on": True})["on"] is True
    assert compact({"on": 1})["on"] is not True
    assert compact({"on": 1.0}) is not compact({"on": 1})


def test_what_is_alike_stays_shared_and_what_is_not_is_let_go():
    tracemalloc.start()
    try:
        ports = [
            compact({"port": {"name": "http"}, "own": {"n": n}})["port"] for n in range(20_000)
        ]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len({id(port) for port in ports}) < 40
    assert peak < 1_500_000

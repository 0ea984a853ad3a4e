"""Words for what keeps pods from running: as the API server and controllers say it, as people read it."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.dataservices.stuck import blocked_stops, obstacles_of
from readiness.snapshot import MemberSeen, Seen

SETS = [{"kind": "StatefulSet", "metadata": {"name": "shop-cache-1"}, "spec": {"replicas": 3}}]


def pod(state: Any = None, *, placed: bool = True, ready: bool = False, restarts: int = 0) -> Any:
    status = {"name": "server", "restartCount": restarts, "ready": ready, "state": state or {}}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": "shop-cache-1-0"},
        "spec": {"containers": [{"name": "server", "image": "redis:nope"}]} | ({"nodeName": "n"} if placed else {}),
        "status": {"containerStatuses": [status], "conditions": conditions},
    }  # fmt: skip


def event(kind: str, name: str, reason: str, message: str) -> Any:
    return {"involvedObject": {"kind": kind, "name": name}, "reason": reason, "message": message}


def waiting(reason: str) -> Any:
    return {"waiting": {"reason": reason, "message": "Back-off 20s"}}


QUOTA = 'create Pod shop-cache-1-0 in StatefulSet shop-cache-1 failed error: pods "shop-cache-1-0" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
DENIED = 'create Pod shop-cache-1-0 in StatefulSet shop-cache-1 failed error: pods "shop-cache-1-0" is forbidden: violates PodSecurity "restricted:latest"'
CLAIM = "data-shop-cache-1-0"
UNPLACED = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available."

ROWS = [
    ("an image", [pod(waiting("ErrImagePull"))], [], "ImagePull", "cannot pull image redis:nope"),
    ("the same image later", [pod(waiting("ImagePullBackOff"))], [], "ImagePull", "cannot pull image redis:nope"),
    ("a missing key", [pod(waiting("CreateContainerConfigError"))], [], "ContainerConfig", "cannot be created"),
    ("crashes", [pod(waiting("CrashLoopBackOff"), restarts=3)], [], "Crashing", "ends again and again"),
    ("a full quota", [], [event("StatefulSet", "shop-cache-1", "FailedCreate", QUOTA)], "Quota", "exceed the quota small"),
    ("admission", [], [event("StatefulSet", "shop-cache-1", "FailedCreate", DENIED)], "AdmissionDenied", 'violates PodSecurity "restricted:latest"'),
    ("no such class", [pod(placed=False)], [event("PersistentVolumeClaim", CLAIM, "ProvisioningFailed", 'storageclass.storage.k8s.io "nope" not found')], "StorageClassNotFound", "StorageClass nope does not exist"),
    ("no class at all", [pod(placed=False)], [event("PersistentVolumeClaim", CLAIM, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")], "StorageClassNotFound", "the cluster has no default"),
    ("no room", [pod(placed=False)], [event("Pod", "shop-cache-1-0", "FailedScheduling", UNPLACED)], "Unschedulable", "Pod/shop-cache-1-0: 0/3 nodes are available: 3 Insufficient memory"),
    ("no class, so no room", [pod(placed=False)], [event("Pod", "shop-cache-1-0", "FailedScheduling", "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."), event("PersistentVolumeClaim", CLAIM, "ProvisioningFailed", 'storageclass.storage.k8s.io "nope" not found')], "StorageClassNotFound", "StorageClass nope does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pods", "events", "reason", "words"), ROWS, ids=[r[0] for r in ROWS])  # fmt: skip
def test_an_obstacle_has_a_name(name: str, pods: Any, events: Any, reason: str, words: str):
    (found,) = obstacles_of("cache", SETS, pods, events)

    assert found.reason == reason
    assert words in found.message
    assert found.fix
    assert "20s" not in found.message + found.fix, "what moves by itself is no verdict"


QUIET = [
    ("a ready pod", [pod(ready=True, restarts=9)], []),
    ("an early death", [pod(waiting("CrashLoopBackOff"), restarts=1)], []),
    ("a pod that found its place", [pod()], [event("Pod", "shop-cache-1-0", "FailedScheduling", UNPLACED)]),
    ("another's pod", [pod(placed=False)], [event("Pod", "other-0", "FailedScheduling", UNPLACED)]),
    ("another's quota", [], [event("StatefulSet", "other", "FailedCreate", QUOTA)]),
    ("a claim that waits for its pod", [pod(placed=False)], [event("PersistentVolumeClaim", CLAIM, "WaitForFirstConsumer", "waiting for first consumer")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pods", "events"), QUIET, ids=[row[0] for row in QUIET])
def test_no_obstacle(name: str, pods: Any, events: Any):
    assert obstacles_of("cache", SETS, pods, events) == ()


def test_a_quota_that_was_raised_is_old_news():
    full = [SETS[0] | {"status": {"replicas": 3}}]
    news = [event("StatefulSet", "shop-cache-1", "FailedCreate", QUOTA)]

    assert obstacles_of("cache", full, [], news) == ()


def test_each_obstacle_is_told_once():
    pods = [pod(waiting("ErrImagePull")) for _ in range(3)]

    assert len(obstacles_of("cache", SETS, pods, [])) == 1


def member(name: str = "shop-jobs-1-0", *, going: bool = True) -> Any:
    return {"metadata": {"name": name, **({"deletionTimestamp": "2026-11-21T18:00:00Z"} if going else {})}}  # fmt: skip


def needed(*queues: str) -> Seen:
    return Seen("", (MemberSeen("shop-jobs-1-0", needed_by=queues),))


@pytest.mark.parametrize(
    ("pod", "seen", "words"),
    [
        (member(), needed("mails", "orders"), "without it mails, orders would lose the majority"),
        (member(), needed(*"abcdefg"), "without it a, b, c, d, e and 2 more would lose the majority"),
        (member(going=False), needed("orders"), None),
        (member("shop-jobs-1-1"), needed("orders"), None),
        (member(), needed(), None),
        (member(), None, None),
    ],
)  # fmt: skip
def test_a_stop_that_waits_says_for_what(pod: Any, seen: Seen | None, words: str | None):
    found = list(blocked_stops([pod], seen))

    assert [(each.reason, words in each.message) for each in found] == ([("TerminationBlocked", True)] if words else [])  # fmt: skip
    assert all("readiness.dev/skip-stop=true" in each.fix for each in found)

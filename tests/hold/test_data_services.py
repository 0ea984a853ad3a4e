"""Data services from the outside: a real process with the rights it is granted, a real API server, no node."""

from __future__ import annotations

import base64
import json
import time

import pytest
from holdrig import until
from holdworld import policy
from provisioning import grant, message, provisioned, stateful_sets

from readiness import naming

pytestmark = pytest.mark.api
NAME = naming.store("app", "cache")
CACHE = {"name": "cache", "redis": {"image": "registry.example.com/redis:8"}}
QUIET = 3.0
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DISKS = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/disks",
    "metadata": {"name": "disks", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def disks(api_server):
    """A default class, or the claims of every member would tell of one that is missing."""
    api_server.running.apply(DISKS)
    yield
    api_server.request("DELETE", CLASSES + "/disks")


def test_without_the_right_it_says_what_to_type_and_with_it_it_goes_on(launch, space, seat):
    operator = launch()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    until(lambda: provisioned(space) == "False/NotPermitted", 20)
    assert f"sed 's/your-namespace/{space.name}/' manifests/provision/provision.yaml" in message(space)  # fmt: skip
    assert space.condition("Ready") == "False/NotPermitted"
    grant(space, seat)
    until(lambda: provisioned(space) == "False/Provisioning", 40, "provisioning")
    until(lambda: stateful_sets(space) == [NAME, f"{NAME}-sentinel"])
    assert space.status()["dataServices"][0]["secretName"] == NAME
    credentials = space.api.request("GET", space.path("secrets", f"{NAME}-credentials"))["data"]
    text = operator.text() + json.dumps([space.status(), space.events()])
    assert not any(value in text for value in decoded(credentials))


def decoded(data: dict[str, str]) -> list[str]:
    return [base64.b64decode(text).decode() for text in data.values()]


def test_what_stands_is_left_alone_and_what_is_changed_is_put_back(launch, space, seat, audit):
    grant(space, seat)
    launch()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    until(lambda: len(stateful_sets(space)) == 2)
    time.sleep(QUIET)
    audit.mark()
    time.sleep(12)  # two looks at what is not Ready
    assert audit.calls(seat.user, space.name) == []

    patch = {"spec": {"replicas": 1}}
    body = {
        "headers": {"Content-Type": "application/merge-patch+json"},
        "content": json.dumps(patch),
    }
    path = space.path("statefulsets", NAME, group="/apis/apps/v1")
    space.http.patch(path, **body)
    until(lambda: space.api.request("GET", path)["spec"]["replicas"] == 3, 5, "the repair")
    until(lambda: [e for e in space.events() if e["reason"] == "DriftRepaired"])
    space.http.patch(path, **body)
    time.sleep(QUIET)
    calls = audit.calls(seat.user, space.name)
    assert calls.count("patch statefulsets 200") == 1, calls


def test_a_policy_that_is_deleted_stops_nothing_and_finds_everything_again(launch, space, seat, audit):  # fmt: skip
    grant(space, seat)
    launch()
    wanted = policy(controls=(), targets=[], dataServices=[CACHE])
    space.apply(wanted)
    until(lambda: len(stateful_sets(space)) == 2)
    time.sleep(QUIET)
    before = versions(space)
    space.delete("readinesspolicies", "app")
    time.sleep(QUIET)
    audit.mark()
    space.apply(wanted)
    until(lambda: provisioned(space) == "False/Provisioning")
    time.sleep(QUIET)

    assert versions(space) == before, "the same objects, untouched"
    assert {c for c in audit.calls(seat.user, space.name) if "readiness" not in c and "events" not in c} == set()  # fmt: skip


def versions(space) -> dict[str, tuple[str, int]]:
    """uid and generation of what the service is made of."""
    found = {}
    for plural, group in (("statefulsets", "/apis/apps/v1"), ("services", ""), ("configmaps", ""), ("secrets", "")):  # fmt: skip
        for each in space.api.request("GET", space.path(plural, group=group))["items"]:
            meta = each["metadata"]
            if meta["name"].startswith(NAME):
                moves = meta.get("generation", meta["resourceVersion"])
                found[f"{plural}/{meta['name']}"] = (meta["uid"], moves)
    return found


def test_removal_waits_for_a_word(launch, space, seat):
    grant(space, seat)
    launch()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    until(lambda: len(stateful_sets(space)) == 2)
    space.apply(policy(controls=(), targets=[], environment="staging"))
    until(lambda: provisioned(space) == "False/RemovalPending")
    assert len(stateful_sets(space)) == 2
    space.api.kubectl("annotate", "-n", space.name, "rdy/app", f"{naming.CONFIRM_REMOVAL}=cache")
    until(lambda: stateful_sets(space) == [])
    until(lambda: provisioned(space) == "True/NothingDeclared")
    left = versions(space)
    assert set(left) == {f"secrets/{NAME}-credentials"}


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"replicas": 1}, ("FewerThanThree", "redis.replicas")),
        ({"config": [{"name": "dir", "value": "/tmp"}]}, ("ManagedSetting", "config[dir]")),
        (
            {"config": [{"name": "no-such-setting", "value": "1"}]},
            ("UnknownSetting", "config[no-such-setting]"),
        ),
    ],
)
def test_bad_wishes_are_named(launch, space, seat, service, said):
    grant(space, seat)
    launch()
    wish = CACHE | {"redis": CACHE["redis"] | service}
    space.apply(policy(controls=(), targets=[], dataServices=[wish]))
    until(lambda: provisioned(space) not in ("", "Unknown/Evaluating"))
    assert provisioned(space) == f"False/{said[0]}"
    assert said[1] in message(space)
    assert stateful_sets(space) == []


def test_a_missing_storage_class_is_named_within_a_minute(launch, space, seat):
    grant(space, seat)
    launch()
    wish = CACHE | {"redis": CACHE["redis"] | {"storageClass": "nope"}}
    began = time.monotonic()
    space.apply(policy(controls=(), targets=[], dataServices=[wish]))
    until(lambda: provisioned(space) == "False/StorageClassNotFound", 60, "the storage class")
    print(f"named after {time.monotonic() - began:.1f} s: {message(space)}")
    assert "PersistentVolumeClaim/data-" in message(space)
    assert space.condition("Stalled") == "True/StorageClassNotFound"


def test_that_no_class_is_the_default_is_named(launch, space, seat, api_server):
    grant(space, seat)
    launch()
    api_server.request("DELETE", CLASSES + "/disks")
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    try:
        until(lambda: provisioned(space) == "False/StorageClassNotFound", 60, "that there is none")
    finally:
        api_server.running.apply(DISKS)
    assert "the cluster has no default" in message(space)


def test_a_quota_is_named_within_a_minute(launch, space, seat):
    grant(space, seat)
    launch()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}  # fmt: skip
    space.apply(quota)
    time.sleep(1)
    began = time.monotonic()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    until(lambda: provisioned(space) == "False/Quota", 60, "the quota")
    print(f"named after {time.monotonic() - began:.1f} s: {message(space)}")
    assert "small" in message(space)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}, ("ImagePull", "cannot pull image registry.example.com/redis:8")),
        ({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, ("Crashing", f"container redis of Pod/{NAME}-0 ends again and again")),
    ],
    ids=["image", "setting"],
)  # fmt: skip
def test_what_a_kubelet_tells_of_a_member_is_named_and_goes_with_it(launch, space, seat, state, told):  # fmt: skip
    """An image that cannot be pulled, a setting with a value that the server refuses: there is no node here to tell of it."""
    grant(space, seat)
    launch()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    pods = until(lambda: [p for p in space.api.request("GET", space.path("pods"))["items"] if p["metadata"]["name"] == f"{NAME}-0"], 20, "a member")  # fmt: skip
    image = pods[0]["spec"]["containers"][0]["image"]

    def tell(container) -> None:
        row = {"name": "redis", "ready": False, "image": image, "imageID": "", **container}
        space.patch("pods", f"{NAME}-0", {"status": {"containerStatuses": [row]}}, "status")

    tell(state)
    until(lambda: provisioned(space) == f"False/{told[0]}", 60, told[0])
    assert told[1] in message(space)
    tell({"restartCount": state["restartCount"], "ready": True, "state": {"running": {}}})
    until(lambda: provisioned(space) == "False/Provisioning", 60, "that it goes on by itself")

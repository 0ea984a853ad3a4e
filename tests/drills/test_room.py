"""Room for a meter: the whole gets more, no container does."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import ApiServer

from readiness.drills.room import has_room, room_of

MI = 2**20


def container(limits: Any = None, requests: Any = None, **more: Any) -> dict[str, Any]:
    found = {"limits": limits, "requests": requests}
    return {"name": "c", "resources": {k: v for k, v in found.items() if v}} | more


@pytest.mark.parametrize(
    ("spec", "limits", "requests"),
    [
        ({"containers": [container()]}, {}, {}),
        ({"containers": [container({"memory": "64Mi"}), container()]}, {}, {}),
        ({"containers": [container({"memory": "64Mi"}, {"memory": "16Mi"})]}, {"memory": str(96 * MI)}, {}),
        ({"containers": [container({"cpu": "500m", "memory": "1Gi"}), container({"cpu": "0.5", "memory": "128M"}, {"cpu": "0.1", "memory": "1M"})]},
         {"cpu": "1200m", "memory": str(1056 * MI + 128_000_000)}, {}),
        ({"containers": [container({"cpu": "1", "memory": "64Mi"})]}, {"cpu": "1200m", "memory": str(96 * MI)}, {"cpu": "1200m", "memory": str(96 * MI)}),
        ({"containers": [container({"memory": "64Mi"}, {"memory": "1Mi"})], "initContainers": [container({"memory": "256Mi"})]}, {"memory": str(288 * MI)}, {}),
        ({"containers": [container({"memory": "64Mi"}, {"memory": "1Mi"})], "initContainers": [container({"memory": "32Mi"}, restartPolicy="Always")]}, {"memory": str(128 * MI)}, {}),
        ({"containers": [container({"memory": "64Mi"})], "initContainers": [container()]}, {}, {}),
        ({"containers": [container()], "resources": {"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}}}, {"memory": str(132 * MI)}, {"memory": "50Mi"}),
        ({"containers": [container({"memory": "lots"})]}, {}, {}),
    ],
    ids=["no limit", "one without", "a limit", "two", "guaranteed", "an init container", "a sidecar", "an unlimited init container",
         "limited as a whole", "no quantity"],
)  # fmt: skip
def test_the_whole_gets_more(spec: dict[str, Any], limits: Any, requests: Any) -> None:
    made = room_of(spec).get("resources") or {}

    assert (made.get("limits") or {}) == limits
    assert (made.get("requests") or {}) == requests


@pytest.mark.parametrize(
    ("containers", "whole", "expected"),
    [
        ([container()], None, True),
        ([container({"memory": "64Mi"}), container()], None, True),
        ([container({"memory": "64Mi"})], None, False),
        ([container({"memory": "64Mi"})], "96Mi", True),
        ([container({"memory": "64Mi"})], "95Mi", False),
        ([container()], "64Mi", False),
        ([container({"cpu": "1"})], None, True),
        ([container({"memory": "lots"})], None, False),
    ],
    ids=["no limit", "one without", "dropped", "made", "too little", "limited as a whole only", "only CPU", "no quantity"],
)  # fmt: skip
def test_what_is_there_is_looked_at(containers: Any, whole: str | None, expected: bool) -> None:
    spec = {"containers": containers} | ({"resources": {"limits": {"memory": whole}}} if whole else {})  # fmt: skip

    assert has_room({"spec": spec}) is expected


GIVEN = {
    "memory alone": [container({"memory": "64Mi"})],
    "memory, asked for less": [container({"memory": "64Mi"}, {"memory": "16Mi", "cpu": "10m"})],
    "cpu alone": [container({"cpu": "50m"})],
    "guaranteed": [container({"cpu": "500m", "memory": "64Mi"})],
    "two": [container({"cpu": "1", "memory": "64Mi"}, {"cpu": "1m"}), container({"cpu": "1", "memory": "1G"}, name="d")],
}  # fmt: skip


@pytest.mark.api
@pytest.mark.parametrize("name", GIVEN)
def test_the_server_takes_and_keeps_it(api_server: ApiServer, name: str) -> None:
    spec = {"containers": [{**each, "image": "app:1"} for each in GIVEN[name]]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {**spec, **room_of(spec)}}  # fmt: skip
    api_server.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})  # fmt: skip
    made = api_server.request("POST", "/api/v1/namespaces/default/pods", pod, dryRun="All")

    assert made["kind"] == "Pod", made
    assert has_room(made)
    plain = api_server.request("POST", "/api/v1/namespaces/default/pods", {**pod, "spec": spec}, dryRun="All")  # fmt: skip
    assert made["status"]["qosClass"] == plain["status"]["qosClass"]
    assert has_room(plain) is (name == "cpu alone")

"""Volumes that are to be larger, or smaller: decided on values, and carried out against a real API server."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from bench import NAME, Bench, bench, provided
from toykind import Object

from readiness.dataservices.growth import growth_of, shrunk
from readiness.dataservices.telling import provisioned_of

__all__ = ["bench"]


def stateful(size: str, replicas: int = 2) -> Object:
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    spec = {"replicas": replicas, "volumeClaimTemplates": [claim]}
    return {"kind": "StatefulSet", "metadata": {"name": "s"}, "spec": spec}


def claim(number: int, asked: str, given: str, name: str = "data-s") -> Object:
    meta = {"name": f"{name}-{number}", "namespace": "ns", "uid": f"u{number}", "resourceVersion": "7", "labels": {}}  # fmt: skip
    return {"metadata": meta, "spec": {"resources": {"requests": {"storage": asked}}}, "status": {"capacity": {"storage": given}}}  # fmt: skip


STEPS: list[tuple[str, list[Object], list[str], int, str]] = [
    ("nobody has looked", [], [], 0, "StatefulSet/s: its volumes are looked for"),
    ("one is not there", [claim(0, "1Gi", "1Gi")], [], 0, "StatefulSet/s: its volumes are looked for"),
    ("none is told", [claim(0, "1Gi", "1Gi"), claim(1, "1Gi", "1Gi")], ["data-s-0", "data-s-1"], 0, "StatefulSet/s: its volumes grow to 2Gi"),
    ("one is told", [claim(0, "2Gi", "1Gi"), claim(1, "1Gi", "1Gi")], ["data-s-1"], 0, "StatefulSet/s: its volumes grow to 2Gi"),
    ("one has grown", [claim(0, "2048Mi", "2Gi"), claim(1, "2Gi", "1Gi")], [], 0, "PersistentVolumeClaim/data-s-1 grows from 1Gi to 2Gi"),
    ("all have grown", [claim(0, "2Gi", "2Gi"), claim(1, "2Gi", "3Gi")], [], 1, ""),
    ("of a pod that is no more", [claim(0, "2Gi", "2Gi"), claim(1, "2Gi", "2Gi"), claim(2, "1Gi", "1Gi")], [], 1, ""),
    ("of another set", [claim(0, "2Gi", "2Gi"), claim(1, "2Gi", "2Gi"), claim(0, "1Gi", "1Gi", "data-s-sentinel")], [], 1, ""),
]  # fmt: skip


@pytest.mark.parametrize(("_case", "claims", "told", "renewed", "waiting"), STEPS, ids=[s[0] for s in STEPS])  # fmt: skip
def test_a_set_is_made_anew_when_all_its_volumes_have_grown(
    _case: str, claims: list[Object], told: list[str], renewed: int, waiting: str
):
    found = growth_of([stateful("2Gi")], {("StatefulSet", "s"): stateful("1Gi")}, claims, ())

    assert [each["metadata"]["name"] for each in found.told] == told
    assert all(each["spec"] == {"resources": {"requests": {"storage": "2Gi"}}} for each in found.told)  # fmt: skip
    assert all({"uid", "resourceVersion"} <= each["metadata"].keys() for each in found.told)
    assert (len(found.renewed), found.waiting, found.held) == (renewed, waiting, frozenset({"s"}))


@pytest.mark.parametrize(("was", "becomes", "grows", "refused"), [
    ("1Gi", "1024Mi", False, []), ("1Gi", "2Gi", True, []), ("2Gi", "1Gi", False, ["StorageShrink"]),
])  # fmt: skip
def test_only_what_is_larger_grows_and_what_is_smaller_is_refused(
    was: str, becomes: str, grows: bool, refused: list[str]
):
    live = {("StatefulSet", "s"): stateful(was)}

    assert bool(growth_of([stateful(becomes)], live, (), ()).held) is grows
    assert [each.reason for each in shrunk("cache", [stateful(becomes)], live)] == refused
    assert growth_of([stateful(becomes)], {}, (), ()).held == frozenset()


def test_a_driver_that_could_not_is_told():
    claims = [claim(0, "2Gi", "1Gi"), claim(1, "2Gi", "2Gi")]
    event = {"reason": "VolumeResizeFailed", "involvedObject": {"name": "data-s-0"}}
    found = growth_of([stateful("2Gi")], {("StatefulSet", "s"): stateful("1Gi")}, claims, [event])

    assert [each.reason for each in found.obstacles] == ["VolumeCannotGrow"]


# --- against a real API server, whose controllers run; the test is the volumes' driver


def cache(size: str) -> Object:
    return {"name": "cache", "redis": {"storage": size, "storageClass": "grows"}}


class Volumes:
    """Classes, and claims that are bound, as the kubelet and a driver would have them."""

    def __init__(self, bench: Bench, *, expansion: bool) -> None:
        self.bench = bench
        classes = "/apis/storage.k8s.io/v1/storageclasses"
        bench.server.request("DELETE", f"{classes}/grows")
        body = {"metadata": {"name": "grows"}, "provisioner": "test.example.com", "allowVolumeExpansion": expansion}  # fmt: skip
        assert "code" not in bench.server.request("POST", classes, body)

    def path(self, number: int, sub: str = "") -> str:
        where = f"/api/v1/namespaces/{self.bench.namespace}/persistentvolumeclaims"
        return f"{where}/data-{NAME}-{number}{sub}"

    def bind(self) -> None:
        """Every claim that the StatefulSet's controller made, to a volume of its own."""
        for number in range(3):
            found = self.wait(number)
            name, meta = f"{self.bench.namespace}-{number}", found["metadata"]
            ref = {"kind": "PersistentVolumeClaim", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}  # fmt: skip
            spec = {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "grows",
                "csi": {"driver": "test.example.com", "volumeHandle": name}, "claimRef": ref,
            }  # fmt: skip
            answer = self.bench.server.request("POST", "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})  # fmt: skip
            assert "code" not in answer, answer["message"]
        for number in range(3):
            self.wait(number, "Bound")

    def wait(self, number: int, phase: str = "Pending") -> Any:
        deadline = time.monotonic() + 60
        while (found := self.bench.server.request("GET", self.path(number))).get("code") or found["status"]["phase"] != phase:  # fmt: skip
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found

    def size(self, number: int) -> str:
        return str(self.bench.server.request("GET", self.path(number))["spec"]["resources"]["requests"]["storage"])  # fmt: skip

    def grow(self, number: int, size: str) -> None:
        body = {"status": {"capacity": {"storage": size}}}
        answer = self.bench.server.http.patch(self.path(number, "/status"), json=body, headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip
        assert answer.is_success, answer.text


def pods(bench: Bench) -> dict[str, str]:
    found = bench.server.request("GET", f"/api/v1/namespaces/{bench.namespace}/pods")["items"]
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}


@pytest.mark.api
async def test_volumes_grow_and_no_pod_is_replaced(bench: Bench):
    volumes = Volumes(bench, expansion=True)
    await provided(bench, bench.policy(cache("1Gi")))
    volumes.bind()
    before, uid = pods(bench), bench.get("StatefulSet")["metadata"]["uid"]
    assert len(before) == 3
    wanted = bench.policy({**cache("2Gi"), "redis": {**cache("2Gi")["redis"], "config": [{"name": "b", "value": "2"}]}})  # fmt: skip

    assert await bench.told(wanted) == "Provisioning"
    await bench.pass_(wanted)
    assert [volumes.size(number) for number in range(3)] == ["2Gi"] * 3
    await bench.pass_(wanted)
    assert bench.get("ConfigMap", f"{NAME}-config")["data"] == {"b": "2"}, "the rest does not wait"
    assert bench.writes == [], "and nothing is written while drivers work"
    for number in range(3):
        bench.be_born()
        decided, _ = await bench.pass_(wanted)
        decided, _ = await bench.pass_(wanted)
        assert f"data-{NAME}-{number} grows from 1Gi to 2Gi" in provisioned_of(decided)[2]
        volumes.grow(number, "2Gi")
    await bench.pass_(wanted)
    deadline = time.monotonic() + 60
    while (found := bench.get("StatefulSet"))["metadata"].get("uid") in (uid, None):
        assert time.monotonic() < deadline, found
        await bench.pass_(wanted)
        await asyncio.sleep(0.2)

    assert found["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Gi"  # fmt: skip
    while bench.get("StatefulSet")["status"].get("replicas") != 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert pods(bench) == before
    await bench.pass_(wanted)
    await bench.pass_(wanted)
    assert bench.writes == []


@pytest.mark.api
async def test_what_cannot_grow_or_is_to_shrink_is_told_and_goes_on(bench: Bench):
    volumes = Volumes(bench, expansion=False)
    await provided(bench, bench.policy(cache("1Gi")))
    volumes.bind()
    wanted = bench.policy(cache("2Gi"))
    for _ in range(3):
        decided, _ = await bench.pass_(wanted)
    status, reason, message = provisioned_of(decided)

    assert (status, reason) == ("False", "VolumeCannotGrow")
    assert f"PersistentVolumeClaim/data-{NAME}-0: its StorageClass lets no volume grow" in message
    bench.now += 20
    await bench.pass_(bench.policy(cache("1Gi")))
    assert await bench.told(bench.policy(cache("1Gi"))) == "Provisioning", (
        "put back, it is no obstacle"
    )
    decided, _ = await bench.pass_(bench.policy(cache("512Mi")))
    assert provisioned_of(decided)[1] == "StorageShrink"
    assert bench.writes == []

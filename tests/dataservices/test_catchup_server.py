"""A missed schedule before a real API server: its Jobs are made, by real controllers their pods, once and under the restricted standard."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import pytest
from apiserver import ApiServer
from bench import CACHE, Bench, bench
from test_backed import container
from test_catchup import stamp, told
from test_saving import BACKUPS, FRAME
from toykind import TOY, Object, policy, wish

from readiness import naming
from readiness.api import read_policy
from readiness.backups.codec import dump_outcome
from readiness.backups.outcome import Task
from readiness.cluster.asked import METADATA
from readiness.dataservices.backed import backup_row, backups_of
from readiness.dataservices.order import Dump, Login, Order, Source
from readiness.dataservices.parts import Part
from readiness.dataservices.provision import Provision
from readiness.dataservices.source import own_source
from readiness.dataservices.whole import provide_all
from readiness.snapshot import Snapshot

__all__ = ["bench"]
pytestmark = pytest.mark.api
DAY = 86400.0
NAME = naming.store("shop", "cache")


def source_of(order: Order) -> Source:
    members = Part(order, "server", order.name(), order.name(), 3, {"redis": 6379})
    return own_source(members, 6379, Login("admin", "admin"), "64Mi")


KIND = replace(TOY, source=source_of, dump=lambda _source: Dump({"dump.sh": ""}, {}, "64Mi"))


class Rig:
    """Passes with a status of their own, as the operator keeps it."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.row = bench, dict[str, object]()
        self.frame = replace(FRAME, images=bench.images)
        bench.now = time.time()

    def secret(self, name: str) -> str:
        """The path of a Secret that is there from now on."""
        path = f"/api/v1/namespaces/{self.bench.namespace}/secrets"
        made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "canary"}}  # fmt: skip
        assert self.bench.server.request("POST", path, made).get("kind") == "Secret"
        return f"{path}/{name}"

    async def pass_(self) -> Provision:
        bench = self.bench
        await bench.watch()
        bench.connection.writes.clear()
        bench.now += 1
        its = bench.policy(CACHE, backups=BACKUPS)
        its["status"] = {"dataServices": [{"name": "cache", "backup": self.row}]}
        await bench.children.refresh(its)
        view = bench.children.view(its)
        seen = replace(
            view,
            images=bench.images,
            operator_image="operator:1",
            unserved=frozenset({"PrometheusRule"}),
        )
        asked, snapshot = wish(its, bench.now, "token"), Snapshot(bench.namespace, provided=seen)
        decided = provide_all(asked, snapshot, (KIND,))
        self.absent = seen.absent
        self.row = backup_row(self.row, seen.runs.get("cache", ()), decided.services[0].missed)
        self.notes = await bench.provider.provide(its, decided)
        return decided

    def jobs(self) -> dict[str, Object]:
        path = f"/apis/batch/v1/namespaces/{self.bench.namespace}/jobs"
        found = self.bench.server.request("GET", path)["items"]
        return {each["metadata"]["name"]: each for each in found}

    def say(self, count: int, selector: str, status: Object) -> None:
        """What a kubelet would tell of pods."""
        server, path = self.bench.server, f"/api/v1/namespaces/{self.bench.namespace}/pods"
        deadline = time.monotonic() + 30
        while len(found := server.request("GET", path, labelSelector=selector)["items"]) < count:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        for pod in found:
            answer = server.http.patch(
                f"{path}/{pod['metadata']['name']}/status", json={"status": status},
                headers={"Content-Type": "application/merge-patch+json"},
            )  # fmt: skip
            assert answer.is_success, answer.text


def ended_container(message: str) -> Object:
    common = {"image": "operator:1", "imageID": "", "ready": False, "restartCount": 0}
    return common | container("list", 0, message)


async def test_what_was_missed_is_made_up_for_once(bench: Bench, api_server: ApiServer):
    rig = Rig(bench)
    await rig.pass_()
    await rig.pass_()
    assert rig.jobs() == {}, "the first schedule is not due yet"
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
    rig.say(3, f"{naming.PART_LABEL}=server", ready)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api_server.http.patch(
        f"/api/v1/namespaces/{bench.namespace}", json={"metadata": {"labels": labels}},
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip

    bench.now += 2 * DAY
    await rig.pass_()
    assert rig.jobs() == {}, "without its Secrets no pod of a Job would ever start"
    condition = backups_of(read_policy(policy(CACHE, backups=BACKUPS)["spec"]), [{"name": "cache"}], bench.now, rig.absent.values())  # fmt: skip
    assert condition[:2] == ("False", "SecretNotFound")
    assert f"kubectl -n {bench.namespace} create secret generic writer --from-literal=AWS_ACCESS_KEY_ID=" in condition[2]  # fmt: skip
    assert "create secret generic password-of-backups" in condition[2]
    path = rig.secret("writer")
    rig.secret("password-of-backups")
    async with bench.connection.stream("GET", path, headers=METADATA) as answer:
        assert base64.b64encode(b"canary") not in await answer.read()
    bench.now += 30

    await rig.pass_()
    assert rig.absent == {}
    began = bench.now
    lists = f"{NAME}-listing-{int(began) // 60}"
    assert (list(rig.jobs()), rig.notes) == ([lists], ())
    rig.row.pop("catchUp")  # a status that was lost on the way
    await rig.pass_()
    assert list(rig.jobs()) == [lists], "the same Job, refused as being there, is no obstacle"
    assert bench.children.case(bench.policy(CACHE)).obstacles == {}
    outcome = replace(told(Task.LISTING, began + 3, int(began - 3 * DAY)), run=lists)
    ended = {"phase": "Succeeded", "containerStatuses": [ended_container(dump_outcome(outcome))]}
    rig.say(1, f"{naming.PART_LABEL}={naming.LISTING}", ended)

    await rig.pass_()
    saves = f"{NAME}-backup-{int(bench.now) // 60}"
    assert set(rig.jobs()) == {lists, saves}
    assert [note.reason for note in rig.notes] == ["BackupMissed"]
    assert rig.row["catchUp"] == {"at": stamp(bench.now), "step": "backup"}
    job = rig.jobs()[saves]
    cron = api_server.request("GET", f"/apis/batch/v1/namespaces/{bench.namespace}/cronjobs/{NAME}-backup")  # fmt: skip
    assert job["metadata"]["ownerReferences"][0]["uid"] == cron["metadata"]["uid"]
    for _ in range(5):
        bench.now += 1800
        await rig.pass_()
        assert bench.writes == []
    assert set(rig.jobs()) == {lists, saves}

"""A Redis of the operator's own, as it is rendered and runs: its controls pass, with TLS and without, and find what breaks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import trustme
from certificates import secret_of

import readiness.controls
from readiness.api.policy import PolicySpec
from readiness.cluster.certificates import certificate_of
from readiness.control import Requirement
from readiness.dataservices.order import Order
from readiness.dataservices.redis.build import members_of, sentinels_of
from readiness.engines.guard import Egress, Guard
from readiness.engines.inspection import Inspector
from readiness.model import Manifest, Result
from readiness.naming import store_labels
from readiness.registry import discover
from readiness.snapshot import Provided, Snapshot
from readiness.subjects import subjects_of

from .orders import manifests_of, order_of
from .rig import Rig, image_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts and chroot need root"),
]
CONTROLS: Any = discover(readiness.controls, Requirement)
JUDGED = ("HA-001", "HA-005", "HA-008", "HA-009", "HLT-006", "DAT-008", "DAT-014")
NETWORKS = (f"127.{91 + os.getpid() % 30}.{number}" for number in count(1))
TLS = {"tls": {"secretRef": {"name": "cache-tls"}}}


@pytest.fixture(params=[None, TLS], ids=["plain", "tls"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Rig, Order, list[Manifest]]]:  # fmt: skip
    order, more = order_of(request.param), []
    if request.param:
        names = [f"*.{part.domain}" for part in (members_of(order), sentinels_of(order))]
        more = [secret_of("cache-tls", trustme.CA(), *names, order.host(order.name("sentinel")))]
        order = order_of(request.param, certificate_of("cache-tls", more[0]))
    manifests = manifests_of(order)
    found = Rig(image_root("trixie"), tmp_path, next(NETWORKS), [*manifests, *more])
    found.start()
    until(lambda: all(pod.probe("readinessProbe") for pod in found.pods.values()))
    found.form()
    yield found, order, manifests
    found.stop()


def until(holds: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.5)


def deviating(rig: Rig, order: Order, manifests: list[Manifest]) -> dict[str, str]:
    """What does not pass, of one look with the operator's own login."""
    labels = store_labels("checkout", "cache")
    secrets = {m["metadata"]["name"]: {**m, "metadata": {**m["metadata"], "labels": labels}} for m in manifests if m["kind"] == "Secret"}  # fmt: skip
    children = {(m["kind"], m["metadata"]["name"]): {**m, "metadata": {**m["metadata"], "labels": labels}} for m in manifests if m["kind"] != "Secret"}  # fmt: skip
    pods = tuple(
        {
            "metadata": {"name": name, "labels": order.labels(pod.container["name"]),
                         "ownerReferences": [{"kind": "StatefulSet", "name": name.rpartition("-")[0]}]},
            "spec": {"nodeName": f"node-{pod.ordinal}"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        for name, pod in rig.pods.items()
    )  # fmt: skip
    snapshot = Snapshot(
        "shop", pod_addresses={pod.address: name for name, pod in rig.pods.items()},
        budgets=tuple(m for m in manifests if m["kind"] == "PodDisruptionBudget"),
        nodes={f"node-{number}": {} for number in range(3)}, provided=Provided(children=children, pods={"cache": pods}),
    )  # fmt: skip
    spec = PolicySpec.model_validate({"dataServices": [order.service.model_dump(by_alias=True, exclude_none=True)]})  # fmt: skip
    subject = subjects_of("checkout", spec, snapshot, 0.0)["cache"]

    async def find(_namespace: str, name: str) -> Manifest | None:
        return secrets.get(name)

    async def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    guard = Guard(Egress(tuple(f"{pod.address}/32" for pod in rig.pods.values())), resolve)
    assert subject.store is not None
    request = subject.store.request
    answers = {request: asyncio.run(Inspector(guard, find).inspect(request))}
    found = {}
    for id_ in JUDGED:
        params = MappingProxyType({each.name: each.default for each in CONTROLS[id_].params})
        found[id_] = CONTROLS[id_].judge(replace(subject, params=params), answers)
        assert not any(value in str(found[id_]) for value in order.credentials.values())
    return {id_: f"{v.result}/{v.reason}" for id_, v in found.items() if v.result is not Result.PASS}  # fmt: skip


def test_it_passes_and_a_lost_replica_shows(rig: tuple[Rig, Order, list[Manifest]]):
    found, order, manifests = rig
    until(lambda: deviating(found, order, manifests) == {})

    lost = found.pods[f"{order.name()}-2"]
    lost.kill()
    until(lambda: deviating(found, order, manifests).get("HA-001") == "Fail/TooFewReplicas")
    assert deviating(found, order, manifests).keys() == {"HA-001", "HA-008", "HA-009", "HLT-006", "DAT-008"}  # fmt: skip

    lost.start()
    until(lambda: deviating(found, order, manifests) == {})

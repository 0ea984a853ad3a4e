"""The meter beside real containers: what is known to be used is what it reads, in a namespace that admits restricted pods only."""

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

import image
from clusters import Cluster
from drillspace import Space, restricted
from readiness.cluster.connection import connect
from readiness.cluster.pods import Pods
from readiness.drills.metering import read_line, throttled_of
from readiness.drills.place import CONTAINER_SECURITY
from readiness.drills.room import room_of
from readiness.model import Manifest
from readiness.timeline import ProblemError, Sample

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
RUN: Final = "meters"
MI: Final = 1024 * 1024
GROWTH: Final = 100
CALM: Final = 60
"""Seconds before a pod does anything: a meter needs some of them to be there."""
SECONDS: Final = 100
WAIT: Final = f"import time; time.sleep({CALM})\n"
BURN: Final = "while True: pass"
GROW: Final = f"{WAIT}x = bytearray(b'x') * ({GROWTH} << 20)\ntime.sleep(600)"
FILE: Final = f"""{WAIT}with open('/scratch/f', 'wb') as f:
    for _ in range({GROWTH}): f.write(bytes(1 << 20))
with open('/scratch/f', 'rb') as f:
    while f.read(1 << 20): pass
time.sleep(600)"""
NOBODY: Final = {"runAsUser": 10001, "runAsGroup": 10002}
ROOT: Final = {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {}}
FEW: Final = {"runAsUser": 0, "runAsGroup": 3000, "runAsNonRoot": False, "capabilities": {"add": ["KILL"], "drop": ["ALL"]}}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A pod that does something known; its growth in MiB and its throttling are between two numbers each."""

    code: str
    growth: tuple[float, float] = (-2, 8)
    throttled: tuple[float, float] = (0, 0.05)
    security: Manifest = field(default_factory=lambda: dict(NOBODY))
    limits: Mapping[str, str] = field(default_factory=dict)
    medium: str = ""


GREW: Final = (GROWTH - 2, GROWTH + 8)
CASES: Final = {
    "held-back": Case(BURN, throttled=(0.3, 1), limits={"cpu": "50m"}),
    "held-back-alone": Case(BURN, throttled=(0.3, 1), limits={"cpu": "50m", "memory": "64Mi"}),
    "free": Case(BURN),
    "idle": Case(f"{WAIT}time.sleep(600)", limits={"cpu": "50m"}, throttled=(0, 0.2)),
    "grows": Case(GROW, GREW),
    "grows-image-user": Case(GROW, GREW, security={}),
    "grows-user-alone": Case(GROW, GREW, security={"runAsUser": 10001}),
    "memory-volume": Case(FILE, GREW, medium="Memory"),
    "disk": Case(FILE),
}
ROOTS: Final = {
    "root": Case(GROW, GREW, security=ROOT), "root-few": Case(GROW, GREW, security=FEW),
}  # fmt: skip


def pod(name: str, case: Case, specimen: str) -> Manifest:
    container = {
        "name": "app", "image": specimen, "imagePullPolicy": "IfNotPresent", "command": ["python3", "-c", case.code],
        "securityContext": CONTAINER_SECURITY | {"runAsNonRoot": True} | case.security,
        "resources": {"requests": {"cpu": "1m"}, "limits": dict(case.limits)},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }  # fmt: skip
    volume = {"name": "scratch", "emptyDir": {"medium": case.medium} if case.medium else {}}
    spec = {
        "containers": [container], "volumes": [volume], "automountServiceAccountToken": False, "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 10002, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec | room_of(spec),
    }


async def metered(cluster: Cluster, space: str, pods: list[Manifest], ours: str) -> dict[str, list[Sample] | str]:  # fmt: skip
    """Samples by pod, or why there are none."""
    connection = await connect(str(cluster.kubeconfig or ""), lambda method, status: None)
    hands = Pods(connection, space, RUN, ours)

    async def one(manifest: Manifest) -> list[Sample] | str:
        found: list[Sample] = []
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(SECONDS):
                    async for line in hands.meter(manifest, "app", 0.5):
                        told = read_line(line, 0.0)
                        if isinstance(told, str):
                            return told
                        found += [told] if told else []
        except ProblemError as error:
            return error.problem.words
        return found

    try:
        read = await asyncio.gather(*map(one, pods))
    finally:
        await connection.close()
    return {p["metadata"]["name"]: each for p, each in zip(pods, read, strict=True)}


def read(cluster: Cluster, space: Space, made: Mapping[str, Case]) -> dict[str, list[Sample] | str]:
    ours, specimen = image.operator_image(), image.specimen_images()[0]
    for each in (ours, specimen):
        cluster.load(each.name, each.archive)
    space.place(RUN, ours.name)  # waits for the ServiceAccount
    space.ready([pod(name, case, specimen.name) for name, case in made.items()])
    pods = [p for p in space.get("pods") if p["metadata"]["name"] in made]
    return asyncio.run(metered(cluster, space.name, pods, ours.name))


@pytest.fixture(scope="module")
def seen(cluster: Cluster) -> Iterator[Mapping[str, Any]]:
    """What was read beside each pod; root's live where root is admitted."""
    with restricted(cluster, "drill-meters") as space:
        found = read(cluster, space, CASES)
    with restricted(cluster, "drill-meters-root") as space:
        label = "pod-security.kubernetes.io/enforce=baseline"
        cluster.run("kubectl", "label", "--overwrite", "namespace", space.name, label)
        yield found | read(cluster, space, ROOTS)


@pytest.mark.parametrize("name", [*CASES, *ROOTS])
def test_what_is_used_is_what_is_read(seen: Mapping[str, Any], name: str) -> None:
    case, told = (CASES | ROOTS)[name], seen[name]
    assert isinstance(told, list), told
    growth = (max(s.memory for s in told) - told[0].memory) / MI
    throttled = throttled_of(told, 0.0)

    print(json.dumps({"name": name, "growth": round(growth, 1), "throttled": round(throttled, 3), "waited": told[-1].waited, "samples": len(told)}))  # fmt: skip
    assert told[0].memory > MI
    assert case.growth[0] <= growth <= case.growth[1]
    assert case.throttled[0] <= throttled <= case.throttled[1]
    assert told[-1].killed == 0
    assert max(b.at - a.at for a, b in itertools.pairwise(told)) < 5

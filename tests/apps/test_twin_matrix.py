"""What real rollouts show, without a cluster: pods are processes of the specimen, their Service is a relay that learns late.

Stream, record and judges are the real ones; e2e/test_passive.py does the same on pods.
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from specimen.defects.starting import StartDefect

import matrix
import readiness.controls
from readiness.api import read_policy
from readiness.cluster.record import Record
from readiness.control import Control, Requirement, Subject
from readiness.engines import Dialer, Egress, Engines, Guard, Limits, Resolver, build_trust
from readiness.model import Manifest, Verdict
from readiness.registry import discover
from readiness.request import Hop, HopKind, Stream
from readiness.snapshot import Snapshot
from readiness.terminations import SETTLED, stamp_of
from readiness.workload import pre_stop_seconds

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engines" / "drill"))
from drill_processes import free_port, send  # noqa: E402 (the path must be set first)

pytestmark = pytest.mark.slow
KNOWN = discover(readiness.controls, Requirement)
CONTROLS = {i: c for i in matrix.TWIN_CONTROLS if isinstance(c := KNOWN[i], Control)}
ROWS: Mapping[str, StartDefect | None] = {"none": None, **matrix.TWIN_DEFECTS}
SPACE, NAME, ADDRESS = "test", "it", "127.0.0.1"
REPLICAS, FEWEST, MOST = 3, 2, 5
GRACE = matrix.HOOK + 8
LEARNS = 4.0
"""Seconds from a deletion until no new connection is led to the pod."""
LIVES = SETTLED + 2
"""Seconds for which a pod is there before it is asked to go."""
WATCHED = 11.0
"""Seconds in which a stream has sent what makes a rollout count."""
FAST = Limits(target_rate=100, target_burst=100, address_rate=100, address_burst=100, cluster_rate=100, cluster_burst=100)  # fmt: skip


@dataclass
class Pod:
    """A process of the specimen, and the object that a watch shows of it."""

    spec: Manifest
    template: str
    port: int = field(default_factory=free_port)
    name: str = field(default_factory=lambda: secrets.token_hex(3))
    began: float = 0.0
    asked: float = 0.0
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it is Ready: when it listens, or at once where nobody probes it."""
        app = self.spec["containers"][0]
        env = {each["name"]: each["value"] for each in app["env"]} | {"PORT": str(self.port)}
        self.began = time.time()
        self.process = await asyncio.create_subprocess_exec(
            *app["command"], env=os.environ | env, stdout=asyncio.subprocess.DEVNULL
        )
        while "readinessProbe" in app:
            try:
                _, writer = await asyncio.open_connection(ADDRESS, self.port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.05)

    async def end(self) -> Manifest:
        """Its deletion, as the kubelet carries it out; returns what is seen last of it."""
        assert self.process is not None
        self.asked, grace = time.time(), self.spec["terminationGracePeriodSeconds"]
        hook = pre_stop_seconds(self.spec["containers"][0]) or 0.0
        await asyncio.sleep(hook)
        send(self.process, signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), grace - hook)
        except TimeoutError:
            send(self.process, signal.SIGKILL)
            code = await self.process.wait()
        return self.seen(code if code >= 0 else 128 - code)

    async def kill(self) -> None:
        """Whatever it does."""
        if self.process is not None:
            send(self.process, signal.SIGKILL)
            await self.process.wait()

    def seen(self, code: int) -> Manifest:
        """As the API server tells its end."""
        grace = self.spec["terminationGracePeriodSeconds"]
        started, asked, finished = (stamp_of(int(t)) for t in (self.began, self.asked + grace, time.time()))  # fmt: skip
        ended = {"exitCode": code, "startedAt": started, "finishedAt": finished, "reason": "Error" if code else "Completed"}  # fmt: skip
        owner = {"controller": True, "kind": "ReplicaSet", "name": f"{NAME}-{self.template}"}
        return {
            "kind": "Pod",
            "metadata": {
                "name": f"{NAME}-{self.template}-{self.name}", "namespace": SPACE, "labels": {"pod-template-hash": self.template},
                "ownerReferences": [owner], "deletionTimestamp": asked, "deletionGracePeriodSeconds": grace,
            },
            "spec": self.spec,
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": started}],
                "containerStatuses": [{"name": "app", "state": {"terminated": ended}}],
            },
        }  # fmt: skip


@dataclass
class Service:
    """Leads each connection to one of the ports behind it, in turn."""

    behind: Sequence[int] = ()
    port: int = 0
    _taken: int = 0
    _pipes: set[asyncio.Task[None]] = field(default_factory=set)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._taken += 1
        try:
            there = await asyncio.open_connection(
                ADDRESS, self.behind[self._taken % len(self.behind)]
            )
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(pipe(source, sink))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def gain(self, pods: Sequence[Pod]) -> None:
        """Starts pods, and leads to them as soon as they are Ready, to every other one that was there before."""
        await asyncio.gather(*(pod.start() for pod in pods))
        new = [pod.port for pod in pods]
        self.behind = list(chain(*zip(self.behind, new, strict=True))) if self.behind else new

    async def close(self) -> None:
        for task in tuple(self._pipes):
            task.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while part := await source.read(65536):
                sink.write(part)
    finally:
        sink.close()


@pytest.fixture(scope="module")
def seen() -> Mapping[str, dict[str, Verdict]]:
    """By defect, the verdicts on as many rollouts as decide."""

    async def run() -> Mapping[str, dict[str, Verdict]]:
        return dict(zip(ROWS, await asyncio.gather(*map(rolled, ROWS)), strict=True))

    return asyncio.run(run())


@pytest.mark.parametrize("row", ROWS)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    seen: Mapping[str, dict[str, Verdict]], row: str
) -> None:
    wrong = {id_: v.reason for id_, v in seen[row].items() if v.result != "Pass"}

    assert wrong == matrix.expected_of_drills(ROWS[row]), seen[row]


async def rolled(row: str) -> dict[str, Verdict]:
    """The verdicts on a specimen with this defect."""
    spec, service, record = spec_of(row), Service(), Record(lambda ref: True)
    dialer = Dialer(Guard(Egress((ADDRESS,)), Resolver()), build_trust())
    woken = asyncio.Event()
    engines = Engines(dialer, lambda key: woken.set(), limits=FAST)
    generations = [pods_of(spec, 0)]
    try:
        async with await asyncio.start_server(service.connected, ADDRESS, 0) as listening:
            service.port = int(listening.sockets[0].getsockname()[1])
            await service.gain(generations[0])
            await asyncio.sleep(LIVES)
            while (nth := len(generations)) <= MOST and (nth <= FEWEST or undecided(spec, record)):
                generations.append(pods_of(spec, nth))
                await roll(service, record, (engines, woken), (generations[-2], generations[-1]))
            await service.close()
    finally:
        await engines.close()
        for pod in chain(*generations):
            await pod.kill()
    return judged(spec, record)


def pods_of(spec: Manifest, nth: int) -> list[Pod]:
    """The replicas of one template."""
    return [Pod(spec, f"t{nth}") for _ in range(REPLICAS)]


def undecided(spec: Manifest, record: Record) -> bool:
    """A connection that closes as a request comes over it is one of few; another rollout tells."""
    return any(verdict.result == "Unknown" for verdict in judged(spec, record).values())


async def roll(
    service: Service,
    record: Record,
    asks: tuple[Engines, asyncio.Event],
    pods: tuple[list[Pod], list[Pod]],
) -> None:
    """New pods come, and all old ones go at once, while a stream asks; the Service learns of that a little later."""
    (engines, woken), (old, new) = asks, pods
    hop = Hop(HopKind.SERVICE, NAME, f"{NAME}.{SPACE}.svc", service.port, ADDRESS)
    key, began = (SPACE, NAME), time.monotonic()

    async def learns() -> None:
        await asyncio.sleep(LEARNS)
        service.behind = [pod.port for pod in new]

    engines.follow(key, [Stream(NAME, new[0].template, "/", hop, begins=True)])
    await service.gain(new)
    await asyncio.sleep(LIVES)
    *ends, _ = await asyncio.gather(*(pod.end() for pod in old), learns())
    for end in ends:
        record.saw([(None, end)])
    await asyncio.sleep(began + WATCHED - time.monotonic())
    engines.follow(key, [Stream(NAME, new[0].template, "/", hop, over=True)])
    await asyncio.wait_for(woken.wait(), 30)
    woken.clear()
    for target, passage in engines.passages(key):
        record.note(policy(), target, passage)


def policy() -> Manifest:
    ref = {"kind": "Deployment", "name": NAME}
    target = {"name": NAME, "workloadRef": ref, "service": {"name": NAME, "port": "http"}, "http": {"public": ["/"]}}  # fmt: skip
    return {"metadata": {"name": NAME, "namespace": SPACE}, "spec": {"targets": [target]}}


def judged(spec: Manifest, record: Record) -> dict[str, Verdict]:
    declared = read_policy(policy()["spec"])
    workload = {"kind": "Deployment", "metadata": {"name": NAME}, "spec": {"template": {"spec": spec}}}  # fmt: skip
    snapshot = Snapshot(
        namespace=SPACE, services={NAME: {"spec": {"clusterIP": ADDRESS}}},
        terminations=record.terminations(policy()), passages=record.passages(policy()),
    )  # fmt: skip
    subject = Subject(declared, declared.targets[0], snapshot, workload, now=time.time())
    return {id_: control.judge(subject, {}) for id_, control in CONTROLS.items()}


def spec_of(row: str) -> Manifest:
    """The specimen's pod, but for the place where it runs."""
    env = matrix.STOP_ENVIRONMENT | {"DEFECTS": row if ROWS[row] else ""}
    container: dict[str, Any] = {
        "name": "app", "command": [sys.executable, str(ROOT / "e2e" / "apps")],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "readinessProbe": {"tcpSocket": {"port": "http"}},
    }  # fmt: skip
    return matrix.stop_pod(container, ROWS[row]) | {"terminationGracePeriodSeconds": GRACE}  # fmt: skip

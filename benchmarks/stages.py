"""What is done to a contestant, and what is counted meanwhile. Every stage returns plain numbers."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import world
from contestant import Contestant, Running
from plane import MERGE, Plane, each, passes, writes

Numbers = dict[str, float]


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    policies: int = 1000
    rounds: int = 3
    edits: int = 100
    flips: int = 40
    storm_seconds: float = 10.0
    storm_rate: float = 100.0
    idle_seconds: float = 120.0
    restarts: int = 10


QUICK: Final = Size(200, 1, 30, 10, 4.0, 100.0, 15.0, 2)


@dataclass
class Seen:
    """The newest version of every policy, as a watch of ours tells it, and who waits for which."""

    newest: dict[str, dict[str, Any]] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, tuple[Callable[[dict[str, Any]], bool], asyncio.Future[float]]] = field(
        default_factory=dict
    )

    async def follow(self, plane: Plane) -> None:
        async for line in plane.lines(
            f"{world.GROUP}/readinesspolicies?watch=1&timeoutSeconds=86400"
        ):
            event, now = json.loads(line), time.perf_counter()
            found = event["object"]
            name = found["metadata"].get("name", "")
            if event["type"] == "DELETED":
                self.newest.pop(name, None)
            elif event["type"] in ("ADDED", "MODIFIED"):
                self.newest[name], self.at[name] = found, now
                wanted = self.waiting.get(name)
                if wanted and not wanted[1].done() and wanted[0](found):
                    wanted[1].set_result(now)
            else:
                raise RuntimeError(f"the watch ended: {event}")

    async def until(
        self, name: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 60.0
    ) -> float:
        """When a version came that holds (perf_counter)."""
        if name in self.newest and holds(self.newest[name]):
            return self.at[name]
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting[name] = (holds, future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        finally:
            del self.waiting[name]


def compliant(found: dict[str, Any]) -> str:
    rows = (found.get("status") or {}).get("conditions") or ()
    return next((row["status"] for row in rows if row["type"] == "Compliant"), "")


def judged(found: dict[str, Any]) -> bool:
    status = found.get("status") or {}
    return (
        bool(compliant(found))
        and status.get("observedGeneration") == found["metadata"]["generation"]
    )


@dataclass
class Match:
    """One contestant on the plane."""

    plane: Plane
    contestant: Contestant
    seen: Seen
    size: Size
    running: Running | None = None

    @property
    def user(self) -> str:
        return self.contestant.name

    def _live(self) -> Running:
        assert self.running is not None
        return self.running

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.running = None

    @contextmanager
    def alive(self) -> Iterator[None]:
        self.running = Running(self.contestant, self.plane)
        try:
            yield
        finally:
            self.stop()

    # -- stages --

    async def empty(self) -> Numbers:
        """Memory in an empty cluster."""
        with self.alive():
            usage = await self._live().quiet(6.0)
        return {"rss_empty": usage.rss, "pss_empty": usage.pss, "start_cpu": usage.cpu}

    async def ready(self) -> None:
        """Waits until it works: a policy whose workload does not exist is judged, too."""
        canary = world.policy(0, target="nothing")
        canary["metadata"]["name"] = "canary"
        await self.plane.call("POST", world.policy_path(0), canary)
        await self.seen.until("canary", judged)
        await self._live().quiet(1.0)

    async def drain(self) -> Numbers:
        """N new policies at once, until all are judged."""
        count, live = self.size.policies, self._live()
        before = live.usage()
        self.plane.mark()
        began = time.perf_counter()
        await each(
            range(count), lambda i: self.plane.call("POST", world.policy_path(i), world.policy(i))
        )
        names = [f"w{i:05}" for i in range(count)]
        for name in names:
            await self.seen.until(name, judged, 600.0)
        seconds = max(self.seen.at[name] for name in names) - began
        calls = await self.plane.settled(self.user)
        after = await live.quiet(0.0)
        wrong = [name for name in names if compliant(self.seen.newest[name]) != "True"]
        if wrong:
            raise SystemExit(
                f"{self.user}: {len(wrong)} correct policies are not Compliant: {json.dumps(self.seen.newest[wrong[0]].get('status'))[:3000]}"
            )
        return {
            "drain_rate": count / seconds,
            "drain_cpu_ms": 1000 * (after.cpu - before.cpu) / count,
            "drain_calls": passes(calls) / count,
            "rss_full": after.rss, "pss_full": after.pss, "peak": after.peak,
            "status_bytes": statistics.median(len(json.dumps(self.seen.newest[n]["status"])) for n in names),
        }  # fmt: skip

    async def edit(self) -> Numbers:
        """One spec after the other is changed; until its status tells the new generation."""
        times, live = [], self._live()
        before = live.usage()
        self.plane.mark()
        for number in range(self.size.edits):
            i = number * 7 % self.size.policies
            old = self.seen.newest[f"w{i:05}"]["spec"].get("enforcement")
            patch = {"spec": {"enforcement": "audit" if old == "enforce" else "enforce"}}
            began = time.perf_counter()
            made = await self.plane.call("PATCH", world.policy_path(i, f"/w{i:05}"), patch, MERGE)
            generation = made["metadata"]["generation"]
            end = await self.seen.until(
                f"w{i:05}", lambda f, g=generation: judged(f) and f["metadata"]["generation"] >= g
            )
            times.append(1000 * (end - began))
        calls = await self.plane.settled(self.user)
        cpu = live.usage().cpu - before.cpu
        return {
            "edit_p50": statistics.median(times), "edit_p99": statistics.quantiles(times, n=100)[98],
            "edit_cpu_ms": 1000 * cpu / len(times), "edit_calls": passes(calls) / len(times),
        }  # fmt: skip

    async def flip(self) -> Numbers:
        """A workload gets worse and well again; until the verdict follows."""
        times, live = [], self._live()
        before = live.usage()
        self.plane.mark()
        for replicas, verdict in ((1, "False"), (2, "True")):
            for i in range(self.size.flips // 2):
                began = time.perf_counter()
                await self.plane.call(
                    "PATCH", world.deployment_path(i), {"spec": {"replicas": replicas}}, MERGE
                )
                end = await self.seen.until(f"w{i:05}", lambda f, v=verdict: compliant(f) == v)
                times.append(1000 * (end - began))
        calls = await self.plane.settled(self.user)
        cpu = live.usage().cpu - before.cpu
        return {
            "flip_p50": statistics.median(times), "flip_cpu_ms": 1000 * cpu / len(times),
            "flip_calls": passes(calls) / len(times),
        }  # fmt: skip

    async def storm(self) -> Numbers:
        """Status updates of Deployments that change no verdict."""
        live, loop, tasks = self._live(), asyncio.get_running_loop(), set()
        before, began, gate = live.usage(), loop.time(), asyncio.Semaphore(64)
        self.plane.mark()
        total = int(self.size.storm_seconds * self.size.storm_rate)

        async def hit(number: int) -> None:
            patch = {"status": {"observedGeneration": 1000 + number}}
            async with gate:
                await self.plane.call(
                    "PATCH",
                    world.deployment_path(number % min(100, self.size.policies), "/status"),
                    patch,
                    MERGE,
                )

        for number in range(total):
            await asyncio.sleep(max(0.0, began + number / self.size.storm_rate - loop.time()))
            tasks.add(asyncio.create_task(hit(number)))
        await asyncio.gather(*tasks)
        seconds = loop.time() - began
        after = await live.quiet(1.0)
        calls = await self.plane.settled(self.user)
        return {
            "storm_rate": total / seconds,
            "storm_cpu_ms": 1000 * (after.cpu - before.cpu) / total,
            "storm_writes": writes(calls),
        }

    async def idle(self) -> Numbers:
        """Nothing happens."""
        live = self._live()
        before = live.usage()
        self.plane.mark()
        await asyncio.sleep(self.size.idle_seconds)
        cpu, calls = live.usage().cpu - before.cpu, self.plane.calls(self.user)
        return {"idle_writes": writes(calls), "idle_cpu_m": 1000 * cpu / self.size.idle_seconds}

    async def restart(self) -> Numbers:
        """It starts again and again among correct policies; each time until it has looked at all."""
        cpu, peak, rss, counts = [], [], [], Counter[str]()
        self.stop()
        for _ in range(self.size.restarts):
            self.plane.mark()
            with self.alive():
                usage = await self._live().judged(self.size.policies)
                counts += await self.plane.settled(self.user)
                cpu.append(usage.cpu)
                peak.append(usage.peak)
                rss.append(usage.rss)
        if writes(counts):
            print(f"{self.user}, calls of restarts: {dict(counts)}", file=sys.stderr)
        self.plane.mark()
        self.running = Running(self.contestant, self.plane)
        began = time.perf_counter()
        patch = {"spec": {"environment": "staging"}}
        made = await self.plane.call("PATCH", world.policy_path(0, "/w00000"), patch, MERGE)
        generation = made["metadata"]["generation"]
        end = await self.seen.until(
            "w00000", lambda f: judged(f) and f["metadata"]["generation"] >= generation
        )
        return {
            "restart_writes": writes(counts), "restart_cpu": statistics.median(cpu),
            "restart_peak": statistics.median(peak), "restart_rss": statistics.median(rss),
            "restart_served": end - began,
        }  # fmt: skip

    async def wipe(self) -> None:
        """No policies, reports and events any more."""
        self.stop()
        for plural in ("readinesspolicies", "readinessreports"):
            await each(self._places(world.GROUP, plural), lambda p: self.plane.call("DELETE", p), 8)
        await each(
            self._places("/apis/events.k8s.io/v1", "events"),
            lambda p: self.plane.call("DELETE", p),
            8,
        )
        while self.seen.newest:  # noqa: ASYNC110 -- the watch of `seen` empties it
            await asyncio.sleep(0.1)

    def _places(self, api: str, plural: str) -> Iterator[str]:
        for found in world.namespaces(self.size.policies):
            yield f"{api}/namespaces/{found['metadata']['name']}/{plural}"


async def populate(plane: Plane, count: int) -> None:
    """Nodes, namespaces and the workloads with their status."""

    async def make(place: tuple[str, dict[str, Any]]) -> None:
        path, found = place
        await plane.call("POST", path, found)
        if "status" in found:
            await plane.call(
                "PATCH",
                f"{path}/{found['metadata']['name']}/status",
                {"status": found["status"]},
                MERGE,
            )

    async def one(number: int) -> None:
        for place in world.workload(number):
            await make(place)

    await each(world.namespaces(count), lambda n: plane.call("POST", "/api/v1/namespaces", n))
    await each(range(count), one)


async def prepare(plane: Plane) -> None:
    """What also an empty cluster has."""
    for path, node in world.nodes():
        await plane.call("POST", path, node)
        await plane.call(
            "PATCH", f"{path}/{node['metadata']['name']}/status", {"status": node["status"]}, MERGE
        )

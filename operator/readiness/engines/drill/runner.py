"""A whole drill: its arms side by side, each on a clone of its own, everything cleared away after.

Runs inside the drill's Job. What it is told is a Script, what it says are timelines; how clones are
built is given to it, and so is everything that touches the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from readiness.engines.dialer import Caps, Dialer
from readiness.engines.drill.arm import ArmRun, World
from readiness.engines.drill.clone import Clone
from readiness.engines.drill.stage import Stage
from readiness.engines.drill.traffic import Line
from readiness.model import Manifest
from readiness.request import Hop, HopKind
from readiness.script import Arm, DrillSubject, Script
from readiness.timeline import Moment, Problem, Timeline

CAPS: Final = Caps(connect=3.0)
BEAT: Final = 0.05

Build = Callable[[Manifest, DrillSubject, Arm, int], Manifest | Problem]
"""The clone of a workload for an arm, the how-manieth it is; or why there can be none."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told: of moments as they happen, of a timeline when its arm has ended."""

    moment: Callable[[str, Moment], None]
    timeline: Callable[[Timeline], None]


class Drill:
    """`await Drill(script, stage, dialer, build, reports).run()` reports one timeline per arm."""

    def __init__(
        self, script: Script, stage: Stage, dialer: Dialer, build: Build, reports: Reports
    ) -> None:
        self._script = script
        self._stage = stage
        self._dialer = dialer
        self._build = build
        self._reports = reports
        self._zero = dialer.clock.steady()
        self._epoch = dialer.clock.wall()
        self._clones: dict[str, Clone] = {}
        self._late: list[tuple[float, float]] = []

    def now(self) -> float:
        """Seconds since the drill began."""
        return self._dialer.clock.steady() - self._zero

    async def run(self) -> None:
        """Carry out every arm within the script's deadline; clears away whatever happens."""
        beside = [asyncio.create_task(each) for each in (self._follow(), self._beat())]
        try:
            async with asyncio.timeout(self._script.deadline):
                await self._arms()
        finally:
            for task in beside:
                task.cancel()
            await self._stage.clear()

    async def _arms(self) -> None:
        subject = self._script.subject
        found = await self._stage.workload(subject.api_version, subject.kind, subject.name)
        if isinstance(found, Problem):
            for arm in self._script.arms:
                self._report(Timeline(arm.name, problem=found))
            return
        places = asyncio.Semaphore(self._script.clones)
        async with asyncio.TaskGroup() as group:
            for nth, arm in enumerate(self._script.arms):
                group.create_task(self._arm(found, arm, nth, places))

    async def _arm(self, workload: Manifest, arm: Arm, nth: int, places: asyncio.Semaphore) -> None:
        async with places:
            manifest = self._build(workload, self._script.subject, arm, nth)
            if isinstance(manifest, Problem):
                self._report(Timeline(arm.name, problem=manifest))
                return
            world = World(self._stage, self.now, self._line, self._reports.moment)
            running = ArmRun(world, arm, manifest, self._script.subject.container)
            name = manifest["metadata"]["name"]
            self._clones[name] = running.clone
            began = self.now()
            seen = await running.run()
            lag = max((late for at, late in self._late if at >= began), default=0.0)
            self._report(replace(seen, lag=lag))
            if not running.clone.gone and running.clone.pod:
                await self._stage.end(running.clone.pod)

    def _report(self, timeline: Timeline) -> None:
        self._reports.timeline(replace(timeline, epoch=self._epoch))

    def _line(self, pod: Manifest) -> Line:
        subject = self._script.subject
        address = pod["status"]["podIP"]
        hop = Hop(
            HopKind.POD, pod["metadata"]["name"], subject.host, subject.port, address, subject.tls,
            subject.namespace,
        )  # fmt: skip
        return Line(self._dialer, hop, self._script.run, self._zero)

    async def _follow(self) -> None:
        async for event, pod in self._stage.follow():
            clone = self._clones.get(pod["metadata"]["name"])
            if clone is not None:
                clone.saw(event, pod)

    async def _beat(self) -> None:
        """How late our own loop is: a prober that lags must not blame the application."""
        while True:
            before = self.now()
            await asyncio.sleep(BEAT)
            if (late := self.now() - before - BEAT) > BEAT:
                self._late.append((before, late))

"""One arm of a drill, carried out: its steps in order, what runs beside them until the exit.

Records and never judges. Whatever goes wrong ends the arm with a Problem; the timeline up to then
is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from readiness.engines.drill.clone import Clone
from readiness.engines.drill.stage import Stage
from readiness.engines.drill.traffic import Ask, Line
from readiness.model import Manifest
from readiness.script import Arm, Boot, Exit, Flow, Hold, Knock, Pause, Send, Step, Stop
from readiness.timeline import NEVER, Exchange, Moment, Problem, ProblemError, Timeline
from readiness.workload import app_container, pre_stop_seconds

PATIENT_SECONDS: Final = 15.0
AFTERMATH: Final = 1.0
"""How long requests may go on after the container has ended: what the kernel still delivers."""
KNOCKS_OPEN: Final = 3
MOST_SLOW: Final = 500
NEVER_REUSED: Final = 86400.0


@dataclass(frozen=True, slots=True)
class World:
    """What all arms of a drill share. `open_line(pod)` is a new connection to a clone."""

    stage: Stage
    now: Callable[[], float]
    open_line: Callable[[Manifest], Line]
    tell: Callable[[str, Moment], None]


class ArmRun:
    """`await ArmRun(world, arm, manifest).run()` is the arm's timeline; it never raises but when cancelled."""

    def __init__(self, world: World, arm: Arm, manifest: Manifest, container: str) -> None:
        self._world = world
        self._arm = arm
        self._manifest = manifest
        self._clock = world.now
        app = app_container(manifest, container or None) or {}
        signalled = any(isinstance(step, Stop) and step.signal for step in arm.steps)
        self._hook = 0.0 if signalled else pre_stop_seconds(app)
        self.clone = Clone(
            str(app.get("name", "")), world.now, lambda moment: world.tell(arm.name, moment)
        )
        self._done: list[Exchange] = []
        self._open = 0
        self._parallel = 1
        self._stopped = NEVER
        self._tasks: set[asyncio.Task[Any]] = set()
        self._moments: list[Moment] = []
        self._told = asyncio.Event()

    async def run(self) -> Timeline:
        """Carry out every step."""
        problem: Problem | None = None
        try:
            for step in self._arm.steps:
                await self._take(step)
        except ProblemError as ended:
            problem = ended.problem
        finally:
            await self._end_tasks()
        return self._timeline(problem)

    async def _take(self, step: Step) -> None:
        if isinstance(step, Flow):
            self._spawn(self._flow(step))
        elif isinstance(step, Knock):
            self._spawn(self._knock(step))
        elif isinstance(step, Hold):  # a busy server must not delay the steps after it
            self._spawn(self._hold(step))
        else:
            await self._act(step)

    async def _act(self, step: Boot | Pause | Send | Stop | Exit) -> None:
        match step:
            case Boot():
                await self._boot(step)
            case Pause():
                await self._pause(step.seconds)
            case Send():
                await self._send(step)
            case Stop():
                await self._stop(step)
            case Exit():
                await self._exit(step)

    async def _boot(self, step: Boot) -> None:
        made = await self._world.stage.create(self._manifest)
        if isinstance(made, Problem):
            raise ProblemError(made)
        self._note("created")
        clone, patient = self.clone, min(PATIENT_SECONDS, step.within)

        def over(at: Clone) -> bool:
            return at.moment("ready") or at.ending is not None or at.gone or at.obstacle(patient=True) is not None  # fmt: skip

        if not await clone.until(over, patient) and (problem := clone.obstacle(patient=False)):
            raise ProblemError(problem)
        await clone.until(over, step.within - patient)
        if (problem := clone.obstacle(patient=False)) and not clone.moment("ready"):
            raise ProblemError(problem)
        if step.succeed and clone.ending is not None:
            raise ProblemError(Problem("Ended", f"container {clone.container} ended with exit code {clone.ending.code} before it was Ready"))  # fmt: skip
        if step.succeed and not clone.moment("ready"):
            raise ProblemError(Problem("NotReady", f"not Ready within {step.within:g} s"))

    async def _pause(self, seconds: float) -> None:
        """Waits; a clone that ends meanwhile, unasked, ends the arm."""
        ended = await self.clone.until(lambda c: c.ending is not None or c.gone, seconds)
        if ended and self._stopped == NEVER:
            code = self.clone.ending.code if self.clone.ending else None
            raise ProblemError(Problem("Ended", f"container {self.clone.container} ended by itself with exit code {code}"))  # fmt: skip

    async def _send(self, step: Send) -> None:
        for nth in range(step.times):
            ask = Ask(step.label, step.path, step.method, nth, nth, step.seconds, step.body)
            sent = await asyncio.gather(
                *(self._once(replace(ask, nth=nth * step.parallel + n)) for n in range(step.parallel))
            )  # fmt: skip
            if step.measure:
                self._parallel = _parallel_of(sent, step.seconds)

    async def _hold(self, step: Hold) -> None:
        for nth in range(step.count):
            line = self._world.open_line(self.clone.pod)
            self._done.append(await line.send(Ask(step.label, step.path, nth=nth)))
            self._spawn(self._held(line, step, nth))

    async def _held(self, line: Line, step: Hold, nth: int) -> None:
        """Keep one connection idle until it closes or its second request is due."""
        closed = self._spawn(line.closed())
        try:
            told = asyncio.create_task(self._told.wait())
            await asyncio.wait((closed, told), return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            due = self._stopped + (self._hook or 0.0) + _delay(step, nth)
            if not closed.done():
                await asyncio.wait((closed,), timeout=due - self._clock())
            if closed.done():
                self._note("closed", f"{step.label} {nth}")
                return
            closed.cancel()
            self._done.append(await line.send(Ask(step.label, step.path, nth=nth, wave=1)))
        finally:
            line.close()

    async def _flow(self, step: Flow) -> None:
        """Waves of slow requests, never more open than were proven to run at the same time."""
        limit = self._parallel - 1 if self._parallel > 1 else 1
        nth = wave = 0
        while nth < MOST_SLOW:
            for _ in range(step.size):
                if self._open < limit:
                    seconds, path = step.paths[nth % len(step.paths)]
                    self._spawn(self._slow(Ask(step.label, path, nth=nth, wave=wave, seconds=seconds)))  # fmt: skip
                    nth += 1
            await asyncio.sleep(step.every)
            wave += 1
            if self._stopped != NEVER and self._refused(step.label):
                return

    async def _slow(self, ask: Ask) -> None:
        self._open += 1
        try:
            await self._once(ask)
        finally:
            self._open -= 1

    def _refused(self, label: str) -> bool:
        late = [x for x in self._done if x.label == label and x.start > self._stopped]
        return any(x.first == NEVER for x in late)

    async def _knock(self, step: Knock) -> None:
        """Fresh connections at a steady pace, few of them open at once: the prober must not cause what it reports."""
        running: set[asyncio.Task[None]] = set()
        began, nth = self._clock(), 0
        while nth < step.most:
            if len(running) < KNOCKS_OPEN:
                task = self._spawn(self._knock_once(Ask(step.label, step.path, nth=nth)))
                running.add(task)
                task.add_done_callback(running.discard)
                nth += 1
            behind = (self._clock() - began) % step.every
            await asyncio.sleep(step.every - behind)

    async def _knock_once(self, ask: Ask) -> None:
        await self._once(ask)

    async def _once(self, ask: Ask) -> Exchange:
        line = self._world.open_line(self.clone.pod)
        try:
            seen = await line.send(ask)
        finally:
            line.close()
        self._done.append(seen)
        return seen

    async def _stop(self, step: Stop) -> None:
        self._note("stopping")
        stage, pod = self._world.stage, self.clone.pod
        if step.signal:
            name = self.clone.container
            problem = await stage.signal(pod, name, step.signal, self._is_told)
        elif (problem := await stage.end(pod)) is None:
            self._is_told()
        if problem is not None:
            raise ProblemError(problem)

    def _is_told(self) -> None:
        self._stopped = self._clock()
        self._told.set()
        self._note("stopped")

    async def _exit(self, step: Exit) -> None:
        ended = await self.clone.until(lambda c: c.ending is not None or c.gone, step.within)
        if not ended:
            raise ProblemError(Problem("Aborted", f"still running {step.within:g} s after it was told to stop"))  # fmt: skip
        if self.clone.ending is None:
            raise ProblemError(Problem("Aborted", "the pod was gone before its end was seen"))
        await asyncio.sleep(AFTERMATH)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end_tasks(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _note(self, name: str, detail: str = "") -> None:
        moment = Moment(self._clock(), name, detail)
        self._moments.append(moment)
        self._world.tell(self._arm.name, moment)

    def _timeline(self, problem: Problem | None) -> Timeline:
        spec = self._manifest["spec"]
        grace = spec.get("terminationGracePeriodSeconds")
        moments = sorted((*self._moments, *self.clone.moments), key=lambda m: m.at)
        return Timeline(
            self._arm.name, stopped=self._stopped, grace=30.0 if grace is None else float(grace),
            hook=self._hook, parallel=self._parallel, container=self.clone.container,
            node=self.clone.node, exchanges=tuple(sorted(self._done, key=lambda x: x.start)),
            moments=tuple(moments), endings=tuple(self.clone.endings), problem=problem,
        )  # fmt: skip


def _delay(step: Hold, nth: int) -> float:
    """Seconds after the signal at which a held connection is used again."""
    return step.reuse_after[nth % len(step.reuse_after)] if step.reuse_after else NEVER_REUSED


def _parallel_of(sent: list[Exchange], seconds: float) -> int:
    """How many of these ran at the same time: all, when they took hardly longer than one."""
    whole = [x for x in sent if x.answered]
    if not whole or seconds <= 0:
        return 1
    wall = max(x.end for x in whole) - min(x.start for x in whole)
    if wall <= 1.5 * seconds:
        return len(whole)
    return max(1, int(len(whole) * seconds / wall + 0.2))  # a busy machine adds to the wall

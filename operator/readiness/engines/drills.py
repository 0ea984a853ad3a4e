"""Drills under way: one Job per target of a policy, few at a time, asked by one pass and read by a later one.

What `Engines` is for probes. Judges nothing, and knows of a drill only its script and timelines.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from readiness.engines.drill.order import Jobs, Nodes, carry_out, elsewhere
from readiness.failover import AnyRequest, AnyScript, FailoverScript, script_of
from readiness.model import Manifest
from readiness.request import Answer, DrillRequest, FailoverRequest, Request, Trial, TrialAnswers
from readiness.timeline import Moment, Problem, ProblemError, Timeline

Key = tuple[str, str]
Answered = Mapping[tuple[str, str], TrialAnswers]
AT_ONCE: Final = 3
LEFT_SECONDS: Final = 60.0
MOST_UNSEEN: Final = 30
"""How often in a row it may be that nobody is allowed to see what a drill left."""
AGAIN: Final = 3600.0
"""What disturbs something live, and was called off, does not begin anew within this: it might be why it was called off."""
CALLED_OFF: Final = Problem(
    "Aborted",
    "it was called off while it went on: by an incident, its window, or a change of its policy",
)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """The policy a drill is for."""

    key: Key
    uid: str


class Observer(Protocol):
    """Told how drills end; `metrics.Metrics` is one."""

    def drilled(self, result: str) -> None:
        """A drill ended: Complete, or the reason of its first problem."""

    def left_over(self, pods: int) -> None:
        """So many pods of ended drills are still there."""


@dataclass(frozen=True, slots=True)
class Office:
    """How drills are ordered: the Jobs of a namespace, and the manifest of one for a script."""

    jobs: Callable[[str], Jobs]
    job: Callable[[AnyScript, Owner], Manifest]
    observer: Observer


@dataclass(slots=True)
class _Running:
    requests: frozenset[AnyRequest]
    task: asyncio.Task[tuple[Timeline, ...]]
    begun: bool = False

    @property
    def disturbs(self) -> bool:
        """Whether something live is being disturbed."""
        return self.begun and any(isinstance(each, FailoverRequest) for each in self.requests)


class Drills:
    """Background drills by policy; `wake(key)` says that one has ended."""

    def __init__(self, office: Office, wake: Callable[[Key], None], at_once: int = AT_ONCE) -> None:
        self._office = office
        self._wake = wake
        self._turn, self._alone = asyncio.Semaphore(at_once), asyncio.Lock()
        self._running: dict[tuple[Key, str], _Running] = {}
        self._seen: dict[Key, dict[AnyRequest, Timeline]] = {}
        self._nodes: dict[tuple[Key, str], Nodes] = {}
        self._called_off: dict[tuple[Key, str], float] = {}
        self._after: set[asyncio.Task[None]] = set()
        self._left: dict[str, tuple[Key, str, tuple[str, ...]]] = {}

    def run(self, owner: Owner, trials: Sequence[Trial]) -> Answered:
        """What has finished of these trials; the rest is started. Never waits.

        A drill that is no longer asked for in the same words is stopped: its template has changed,
        or its policy is suspended.
        """
        wanted = _by_subject(trials)
        self._stop(owner.key, wanted)
        seen = self._seen.pop(owner.key, {})
        for target, requests in wanted.items():
            if (owner.key, target) not in self._running and not requests <= seen.keys():
                self._start(owner, target, requests - seen.keys())
        answered = {
            (trial.control, trial.target): TrialAnswers(trial, answers, time.time())
            for trial in trials
            if (answers := _answers(trial, seen)) is not None
        }
        self._keep(owner.key, seen, wanted, answered)
        return answered

    def disturbing(self, key: Key) -> frozenset[str]:
        """Data services of a policy whose failover is being drilled."""
        under_way = (
            target for (owner, target), r in self._running.items() if owner == key and r.disturbs
        )
        return frozenset(under_way)

    def leftover(self, key: Key) -> Mapping[str, tuple[str, ...]]:
        """Pods that outlive drills of a policy by a minute, by target."""
        found: dict[str, tuple[str, ...]] = {}
        for owner, target, pods in self._left.values():
            if owner == key and pods:
                found[target] = tuple(sorted({*found.get(target, ()), *pods}))
        return found

    def forget(self, key: Key) -> None:
        """Stop what runs for a policy that is gone."""
        self._stop(key, {})
        self._seen.pop(key, None)
        self._nodes = {where: nodes for where, nodes in self._nodes.items() if where[0] != key}

    async def close(self) -> None:
        """Stop everything; each Job is deleted before this returns."""
        tasks = [*(running.task for running in self._running.values()), *self._after]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, owner: Owner, target: str, requests: frozenset[AnyRequest]) -> None:
        ordered = sorted(requests, key=lambda r: r.arm.name)
        if time.monotonic() - self._called_off.pop((owner.key, target), -AGAIN) < AGAIN:
            off = (Timeline(each.arm.name, problem=CALLED_OFF) for each in ordered)
            self._seen.setdefault(owner.key, {}).update(zip(ordered, off, strict=True))
            self._wake(owner.key)
            return
        avoid = self._nodes.get((owner.key, target), ())
        script = script_of(uuid.uuid4().hex[:10], ordered, avoid)
        task = asyncio.create_task(self._carry_out(owner, script), name=f"drill {script.run}")
        self._running[owner.key, target] = _Running(requests, task)
        task.add_done_callback(lambda ended: self._ended(owner.key, target, ended))

    async def _carry_out(self, owner: Owner, script: AnyScript) -> tuple[Timeline, ...]:
        disruptive = isinstance(script, FailoverScript)
        async with self._alone if disruptive else self._turn:
            if (running := self._running.get((owner.key, script.subject.target))) is not None:
                running.begun = True
            log.info("drill %s of %s/%s begins: %d arms", script.run, owner.key[0], script.subject.name, len(script.arms))  # fmt: skip
            jobs, job = self._office.jobs(owner.key[0]), self._office.job(script, owner)
            try:
                return await carry_out(jobs, job, script, _debug)
            finally:
                self._spawn(self._look_after(owner.key, jobs, script))

    async def _look_after(self, key: Key, jobs: Jobs, script: AnyScript) -> None:
        """Tells what a drill left behind until it is gone; garbage collection gets a minute.

        Where that cannot be seen, what was seen last stands, for a while.
        """
        unseen, left = 0, None
        while left != () and unseen < MOST_UNSEEN:
            await asyncio.sleep(LEFT_SECONDS)
            seen = await jobs.left(script.run)
            unseen = unseen + 1 if seen is None else 0
            self._leave(key, script, left or (), seen if seen is not None else left or ())
            left = left if seen is None else seen
        if unseen:
            log.warning("whether drill %s left pods behind cannot be seen", script.run)
            self._leave(key, script, left or (), ())
        del self._left[script.run]

    def _leave(
        self, key: Key, script: AnyScript, before: tuple[str, ...], now: tuple[str, ...]
    ) -> None:
        if now and not before:
            log.error("drill %s left pods behind: %s", script.run, ", ".join(now))
        self._left[script.run] = (key, script.subject.target, now)
        self._office.observer.left_over(sum(len(pods) for _, _, pods in self._left.values()))
        if now != before:
            self._wake(key)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._after.add(task)
        task.add_done_callback(self._after.discard)

    def _ended(self, key: Key, target: str, task: asyncio.Task[tuple[Timeline, ...]]) -> None:
        running = self._running.get((key, target))
        if running is None or running.task is not task or task.cancelled():
            return
        del self._running[key, target]
        ordered = sorted(running.requests, key=lambda r: r.arm.name)
        if (error := task.exception()) is not None:
            problem = _problem(key, error)
            timelines = tuple(Timeline(each.arm.name, problem=problem) for each in ordered)
        else:
            timelines = task.result()
        self._nodes[key, target] = elsewhere(self._nodes.get((key, target), ()), timelines)
        problems = (t.problem.reason for t in timelines if t.problem is not None)
        self._office.observer.drilled(next(problems, "Complete"))
        self._seen.setdefault(key, {}).update(zip(ordered, timelines, strict=True))
        self._wake(key)

    def _stop(self, key: Key, wanted: Mapping[str, frozenset[AnyRequest]]) -> None:
        for (owner, target), running in tuple(self._running.items()):
            if owner == key and not running.requests <= wanted.get(target, frozenset()):
                running.task.cancel()
                del self._running[owner, target]
                if running.disturbs:
                    self._called_off[owner, target] = time.monotonic()

    def _keep(
        self, key: Key, seen: dict[AnyRequest, Timeline],
        wanted: Mapping[str, frozenset[AnyRequest]], answered: Answered,
    ) -> None:  # fmt: skip
        """A trial of two arms may wait for the second: the first is kept as long as it is wanted."""
        used = {r for found in answered.values() for r in found.trial.requests}
        asked = frozenset[AnyRequest]().union(*wanted.values())
        if left := {r: t for r, t in seen.items() if r in asked and r not in used}:
            self._seen.setdefault(key, {}).update(left)


def is_drill(trial: Trial) -> bool:
    """Whether a trial asks for drills rather than probes."""
    return any(isinstance(request, DrillRequest | FailoverRequest) for request in trial.requests)


def _by_subject(trials: Iterable[Trial]) -> dict[str, frozenset[AnyRequest]]:
    found: dict[str, set[AnyRequest]] = {}
    for trial in trials:
        for request in trial.requests:
            if isinstance(request, DrillRequest | FailoverRequest):
                found.setdefault(trial.target, set()).add(request)
    return {target: frozenset(requests) for target, requests in found.items()}


def _answers(trial: Trial, seen: Mapping[AnyRequest, Timeline]) -> dict[Request, Answer] | None:
    answers: dict[Request, Answer] = {}
    for request in trial.requests:
        if not isinstance(request, DrillRequest | FailoverRequest) or request not in seen:
            return None
        answers[request] = seen[request]
    return answers


def _problem(key: Key, error: BaseException) -> Problem:
    if isinstance(error, ProblemError):
        return error.problem
    log.error("drill of %s/%s failed: %s", *key, type(error).__name__)
    return Problem("Aborted", f"the operator failed: {type(error).__name__}")


def _debug(arm: str, moment: Moment) -> None:
    log.debug("%s: %s %s", arm, moment.name, moment.detail)

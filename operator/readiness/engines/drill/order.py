"""A drill ordered from outside its Job: start it, listen, believe it only if it ended whole.

The same code serves the operator and the command line. Knows how a Job answers, not what it means.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Final, Protocol, TypeVar

from readiness.drills.codec import START, load_timelines
from readiness.failover import AnyScript
from readiness.model import Manifest
from readiness.timeline import Moment, Problem, ProblemError, Timeline

REMEMBERED: Final = 2
"""On how many nodes an arm is not repeated: as many as there are looks before the last."""
Nodes = tuple[tuple[str, str], ...]
"""(arm, node) for each node on which an arm has been seen."""
T = TypeVar("T")
Tell = Callable[[str, Moment], None]
"""Told of (arm, moment) as a drill goes on."""


class Jobs(Protocol):
    """What is needed of the cluster; `cluster.jobs.Jobs` is one. Everything may raise ProblemError."""

    async def start(self, job: Manifest) -> Problem | None:
        """Create the Job."""

    def log(self, run: str) -> AsyncIterator[str]:
        """The lines of its log, to the end."""

    async def last_word(self, run: str) -> str:
        """Its termination message."""

    async def delete(self, run: str) -> None:
        """Delete it, and with it everything of the drill."""

    async def left(self, run: str) -> tuple[str, ...] | None:
        """Names of the drill's pods that are still there; None where that cannot be seen."""


async def carry_out(
    jobs: Jobs, job: Manifest, script: AnyScript, tell: Tell
) -> tuple[Timeline, ...]:
    """One timeline per arm of the script, in its order; a Problem where there is none."""
    seen: dict[str, Timeline] = {}
    problem = Problem("Aborted", "the drill's Job ended before this arm")
    try:
        if (refused := await _surely(jobs.start(job))) is not None:
            raise ProblemError(refused)
        seen = await _listen(jobs, script, tell)
    except ProblemError as error:
        problem = error.problem
    finally:
        await _surely(jobs.delete(script.run))
    return tuple(seen.get(arm.name, Timeline(arm.name, problem=problem)) for arm in script.arms)


async def _surely(work: Coroutine[None, None, T]) -> T:
    """What it returns, to its end: who cancels it meanwhile is obeyed after it.

    A Job that is created while nobody waits for the answer would be one that nobody deletes.
    """
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()


async def _listen(jobs: Jobs, script: AnyScript, tell: Tell) -> dict[str, Timeline]:
    seen: dict[str, Timeline] = {}
    digest = hashlib.sha256()
    async for line in jobs.log(script.run):
        if not line.startswith(START):
            continue
        if (moment := _moment(line)) is not None:
            tell(*moment)
            continue
        digest.update(line.encode())
        for timeline in load_timelines(script.run, [line]):
            seen[timeline.arm] = timeline
    word = await jobs.last_word(script.run)
    if _digest(word, script.run) != digest.hexdigest():
        raise ProblemError(Problem("Aborted", "the log of the drill's Job is not whole"))
    return seen


def elsewhere(seen: Nodes, timelines: Iterable[Timeline]) -> Nodes:
    """What is known of arms and nodes, and what a drill adds: the last of each arm."""
    added = [(t.arm, t.node) for t in timelines if t.node]
    found = (*(pair for pair in seen if pair not in added), *added)
    by_arm = {arm: [pair for pair in found if pair[0] == arm] for arm, _ in found}
    return tuple(pair for pairs in by_arm.values() for pair in pairs[-REMEMBERED:])


def _moment(line: str) -> tuple[str, Moment] | None:
    try:
        found = json.loads(line)
        return (found["arm"], Moment(**found["moment"])) if "moment" in found else None
    except (ValueError, TypeError, KeyError):
        return None


def _digest(word: str, run: str) -> str:
    try:
        found = json.loads(word)
    except ValueError:
        return ""
    return str(found.get("sha256", "")) if found.get("run") == run else ""

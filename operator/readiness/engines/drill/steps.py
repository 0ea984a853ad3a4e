"""Steps of a clone's life: boot, pause, stop, exit; and what its log says."""

from __future__ import annotations

import asyncio
from typing import Final

from readiness.drills.saying import said_of, settled
from readiness.engines.drill.act import Act
from readiness.engines.drill.clone import Clone
from readiness.step import Boot, Exit, Linger, Logs, Pause, Stop
from readiness.timeline import Problem, ProblemError

PATIENT_SECONDS: Final = 15.0
"""How long an obstacle may last that may pass by itself: no node yet, a registry's hiccup."""
AFTERMATH: Final = 0.4
"""How long requests may go on after the end of the container was seen: what the kernel still delivers."""

READ_AGAIN: Final = 0.5
"""How soon a log is read again that does not hold yet what is asked for."""


async def boot(act: Act, step: Boot) -> None:
    """Create the next clone; wait until it is Ready, has ended, or cannot start."""
    act.nth += 1
    made = await act.world.stage.create(act.manifest)
    if isinstance(made, Problem):
        raise ProblemError(made)
    act.note("created")
    clone, patient = act.clone, min(PATIENT_SECONDS, step.within)
    if not await clone.until(_over, patient):
        _raise(clone.obstacle(patient=False))
        await clone.until(_over, step.within - patient)
    if not clone.moment("ready"):
        _raise(clone.obstacle(patient=False))
    if not step.succeed:
        return
    if clone.ending is not None:
        _raise(Problem("Ended", f"container {clone.container} ended with exit code {clone.ending.code} before it was Ready"))  # fmt: skip
    if not clone.moment("ready"):
        _raise(Problem("NotReady", f"not Ready within {step.within:g} s{clone.waits_for}"))


def _over(clone: Clone) -> bool:
    return clone.moment("ready") or clone.over or clone.obstacle(patient=True) is not None


def _raise(problem: Problem | None) -> None:
    if problem is not None:
        raise ProblemError(problem)


async def pause(act: Act, step: Pause) -> None:
    """Waits; a clone that ends meanwhile, unasked, ends the arm."""
    clone = act.clone
    ended = await clone.until(lambda c: c.over, step.seconds)
    if ended and not clone.told:
        code = clone.ending.code if clone.ending else None
        _raise(Problem("Ended", f"container {clone.container} ended by itself with exit code {code}"))  # fmt: skip


async def stop(act: Act, step: Stop) -> None:
    """Delete the clone, or signal it."""
    act.note("stopping")
    stage, pod = act.world.stage, act.clone.pod
    if step.signal:
        _raise(await stage.signal(pod, act.clone.container, step.signal, act.is_told))
        act.note("sent")
    else:
        _raise(await stage.end(pod))
        act.is_told()


async def exit_(act: Act, step: Exit) -> None:
    """Wait for the end of the application's container, and for answers that are still under way."""
    clone = act.clone
    if not await clone.until(lambda c: c.over, step.within):
        _raise(Problem("Aborted", f"still running {step.within:g} s after it was told to stop"))
    if clone.ending is None:
        _raise(Problem("Aborted", "the pod was gone before its end was seen"))
    await asyncio.sleep(act.stopped + step.watched - act.now)
    if act.sending:
        await asyncio.wait(act.sending, timeout=AFTERMATH)


async def linger(act: Act, step: Linger) -> None:
    """Wait for an end that may not come."""
    await act.clone.until(lambda c: c.over, step.within)


async def logs(act: Act, step: Logs) -> None:
    """Read the log, again while it lacks something; only what was asked for is kept."""
    began = act.now
    while True:
        text = await act.world.stage.log(act.manifest, act.clone.container)
        if isinstance(text, Problem):
            raise ProblemError(text)
        said = said_of(step, text, act.now)
        if settled(step, said) or act.now - began >= step.within:
            break
        await asyncio.sleep(READ_AGAIN)
    act.said.append(said)

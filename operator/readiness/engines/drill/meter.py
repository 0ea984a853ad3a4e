"""The step that reads what a clone uses, beside all that follow. A clone that cannot be metered is drilled all the same."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace

from readiness.drills.metering import read_line
from readiness.engines.drill.act import Act
from readiness.engines.drill.clone import Clone
from readiness.step import Meter, Metered
from readiness.timeline import Problem, ProblemError, Sample


def meter(act: Act, step: Meter) -> None:
    """Samples of the next clone, as soon as its container runs, to its end."""
    act.spawn(_meter(act, act.clones[act.nth + 1][1], step))


async def metered(act: Act, step: Metered) -> None:
    """Whoever needs samples waits for the meter, which takes seconds to come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(step.within):
            await act.metered.wait()


async def _meter(act: Act, clone: Clone, step: Meter) -> None:
    last = -math.inf
    await clone.until(lambda c: c.moment("running") or c.over, math.inf)
    try:
        if clone.over:
            raise ProblemError(Problem("NotMeasured", "the container ended before it could be metered"))  # fmt: skip
        async for line in act.world.stage.meter(clone.pod, clone.container, step.every):
            told = read_line(line, act.world.epoch)
            if isinstance(told, Sample):
                if told.at > last:  # a log that was cut is read again from its beginning
                    act.samples.append(replace(told, clone=clone.nth))
                last = max(last, told.at)
                act.metered.set()
            elif told:
                act.unmeasured = told
    except ProblemError as error:
        act.unmeasured = error.problem.words
    act.metered.set()

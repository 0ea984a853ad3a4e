"""The step that reads what a clone uses, beside all that follow. A clone that cannot be metered is drilled all the same."""

from __future__ import annotations

import math

from readiness.drills.metering import read_line
from readiness.engines.drill.act import Act
from readiness.engines.drill.clone import Clone
from readiness.step import Meter
from readiness.timeline import ProblemError, Sample


def meter(act: Act, step: Meter) -> None:
    """Samples, as soon as the container runs, to its end."""
    act.spawn(_meter(act, act.clone, step))


async def _meter(act: Act, clone: Clone, step: Meter) -> None:
    await clone.until(lambda c: c.moment("running") or c.over, math.inf)
    if clone.over:
        act.unmeasured = "the container ended before it could be metered"
        return
    try:
        async for line in act.world.stage.meter(clone.pod, clone.container, step.every):
            told = read_line(line, act.world.epoch)
            if isinstance(told, Sample):
                act.samples.append(told)
            elif told:
                act.unmeasured = told
    except ProblemError as error:
        act.unmeasured = error.problem.words

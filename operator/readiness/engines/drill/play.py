"""The step that plays scenes of a scenario on a clone: one request after another, some of them until they hold.

What an answer means is asked of `scenario`; of its body nothing else comes out.
"""

from __future__ import annotations

import asyncio
from typing import Final

from readiness.engines.drill.act import Act
from readiness.engines.drill.traffic import Query, once
from readiness.scenario import SECONDS, Scene, Unmet, extracted, filled_body, filled_path, unmet
from readiness.step import Body, Play
from readiness.timeline import Check, Problem, ProblemError

LONGEST_ANSWER: Final = 256 * 1024
AGAIN: Final = 1.0
UNANSWERED: Final = (Unmet("answer", "absent"),)


async def play(act: Act, step: Play) -> None:
    """Every scene, up to the first that does not hold."""
    for scene in step.scenes:
        check = await _played(act, step, scene)
        act.checks.append(check)
        if check.unmet and step.succeed:
            raise ProblemError(_unplayed(check))
        if check.unmet:
            return


async def _played(act: Act, step: Play, scene: Scene) -> Check:
    """The scene as it was last tried. An end of the clone ends it as well."""
    began = act.now
    until = began + (scene.within + step.longer if scene.within else 0.0)
    while True:
        status, wrong = await _tried(act, step, scene)
        if not wrong or act.now + AGAIN > until or act.clone.over:
            return Check(step.label, scene.name, began, act.now, status, wrong)
        await asyncio.sleep(AGAIN)


async def _tried(act: Act, step: Play, scene: Scene) -> tuple[int, tuple[Unmet, ...]]:
    values = {**act.values, SECONDS: str(step.seconds)}
    content = filled_body(scene, values).decode()
    query = Query(
        step.label, filled_path(scene, values), scene.method,
        body=Body(text=content) if content else None, keep=LONGEST_ANSWER,
    )  # fmt: skip
    seen, kept = await once(act.world.open_line(act.clone.pod), query)
    if not seen.answered:
        return 0, UNANSWERED
    wrong = unmet(scene, seen.status, kept)
    if not wrong:
        act.values |= extracted(scene, kept)
    return seen.status, wrong


def _unplayed(check: Check) -> Problem:
    told = ", ".join(f"{each.what} ({each.how})" for each in check.unmet)
    told = f"{told}, status {check.status}" if check.status else told
    return Problem(
        "Unplayed", f"step {check.scene} of the scenario does not hold on a clone: {told}",
        "correct the scenario, or declare the stores that its steps need",
    )  # fmt: skip

"""Whether the next step of a running service is taken in this pass: one at a time, and only while nobody is away.

Pure. What came of a step is known by whether the servers, looked at since, still need it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from readiness.dataservices.children import generated_of
from readiness.dataservices.command import Amend, Step, Task, Tell, Wait
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Order
from readiness.dataservices.roll import is_calm
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Told

RETRY_SECONDS: Final = 20.0
TIMES: Final = 3
"""A step that was told so often without an effect is told of."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows from a step: taken now, if at all, and what is told meanwhile: of what is done, or still lacking."""

    step: Step | None = None
    doing: str = ""
    lacking: str = ""
    reason: str = ""
    obstacles: tuple[Obstacle, ...] = ()


def turn_of(kind: Kind, task: Task, sets: Sequence[Manifest], pods: Sequence[Manifest]) -> Turn:
    """What a kind would do next, and whether it may now."""
    calm = is_calm(sets, pods, task.seen)
    step, seen = kind.next_step(replace(task, calm=calm)), task.seen
    if step is None:
        return Turn()
    if isinstance(step, Wait):
        if step.fix:
            return Turn(obstacles=(Obstacle(step.reason, step.why, step.fix),))
        return Turn(lacking=step.why) if step.lacks else Turn(doing=step.why, reason=step.reason)
    failed = _failure(step, seen.told)
    ripe = failed is None or failed.at + RETRY_SECONDS <= task.now
    obstacles = (failed,) if failed else ()
    return replace(_telling(step), step=step if ripe and calm else None, obstacles=obstacles)


def amended(kind: Kind, order: Order, amend: Amend, secret: Manifest, token: str) -> Manifest:
    """The credentials Secret after a change, for this very version of it."""
    fresh = {key: generated_of(kind, order, key, token) for key in amend.renew}
    known = {**order.credentials, **fresh, **amend.put}
    meta = secret["metadata"]
    return {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "labels")},
        "data": {k: base64.b64encode(t.encode()).decode() for k, t in known.items() if k not in amend.drop},
    }  # fmt: skip


def _telling(step: Step) -> Turn:
    match step:
        case Amend(does=does):
            return Turn(doing=does, reason="Rotating")
        case Tell(does=does, lacks=True):
            return Turn(lacking=f"not yet: {does}")
        case Tell(does=does, reason=reason):
            return Turn(doing=does, reason=reason)
        case _:
            return Turn(doing="members that are no longer declared leave", reason="Scaling")


def _failure(step: Step, told: Told | None) -> Obstacle | None:
    if not isinstance(step, Tell) or told is None or told.act != step.act:
        return None
    if not told.error and told.times < TIMES:
        return None
    what = told.error or "the servers were told, and it is not so"
    return Obstacle("StepFailed", f"{step.does}: {what}", "it is tried again; see the servers' logs", told.at)  # fmt: skip

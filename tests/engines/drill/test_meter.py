"""What the step that meters keeps of the lines it is told."""

from __future__ import annotations

import json
from typing import Any

from readiness.engines.drill.act import Act, World
from readiness.engines.drill.clone import Clone
from readiness.engines.drill.meter import meter
from readiness.step import Meter


def line(at: float) -> str:
    return json.dumps({"sample": {"at": at, "waited": 0.0}})


class Stage:
    """Every meter tells the same lines."""

    async def meter(self, *_: Any) -> Any:
        for told in (line(1.0), "no sample", line(1.0), line(2.0), line(1.0), line(3.0)):
            yield told


def running(nth: int = 0) -> Clone:
    clone = Clone("app", lambda: 0.0, nth=nth)
    told = {"name": "app", "state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}
    clone.saw("ADDED", {"metadata": {"name": f"c{nth}"}, "status": {"containerStatuses": [told]}})
    return clone


async def metered(nth: int, *clones: Clone) -> list[tuple[int, float]]:
    """Samples, by their clone, of a meter that is started when the arm has come to the `nth`."""
    stage: Any = Stage()
    nobody: Any = None
    world = World(stage, lambda: 0.0, nobody, nobody, lambda *_: None)
    act = Act(world, "idle", tuple(({}, clone) for clone in clones), 0.0, nth=nth)
    meter(act, Meter())
    await act.metered.wait()
    for task in act.tasks:
        await task
    return [(each.clone, each.at) for each in act.samples]


async def test_a_sample_that_is_told_again_counts_once() -> None:
    assert await metered(-1, running()) == [(0, 1.0), (0, 2.0), (0, 3.0)]


async def test_a_meter_is_for_the_clone_that_comes_next() -> None:
    assert {clone for clone, _ in await metered(0, running(), running(1))} == {1}

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


async def test_a_sample_that_is_told_again_counts_once() -> None:
    class Stage:
        async def meter(self, *_: Any) -> Any:
            for told in (line(1.0), "no sample", line(1.0), line(2.0), line(1.0), line(3.0)):
                yield told

    clone = Clone("app", lambda: 0.0)
    running = {"name": "app", "state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}
    clone.saw("ADDED", {"metadata": {"name": "c"}, "status": {"containerStatuses": [running]}})
    stage: Any = Stage()
    nobody: Any = None
    act = Act(World(stage, lambda: 0.0, nobody, nobody, lambda *_: None), "idle", (({}, clone),), 0.0, nth=0)  # fmt: skip
    meter(act, Meter())
    await act.metered.wait()
    for task in act.tasks:
        await task

    assert [each.at for each in act.samples] == [1.0, 2.0, 3.0]

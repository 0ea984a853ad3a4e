"""One arm of a drill, carried out: its steps in order, what runs beside them until the exit.

Whatever goes wrong ends the arm with a Problem; the timeline up to then is kept. A new kind of step is a value in
`step.py`, a function in `steps.py` or `load.py`, and a line in STEPS.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from readiness.drills.metering import blind_of, thinned, throttled_of, waited_of
from readiness.engines.drill import faults, load, meter, peek, play, steps
from readiness.engines.drill.act import Act, World
from readiness.engines.drill.clone import Clone
from readiness.model import Manifest
from readiness.script import Arm
from readiness.step import (
    Ask,
    Boot,
    Calls,
    Exit,
    Fault,
    Flow,
    Hold,
    Knock,
    Linger,
    Logs,
    Meter,
    Metered,
    Pause,
    Peek,
    Play,
    Send,
    Stop,
)
from readiness.timeline import Moment, Problem, ProblemError, Timeline
from readiness.workload import (
    DEFAULT_GRACE_SECONDS,
    app_container,
    pre_stop_seconds,
)

STEPS: Final[Mapping[type, Callable[[Act, Any], Any]]] = {
    Boot: steps.boot,
    Pause: steps.pause,
    Stop: steps.stop,
    Exit: steps.exit_,
    Linger: steps.linger,
    Logs: steps.logs,
    Send: load.send,
    Hold: load.hold,
    Flow: load.flow,
    Knock: load.knock,
    Fault: faults.fault,
    Ask: faults.ask,
    Calls: faults.calls,
    Play: play.play,
    Peek: peek.peek,
    Meter: meter.meter,
    Metered: meter.metered,
}


def build_act(world: World, arm: Arm, manifests: Sequence[Manifest], container: str) -> Act:
    """The arm before its first step, with a manifest for each Boot. A signal to the process runs no preStop hook."""
    app = app_container(manifests[0], container or None) or {}
    signalled = any(isinstance(step, Stop) and step.signal for step in arm.steps)

    def tell(moment: Moment) -> None:
        world.tell(arm.name, moment)

    name = str(app.get("name", ""))
    clones = tuple((m, Clone(name, world.now, tell, nth)) for nth, m in enumerate(manifests))
    return Act(world, arm.name, clones, 0.0 if signalled else pre_stop_seconds(app))


async def run_arm(act: Act, arm: Arm) -> Timeline:
    """Carries out every step; raises nothing but cancellation."""
    problem: Problem | None = None
    try:
        for step in arm.steps:
            work = STEPS[type(step)](act, step)
            if inspect.isawaitable(work):
                await work
    except ProblemError as error:
        problem = error.problem
    finally:
        await act.end_tasks()
    return _timeline(act, problem)


def _timeline(act: Act, problem: Problem | None) -> Timeline:
    manifest, clone = act.clones[0]
    grace = manifest["spec"].get("terminationGracePeriodSeconds")
    moments = (*act.moments, *(m for _, each in act.clones for m in each.moments))
    endings = tuple(ending for _, each in act.clones for ending in each.endings)
    own = [sample for sample in act.samples if sample.clone == 0]
    return Timeline(
        act.name, stopped=act.stopped, hook=act.hook, parallel=act.parallel,
        grace=float(DEFAULT_GRACE_SECONDS if grace is None else grace),
        container=clone.container, node=clone.node, endings=endings, said=tuple(act.said),
        checks=tuple(act.checks), imprints=tuple(act.imprints), calls=tuple(act.calls), problem=problem,
        throttled=max(_throttled(act)), starved=waited_of(own, act.stopped), samples=thinned(act.samples),
        blind=blind_of(own), unmeasured=act.unmeasured, images=tuple(dict.fromkeys(c.image for _, c in act.clones if c.image)),
        exchanges=tuple(sorted(act.done, key=lambda x: x.start)),
        moments=tuple(sorted(moments, key=lambda m: m.at)),
    )  # fmt: skip


def _throttled(act: Act) -> Iterator[float]:
    """Of each clone, since it was Ready."""
    for nth, (_, clone) in enumerate(act.clones):
        ready = next((m.at for m in clone.moments if m.name == "ready"), 0.0)
        yield throttled_of((s for s in act.samples if s.clone == nth), ready)

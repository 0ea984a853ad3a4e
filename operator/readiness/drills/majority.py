"""The arms of a drill in which a store has lost its majority: a declared scenario writes, and is to be refused.

To an application such a store is one that refuses it (a RabbitMQ that pauses), or one that takes what it is told and
confirms nothing (a queue, or a replica set, that cannot agree). A gate plays both before a throw-away store, for this
clone alone. What the answers mean for a requirement is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from readiness.control import Subject
from readiness.drills.arms import boot_seconds
from readiness.drills.jobs import scenario_of, scenes_of
from readiness.drills.subject import drill_subject
from readiness.request import DrillRequest
from readiness.scenario import WRITE
from readiness.script import Arm
from readiness.step import Boot, Fault, Meter, Play, Step

WELL: Final = "well"
MODES: Final = ("refuse", "blackhole")
BACK_WITHIN: Final = 30.0


def back(mode: str) -> str:
    """The label of what is played when the store is back after this."""
    return f"{mode}-back"


def requests_of(subject: Subject) -> Mapping[str, DrillRequest]:
    """One for each store that the target uses; nothing without a workload, a port to ask, or the scenario."""
    if subject.workload is None or scenario_of(subject, WRITE) is None:
        return {}
    whose = drill_subject(subject)
    if not whose.port:
        return {}
    return {store.name: DrillRequest(whose, _arm(subject, store.name)) for store in whose.stores}


def _arm(subject: Subject, store: str) -> Arm:
    """On stores of its own: what another clone wrote could be in the way."""
    steps = (Meter(), Boot(boot_seconds(subject)), *_steps(subject, store))
    return Arm(f"majority-{store}", steps, apart=True)


def _steps(subject: Subject, store: str) -> Iterator[Step]:
    scenario = scenario_of(subject, WRITE)
    scenes = scenes_of(scenario.steps) if scenario else ()
    once = tuple(replace(scene, within=0.0) for scene in scenes)
    again = tuple(replace(scene, within=max(scene.within, BACK_WITHIN)) for scene in scenes)
    yield Play(WELL, scenes)
    for mode in MODES:
        yield Fault(store, mode)
        yield Play(mode, once, succeed=False)
        yield Fault(store, "open")
        yield Play(back(mode), again, succeed=False)

"""The arms of a drill of jobs: a declared scenario starts one, the signal comes while a worker has it.

A worker never shares its throw-away stores with clones of other arms, which would take its jobs. What an arm means
for a requirement is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from readiness.api.durations import seconds
from readiness.control import Subject
from readiness.drills.arms import LEAD, SETTLE, boot_seconds, terms_of
from readiness.drills.subject import drill_subject
from readiness.request import DrillRequest
from readiness.scenario import JOB, WORKING, Scene
from readiness.script import Arm
from readiness.step import Boot, Exit, Linger, Logs, Meter, Pause, Play, Step, Stop

if TYPE_CHECKING:
    from readiness.api.scenario import Scenario, ScenarioStep

SHORT: Final = 2
"""Seconds that the job of the control arm takes."""
TAKEN: Final = 10.0
REDELIVERED: Final = 60.0
"""How long a job may wait for a worker, and for another one, where the scenario does not say."""
QUIET: Final = 5.0
"""How long after it is done a job is looked at again: an effect may come twice."""
LONGEST_GRACE: Final = 120.0
LAST_WORDS: Final = 5.0


def scenario_of(subject: Subject, name: str) -> Scenario | None:
    """What the target declares under a name."""
    return next((each for each in subject.target.scenarios if each.name == name), None)


def scenes_of(steps: Iterable[ScenarioStep]) -> tuple[Scene, ...]:
    """Declared steps, ready to be played."""
    return tuple(
        Scene(
            step.name, step.request.path, step.request.method, step.request.body, step.status,
            tuple((each.name, each.at) for each in step.extract),
            tuple((each.at, str(each.equals)) for each in step.asserts),
            seconds(step.within) if step.within else 0.0,
        )
        for step in steps
    )  # fmt: skip


def job_seconds(subject: Subject) -> int:
    """How long the job must take to outlast everything that its worker may do about it, with what passes before.

    That is the grace period, unless it is very long: then the drain, and a worker that takes longer is found out.
    """
    terms = terms_of(subject)
    hook = terms.grace if terms.hook is None else terms.hook
    before, _ = _parted(subject)
    lead = SETTLE + LEAD + sum(scene.within for scene in before)
    return math.ceil(max(hook + terms.drain, min(terms.grace, LONGEST_GRACE)) + lead + LAST_WORDS)


def requests_of(subject: Subject, *names: str) -> Mapping[str, DrillRequest]:
    """The named arms as requests; nothing without a workload, a port to ask, or the scenario."""
    if subject.workload is None or scenario_of(subject, JOB) is None:
        return {}
    whose = drill_subject(subject)
    if not whose.port:
        return {}
    arms = {arm.name: arm for arm in (_short(subject), _long(subject), *_counted(subject))}
    return {name: DrillRequest(whose, arms[name]) for name in names if name in arms}


def _parted(subject: Subject) -> tuple[tuple[Scene, ...], tuple[Scene, ...]]:
    """The scenes up to the one in which a worker has the job, and those that hold when it is done."""
    scenario = scenario_of(subject, JOB)
    scenes = scenes_of(scenario.steps) if scenario else ()
    at = next((n for n, scene in enumerate(scenes, 1) if scene.name == WORKING), 0)
    before = (replace(s, within=s.within or TAKEN) if s.name == WORKING else s for s in scenes[:at])
    return tuple(before), tuple(replace(s, within=s.within or REDELIVERED) for s in scenes[at:])


def _short(subject: Subject) -> Arm:
    """The control: a job that nothing disturbs. One clone may have worked on it before anybody looks."""
    before, after = _parted(subject)
    scenes = (*(scene for scene in before if scene.name != WORKING), *after)
    played = Play("short", scenes, SHORT, longer=SHORT)
    return Arm("job-short", (Meter(), Boot(boot_seconds(subject)), played), apart=True)


def _long(subject: Subject) -> Arm:
    """One clone takes the job and is ended; another, which comes when the first has gone, must do it."""
    before, after = _parted(subject)
    length, boot = job_seconds(subject), (Meter(), Boot(boot_seconds(subject)))
    steps: tuple[Step, ...] = (
        *boot, Play("start", before, length), Pause(SETTLE), Play("still", _once(before[-1:]), length),
        Stop(), Exit(terms_of(subject).grace + 10),
        *boot, Play("done", after, length, longer=length, succeed=False),
        Pause(QUIET), Play("again", _once(after), length, succeed=False),
    )  # fmt: skip
    return Arm("job", steps, apart=True)


def _counted(subject: Subject) -> Iterable[Arm]:
    """With no job and with one: the log before the signal and after it. The signal alone, as a pod that is deleted
    takes its log along."""
    pattern, field = subject.target.shutdown.log_pattern, subject.target.shutdown.jobs_field
    if pattern is None or field is None:
        return
    before, _ = _parted(subject)
    boot = (Meter(), Boot(boot_seconds(subject)))
    looks = [Logs("jobs", (pattern,), number=field, within=within) for within in (0.0, 3.0)]
    end = (looks[0], Stop("TERM"), Linger(terms_of(subject).drain + LAST_WORDS), looks[1])
    yield Arm("jobs-0", (*boot, Pause(SETTLE), *end), apart=True)
    started = Play("start", before, job_seconds(subject))
    yield Arm("jobs-1", (*boot, started, Pause(SETTLE), *end), apart=True)


def _once(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    return tuple(replace(scene, within=0.0) for scene in scenes)

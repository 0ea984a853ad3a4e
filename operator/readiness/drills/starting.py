"""The arms of a start-up drill, and what became of each clone: it started, ended or hung, and what it said.

Every arm has the same expansion of the environment as the control arm, `complete`, from which
nothing is taken away: what does not start there proves nothing elsewhere. What an outcome means for
a requirement is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from readiness.api.durations import seconds
from readiness.control import Subject, unknown
from readiness.drills.answered import NOT_DRILLED, problem_verdict, timeline_of
from readiness.drills.arms import boot_seconds
from readiness.drills.metering import starved_of
from readiness.drills.saying import named
from readiness.drills.spoiled import disturbed
from readiness.drills.subject import drill_subject
from readiness.model import Verdict
from readiness.request import Answers, DrillRequest, Request, Timeline
from readiness.script import Arm, Edit
from readiness.step import Boot, Linger, Logs, Meter, Step
from readiness.timeline import NEVER, Ending
from readiness.workload import app_container

if TYPE_CHECKING:
    from readiness.api.startup import StartConfig, Variant

COMPLETE: Final = "complete"
UNREADY: Final = 30.0
"""What passes before a container starts: scheduling, volumes, another clone's turn on the node."""
STEADY: Final = 5.0
"""How long a clone that a probe calls Ready must stay up to count as started."""
METERED: Final = 0.5
LAST_WORDS: Final = 3.0
WARNING: Final = 5.0
RESOLUTION: Final = 1.0
_NOT_ITS_OWN: Final = (
    "ContainerCannotRun", "ContainerStatusUnknown", "Evicted", "NodeLost", "NodeShutdown", "OOMKilled", "Preempted",
    "StartError",
)  # fmt: skip
_PROBES: Final = ("readinessProbe", "startupProbe", "livenessProbe")


@dataclass(frozen=True, slots=True)
class Case:
    """One wrong environment. `told` says which, `word` is the expression that its log must hold."""

    arm: Arm
    told: str
    word: str


@dataclass(frozen=True, slots=True)
class Start:
    """What became of a clone. `ending` None: it started, or hung. `named`: its log held the word;
    `idle`: the log of the complete clone holds it as well, so that it proves nothing."""

    timeline: Timeline
    started: bool
    ending: Ending | None
    late: bool
    named: bool
    idle: bool = False


def config_of(subject: Subject) -> StartConfig:
    """What the target declares about its start; nothing, where it declares nothing."""
    from readiness.api.startup import StartConfig

    return subject.target.config or StartConfig()


def without(subject: Subject) -> tuple[Case, ...]:
    """Each required variable taken away."""
    return tuple(
        Case(_refusing(subject, f"env-{e.name}-unset", named(e.name), Edit(e.name)), f"without {e.name}", named(e.name))
        for e in config_of(subject).env
        if e.required
    )  # fmt: skip


def with_invalid(subject: Subject) -> tuple[Case, ...]:
    """Each invalid value in its variable's place."""
    return tuple(
        Case(
            _refusing(subject, f"env-{e.name}-bad{nth}", named(e.name), Edit(e.name, value)),
            f"with {e.name}={value!r}", named(e.name),
        )
        for e in config_of(subject).env
        for nth, value in enumerate(e.invalid, 1)
    )  # fmt: skip


def variants(subject: Subject, expect: str) -> tuple[Case, ...]:
    """The declared variants of which this is expected."""
    return tuple(
        Case(_varied(subject, each), f"in variant {each.name}", each.says)
        for each in config_of(subject).variants
        if each.expect == expect
    )


def requests_of(subject: Subject, cases: Iterable[Case]) -> Mapping[str, DrillRequest]:
    """The control arm and these, by name; nothing without a workload or a case."""
    chosen = tuple(cases)
    if subject.workload is None or not chosen:
        return {}
    whose = drill_subject(subject)
    arms = (_complete(subject), *(case.arm for case in chosen))
    return {arm.name: DrillRequest(whose, arm) for arm in arms}


def ask(subject: Subject, cases: Iterable[Case]) -> tuple[Request, ...]:
    """What a control of these cases asks for."""
    return tuple(requests_of(subject, cases).values())


def read_control(
    subject: Subject, answers: Answers, asked: Mapping[str, DrillRequest]
) -> Verdict | None:
    """Why the control arm proves nothing; None when it started."""
    seen = timeline_of(subject, answers, asked[COMPLETE])
    found = _read(seen, "", seconds(config_of(subject).startup_fail))
    if isinstance(found, Start) and found.started:
        return None
    verdict = found if isinstance(found, Verdict) else None
    if verdict is None or verdict.reason == "ControlArmFailed":
        said = verdict.message if verdict else "the drill's control arm ended by itself"
        return unknown(
            "ControlArmFailed", f"a clone with nothing taken away does not start: {said}",
            expected="Ready", observed="not Ready", via=f"drill/{COMPLETE}",
            fix="declare every variable that it takes from envFrom in "
            f"spec.targets[{subject.target.name}].config.env",
        )  # fmt: skip
    return verdict


def read_case(
    subject: Subject, answers: Answers, asked: Mapping[str, DrillRequest], case: Case
) -> Start | Verdict:
    """What became of the clone of one case."""
    limit = seconds(config_of(subject).startup_fail)
    found = _read(timeline_of(subject, answers, asked[case.arm.name]), case.word, limit)
    if isinstance(found, Verdict):
        return found
    complete = timeline_of(subject, answers, asked[COMPLETE])
    return replace(found, idle=complete is not None and _said(complete, case.word))


def _complete(subject: Subject) -> Arm:
    config = config_of(subject)
    words = (*(named(e.name) for e in config.env), *(v.says for v in config.variants))
    steps = (
        Boot(boot_seconds(subject)), Linger(_steady(subject)), Logs("log", words, within=LAST_WORDS)
    )  # fmt: skip
    return Arm(COMPLETE, steps, explicit=_explicit(config))


def _refusing(subject: Subject, name: str, word: str, *edits: Edit) -> Arm:
    config = config_of(subject)
    limit = seconds(config.startup_fail)
    steps: tuple[Step, ...] = (
        Meter(METERED), Boot(limit + UNREADY, succeed=False), Linger(_steady(subject)), Logs("log", (word,), within=LAST_WORDS)
    )  # fmt: skip
    return Arm(name, steps, edits, _explicit(config))


def _varied(subject: Subject, variant: Variant) -> Arm:
    edits = (
        *(Edit(each.name, each.value) for each in variant.set),
        *(Edit(name) for name in variant.unset),
    )
    name = f"variant-{variant.name}"
    if variant.expect == "refuse":
        return _refusing(subject, name, variant.says, *edits)
    steps = (
        Meter(), Boot(boot_seconds(subject), succeed=False), Logs("log", (variant.says,), within=WARNING)
    )  # fmt: skip
    return Arm(name, steps, edits, _explicit(config_of(subject)))


def _explicit(config: StartConfig) -> bool:
    """Whether clones get declared variables only: one that is taken away must not come from elsewhere."""
    return bool(config.env) or any(each.unset for each in config.variants)


def _steady(subject: Subject) -> float:
    """Without a probe a container is Ready as soon as it runs: only time tells that it goes on."""
    container = app_container(subject.workload or {}, subject.target.container) or {}
    probed = any(container.get(probe) for probe in _PROBES)
    return STEADY if probed else seconds(config_of(subject).startup_fail)


def _read(seen: Timeline | None, word: str, limit: float) -> Start | Verdict:
    if seen is None:
        return NOT_DRILLED
    problem = problem_verdict(seen)
    if problem is not None:
        return problem
    if seen.ending is not None:
        return _ended(seen, seen.ending, word, limit)
    if seen.moment("ready") != NEVER:
        return Start(seen, True, None, False, _said(seen, word))
    return _hung(seen, word, limit)


def _hung(seen: Timeline, word: str, limit: float) -> Start | Verdict:
    running, until = seen.moment("running"), max((said.at for said in seen.said), default=NEVER)
    if running == NEVER or until - running <= limit:
        return unknown(
            "NotStarted", "the clone's container did not run long enough to tell",
            fix="it is repeated by itself; see whether nodes have room for a clone",
        )  # fmt: skip
    late = _late(seen, until - running + RESOLUTION, limit, until)  # this clock is exact
    return late if isinstance(late, Verdict) else Start(seen, False, None, True, _said(seen, word))


def _ended(seen: Timeline, ending: Ending, word: str, limit: float) -> Start | Verdict:
    """How long it ran is told by one clock, the node's, where that tells."""
    if ending.reason in _NOT_ITS_OWN:
        return unknown(ending.reason, "the clone did not end by itself", fix="it is repeated by itself")  # fmt: skip
    took = ending.at - max(seen.moment("created"), seen.moment("running"))
    if ending.started:
        took = ending.finished - ending.started
    late = _late(seen, took, limit, ending.at)
    return (
        late if isinstance(late, Verdict) else Start(seen, False, ending, late, _said(seen, word))
    )


def _late(seen: Timeline, took: float, limit: float, until: float) -> bool | Verdict:
    """Whether it took too long although nothing kept it from running; else why nobody can say.

    Where waiting for a CPU was not measured, it may have been as long as a clone may take to begin.
    """
    if took <= limit + RESOLUTION:
        return False
    starved = starved_of(seen.samples, until)
    if took > limit + RESOLUTION + (UNREADY if starved == NEVER else starved):
        return True
    return disturbed(
        "the clone waited for a CPU"
        if starved != NEVER
        else "whether it waited for a CPU was not seen"
    )


def _said(seen: Timeline, word: str) -> bool:
    return any(word in said.found for said in seen.said)

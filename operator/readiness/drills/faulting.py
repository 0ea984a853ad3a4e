"""The arms of drills with faults: what a clone is made to call, and what is taken from it meanwhile.

In each of them every declared upstream is played by the fault sink, so that nothing but the fault is
wrong. What an outcome means for a requirement is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from readiness.api.durations import seconds
from readiness.control import Subject
from readiness.drills import trial
from readiness.drills.answered import NOT_DRILLED, problem_verdict, timeline_of
from readiness.drills.arms import KNOCK, boot_seconds
from readiness.drills.spoiled import fair
from readiness.drills.subject import drill_subject
from readiness.model import Verdict
from readiness.request import Answers, DrillRequest, Request, Timeline
from readiness.script import Arm, Edit
from readiness.step import Ask, Body, Boot, Calls, Fault, Knock, Meter, Send, Step

if TYPE_CHECKING:
    from readiness.api.upstream import Upstream

CALL, GUARD, PHASE, CALM, SHALLOW = "call", "guard", "phase", "calm", "shallow"
WELL, ILL, BACK = "well", "ill", "back"
RECOVER, EXHAUST, AGAIN = "recover", "exhaust", "again"
SLACK: Final = 2.0
"""How long beyond an upstream's timeout its caller may be answered."""
CALLED_WITHIN: Final = 30.0
GUARDED: Final = 10.0
ILL_WITHIN: Final = 10.0
BACK_WITHIN: Final = 30.0
SETTLED: Final = 15.0
DIRECT: Final = (Edit("NO_PROXY", "*"), Edit("no_proxy", "*"))
"""A proxy does not know the sink, and a clone does not reach the proxy."""
PACE, MOST_KNOCKS = 0.5, 100
FAILURES: Final = 2
ILL_WORDS: Final = tuple(
    rf"(?<![a-z]){word}(?![a-z])"
    for word in (
        "degraded", "down", "unhealthy", "fail", "failed", "failing", "failure", "error", "errored", "unavailable",
        "unreachable", "disconnected", "time[d -]*out", "critical", "out_of_service", "not[_ -]?(ok|ready|connected)",
        "warn", "warning", "outage", "false",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One dependency with the arms in which it is at fault, by what they are for."""

    name: str
    arms: Mapping[str, Arm]
    upstream: Upstream | None = None

    @property
    def declared(self) -> Upstream:
        """The upstream that it is. Raises ValueError for a store."""
        if self.upstream is None:
            raise ValueError(f"{self.name} is no upstream")
        return self.upstream


def callable_(subject: Subject) -> tuple[Upstream, ...]:
    """The upstreams that the application can be made to call."""
    return tuple(each for each in subject.target.upstreams if each.call is not None)


def called(subject: Subject) -> tuple[Case, ...]:
    """Each upstream, called at request or watched for calls of the application's own."""

    def steps(each: Upstream) -> Iterator[Step]:
        if each.call is not None:
            yield _call(each, CALL, seconds(each.timeout))
        yield Calls(CALL, each.name, within=CALLED_WITHIN)

    return _cases(subject, subject.target.upstreams, {CALL: steps})


def silent(subject: Subject) -> tuple[Case, ...]:
    """Each upstream takes the request and never answers, while health is asked."""

    def steps(each: Upstream) -> Iterator[Step]:
        limit = seconds(each.timeout) + SLACK
        every = max(PACE, (2 * limit + GUARDED) / MOST_KNOCKS)
        yield Send(CALM, _health(subject), times=3)
        yield _call(each, GUARD, limit)
        yield Calls(GUARD, each.name, within=GUARDED)
        yield Fault(each.name, "tarpit")
        yield Knock(KNOCK, _health(subject), every=round(every, 2), most=MOST_KNOCKS)
        yield _call(each, PHASE, limit)
        yield Calls(PHASE, each.name, within=limit, last=True)
        yield Fault(each.name, "echo")

    return _cases(subject, callable_(subject), {"tarpit": steps})


def failing(subject: Subject) -> tuple[Case, ...]:
    """Each upstream fails: for a while, and twice for good, each time before a fresh clone."""

    def steps(each: Upstream, *, recovers: bool) -> Iterator[Step]:
        budget = seconds(each.retry_budget)
        yield _call(each, GUARD, seconds(each.timeout))
        yield Calls(GUARD, each.name, within=GUARDED, last=True)
        yield Fault(each.name, "503")
        if recovers:
            yield Fault(each.name, "echo", after=failures_of(each))
        yield _call(each, PHASE, budget)
        yield Calls(PHASE, each.name, within=budget + SLACK, last=True)
        yield Fault(each.name, "echo")

    each_of = {name: partial(steps, recovers=name == RECOVER) for name in (RECOVER, EXHAUST, AGAIN)}
    return _cases(subject, callable_(subject), each_of)


def failures_of(upstream: Upstream) -> int:
    """After how many failures an upstream is well again: no more than may be repeated."""
    return FAILURES if upstream.retries is None else max(1, min(FAILURES, upstream.retries))


def cut_off(subject: Subject) -> tuple[Case, ...]:
    """Each store, and each upstream, goes silent while deep health is asked, and comes back."""
    stores = drill_subject(subject).stores if subject.workload is not None else ()
    of_stores = (_outage(subject, s.name, "blackhole", "open", ()) for s in stores)
    found = [Case(s.name, {"deep": arm}) for s, arm in zip(stores, of_stores, strict=True)]
    for each in subject.target.upstreams:
        calls = (_call(each, CALL, seconds(each.timeout)),) if each.call else ()
        arm = _outage(subject, each.name, "tarpit", "echo", calls)
        found.append(Case(each.name, {"deep": arm}, each))
    return tuple(found)


def spoken(name: str) -> str:
    """An expression for the name of a dependency, standing by itself."""
    return rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])"


def ask(subject: Subject, cases: Iterable[Case]) -> tuple[Request, ...]:
    """What a control of these cases asks for; nothing where nothing can be asked."""
    return tuple(_requests(subject, case)[name] for case in cases for name in case.arms if _may(subject, case.arms[name]))  # fmt: skip


def judged(
    subject: Subject,
    answers: Answers,
    cases: Iterable[Case],
    judge: Callable[[Subject, Case, Mapping[str, Timeline]], Verdict],
) -> Verdict:
    """The worst verdict on any case."""
    found = []
    for case in cases:
        if not all(_may(subject, arm) for arm in case.arms.values()):
            return trial.not_asked(subject)
        seen = _read(subject, answers, case)
        verdict = (
            seen if isinstance(seen, Verdict) else fair(judge(subject, case, seen), *seen.values())
        )
        evidence = f"{case.name}: {verdict.result}/{verdict.reason} {verdict.evidence}".strip()
        via = verdict.via or f"drill/{next(iter(case.arms.values())).name}"
        found.append(replace(verdict, where=subject.where, via=via, evidence=evidence))
    return trial.worst(found)


def ended(seen: Timeline) -> bool:
    """Whether the application itself ended meanwhile; what the node did to it is another matter."""
    return seen.ending is not None and seen.ending.reason in ("Error", "Completed")


def _cases(
    subject: Subject,
    upstreams: Iterable[Upstream],
    steps: Mapping[str, Callable[[Upstream], Iterator[Step]]],
) -> tuple[Case, ...]:
    def arm(each: Upstream, name: str) -> Arm:
        return _arm(subject, f"{name}-{each.name}", tuple(steps[name](each)))

    return tuple(Case(u.name, {name: arm(u, name) for name in steps}, u) for u in upstreams)


def _outage(subject: Subject, name: str, fault: str, rest: str, calls: tuple[Step, ...]) -> Arm:
    health = subject.target.health
    deep = (health.deep_path if health else None) or "/"
    words = (*ILL_WORDS, spoken(name))
    steps = (
        Send(CALM, _health(subject), times=2),
        Ask(WELL, deep, words, within=SETTLED),
        Fault(name, fault),
        *calls,
        Ask(ILL, deep, words, ill=True, within=ILL_WITHIN),
        Send(SHALLOW, _health(subject), times=3),
        Fault(name, rest),
        Ask(BACK, deep, words, within=BACK_WITHIN),
    )
    return _arm(subject, f"deep-{name}", steps)


def _arm(subject: Subject, name: str, steps: tuple[Step, ...]) -> Arm:
    edits = tuple(u.edit for u in drill_subject(subject).upstreams) if subject.workload else ()
    edits += DIRECT if edits else ()
    return Arm(name, (Meter(), Boot(boot_seconds(subject)), *steps), edits)


def _call(upstream: Upstream, label: str, within: float) -> Send:
    if upstream.call is None:
        raise ValueError(f"upstream {upstream.name} has no call")
    call = upstream.call
    return Send(
        label,
        call.path,
        call.method,
        seconds=within,
        body=Body(text=call.body) if call.body else None,
    )


def _health(subject: Subject) -> str:
    return subject.target.health.path if subject.target.health else "/"


def _may(subject: Subject, arm: Arm) -> bool:
    """Whether an arm can be carried out: what is requested needs a port."""
    sends = any(isinstance(step, Send | Ask) for step in arm.steps)
    return subject.workload is not None and bool(drill_subject(subject).port or not sends)


def _requests(subject: Subject, case: Case) -> dict[str, DrillRequest]:
    return {name: DrillRequest(drill_subject(subject), arm) for name, arm in case.arms.items()}


def _read(subject: Subject, answers: Answers, case: Case) -> dict[str, Timeline] | Verdict:
    """The timelines of a case, or why one of them proves nothing."""
    found = {}
    for name, request in _requests(subject, case).items():
        seen = timeline_of(subject, answers, request)
        if seen is None:
            return NOT_DRILLED
        problem = problem_verdict(seen)
        if problem is not None and problem.reason == "ControlArmFailed" and case.upstream:
            fix = f"a clone gets {case.upstream.url_env}=http://…: see in its log whether that is why it does not start"
            problem = replace(problem, fix=fix)
        if problem is not None:
            return problem
        found[name] = seen
    return found

"""Asking for arms and reading them back: the frame all shutdown controls hang in.

A control names its arms once; equal ones of several controls run once. What is measured is told as
evidence only: a text that moves would cause a write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from readiness.control import Subject, declaration, unknown
from readiness.drills.answered import NOT_DRILLED, problem_verdict, timeline_of
from readiness.drills.arms import KNOCK, requests_of
from readiness.drills.reading import Kind, Seen, Span, kind_of, read
from readiness.drills.spoiled import fair
from readiness.lasting import lasting_volumes
from readiness.model import Result, Verdict
from readiness.request import Answers, Request
from readiness.timeline import NEVER, Timeline

WEEK: Final = 7 * 86400.0
SLOW_LINE: Final = declaration("shutdown.slowRequest").removeprefix("shutdown.")
_RANK: Final = (Result.FAIL, Result.BLOCKED, Result.UNKNOWN, Result.PASS, Result.NOT_APPLICABLE)


def arms(*names: str) -> Callable[[Subject], tuple[Request, ...]]:
    """The `ask` of a control: those of the named arms that apply."""

    def ask(subject: Subject) -> tuple[Request, ...]:
        return tuple(requests_of(subject, *names).values())

    return ask


def read_arms(subject: Subject, answers: Answers, *names: str) -> dict[str, Seen | Verdict]:
    """The facts of each arm that applies, or why it proves nothing.

    An arm without requests cannot show how long a preStop hook took: the one with idle connections can.
    """
    found: dict[str, Seen | Verdict] = {}
    for name, request in requests_of(subject, *names).items():
        found[name] = read(timeline_of(subject, answers, request), interrupted=name == "sigint")
    held = found.get("held")
    if isinstance(held, Seen):
        return {n: s.with_hook_of(held) if isinstance(s, Seen) else s for n, s in found.items()}
    return found


def proven(seen: Timeline | None, judge: Callable[[Timeline], Verdict]) -> Verdict:
    """A verdict on an arm that was carried out; else why it was not."""
    if seen is None:
        return NOT_DRILLED
    return problem_verdict(seen) or fair(judge(seen), seen)


def judged(subject: Subject, seen: Seen | Verdict, judge: Callable[[Seen], Verdict]) -> Verdict:
    """A verdict on one arm with its place and what was measured; an arm that proves nothing says so."""
    if isinstance(seen, Verdict):
        return replace(seen, where=subject.where)
    verdict = judge(seen)
    deaf = verdict.reason == "KilledAtGrace" and seen.timeline.arm == "idle"
    verdict = fair(verdict, seen.timeline, took=seen.took.lo, deaf=deaf)
    evidence = f"{verdict.evidence} {evidence_of(seen)}".strip()
    return replace(
        verdict, where=subject.where, via=f"drill/{seen.timeline.arm}", evidence=evidence
    )


def deaf(subject: Subject, answers: Answers, name: str, told: Verdict) -> Verdict | None:
    """`told` where the clone was still there at the end of an arm although it got its signal."""
    request = requests_of(subject, name).get(name)
    answer = timeline_of(subject, answers, request) if request else None
    if answer is None or answer.ending is not None or answer.problem is None:
        return None
    if answer.problem.reason != "Aborted" or not answer.moment("sent") != NEVER == answer.moment("gone"):  # fmt: skip
        return None
    return replace(fair(told, answer), where=subject.where, via=f"drill/{name}")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The first of the worst result, with the evidence of all."""
    found = tuple(verdicts)
    chosen = min(found, key=lambda v: _RANK.index(v.result))
    told = dict.fromkeys(v.evidence for v in (chosen, *found) if v.evidence)
    return replace(chosen, evidence="; ".join(told))


def undeclared(subject: Subject, line: str, message: str, below: str = "") -> Verdict:
    """What must be declared first, as the one line to add to the target, or `below` it."""
    return Verdict(
        Result.OPT_IN_REQUIRED, "NotDeclared", message,
        fix=f"add to spec.targets[{subject.target.name}]{below}: {line}", where=subject.where,
    )  # fmt: skip


def of_calls(subject: Subject) -> Verdict | None:
    """What must be declared so that upstreams can be called; None where each can."""
    target = subject.target
    silent = [each.name for each in target.upstreams if each.call is None]
    if not silent:
        return None
    result = Result.UNKNOWN if len(silent) < len(target.upstreams) else Result.OPT_IN_REQUIRED
    return Verdict(
        result, "NotDeclared", f"nothing is declared that makes the application call upstream {silent[0]}",
        fix=f"add to {silent[0]} in spec.targets[{target.name}].upstreams: call: {{path: /ask}}", where=subject.where,
    )  # fmt: skip


def unshared(subject: Subject, what: str) -> Verdict | None:
    """Why what one clone kept may be missing on another; None where everything is kept in stores."""
    volumes = lasting_volumes(subject.workload or {})
    if not volumes:
        return None
    return unknown(
        "VolumeNotShared", f"{what} may be kept in a volume, which is empty in each clone",
        observed=f"volume {volumes[0]}", fix="nothing is wrong with it; a drill cannot tell",
    )  # fmt: skip


def not_asked(subject: Subject) -> Verdict:
    """No arm applies: there is nothing to clone, or nothing to connect to."""
    if subject.workload is None:
        return unknown("TargetNotFound", f"{subject.where} has no workload to clone")
    return unknown(
        "PortNotFound", f"{subject.where} declares no port that could be asked",
        fix=f"declare ports on its container, or spec.targets[{subject.target.name}].service",
        where=subject.where,
    )  # fmt: skip


def evidence_of(seen: Seen) -> str:
    """What was measured in an arm, in one line."""
    after = [x for x in seen.timeline.labelled(KNOCK) if x.start >= seen.signal.lo]
    kinds = [kind_of(x) for x in after]
    counted = [f"{kinds.count(k)} {k}" for k in Kind if k in kinds]
    beside = [e for e in seen.timeline.endings if e is not seen.ending]
    parts = (
        f"{seen.timeline.arm}: exit {seen.ending.code} {shown(seen.took)} s after the signal",
        f"new requests after it: {', '.join(counted)}" if counted else "",
        *(f"container {e.container} exit {e.code}" for e in beside),
    )
    return ", ".join(part for part in parts if part)


def shown(span: Span) -> str:
    """`1.2-2.0`."""
    return f"{max(span.lo, 0):.1f}-{max(span.hi, 0):.1f}"

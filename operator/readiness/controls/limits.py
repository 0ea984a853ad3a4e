"""LIM-007: oversize bodies do not exhaust memory, proven on a clone.

Judged from what the clone's memory did and how it ended; how that is metered is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.drills import oversize, trial
from readiness.drills.answered import NOT_DRILLED, problem_verdict, timeline_of
from readiness.drills.spoiled import MOST_THROTTLED, disturbed, fair
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, DrillRequest, Request, Timeline
from readiness.timeline import NEVER, Ending

MI: Final = 1024 * 1024
MOST_USED: Final = 0.9
MOST_GROWTH: Final = 200
"""MiB beyond which bodies would have to be larger than anybody wants them to be sent."""
Judge = Callable[[Timeline], Verdict]
BOUND: Final = (
    "refuse by Content-Length before reading, count what comes in chunks and stop at the limit, and write what is larger "
    "than a buffer to disk (not to a volume in memory); if bodies are kept in memory on purpose, say how much with the "
    "parameter maxGrowth"
)
_NOT_ITS_OWN: Final = ("ContainerStatusUnknown", "Evicted", "NodeLost", "NodeShutdown", "Preempted")


def ask(subject: Subject) -> tuple[Request, ...]:
    """One clone for oversize bodies, one for the worst case where one is declared."""
    asked = (oversize.request_of(subject, _allowed(subject)), oversize.worst_request_of(subject))
    return tuple(each for each in asked if each) if asked[0] else ()


def judge(subject: Subject, answers: Answers) -> Verdict:
    """The worse of both."""
    if subject.target.limits is None or subject.target.limits.request is None:
        return trial.undeclared(
            subject,
            'limits: {request: {path: /api/orders, body: "{}"}}',
            "no request is declared that takes a body",
        )
    asked = oversize.request_of(subject, _allowed(subject))
    if asked is None:
        return trial.not_asked(subject)
    verdicts = [_judged(subject, answers, asked, partial(_judge, _allowed(subject)))]
    if worst := oversize.worst_request_of(subject):
        verdicts.append(
            _judged(subject, answers, worst, partial(_judge_peak, oversize.memory_limit(subject)))
        )
    return replace(trial.worst(verdicts), where=subject.where)


def _judged(subject: Subject, answers: Answers, asked: DrillRequest, judge: Judge) -> Verdict:
    """How it ended comes first: what was killed for its memory need not be metered."""
    seen = timeline_of(subject, answers, asked)
    if seen is None:
        return NOT_DRILLED
    verdict = _uncontrolled(seen) or _killed(seen) or problem_verdict(seen) or judge(seen)
    return replace(fair(verdict, seen), via=f"drill/{asked.arm.name}")


def _allowed(subject: Subject) -> int:
    return max(1, min(int(subject.params["maxGrowth"]), MOST_GROWTH)) * MI


def _uncontrolled(seen: Timeline) -> Verdict | None:
    """What takes no small body need not read a large one. A clone that never became Ready says why."""
    small = seen.labelled(oversize.SMALL)
    if not small or all(x.answered and x.status < 400 for x in small):
        return None
    observed = ", ".join(sorted({str(x.status) if x.answered else str(x.outcome) for x in small}))
    worst = seen.arm == oversize.WORST
    field, told = (
        ("load.worstCase", "the request") if worst else ("limits.request", "the small body")
    )
    return unknown(
        "ControlArmFailed", f"a clone does not accept {told} of {field}",
        expected="an answer below 400", observed=observed,
        fix=f"declare in {field} a path that takes a body without credentials, and a body that it accepts",
    )  # fmt: skip


def _killed(seen: Timeline) -> Verdict | None:
    """An end, or a lost process, once oversize bodies came."""
    began = min((x.start for x in oversize.loads(seen)), default=NEVER)
    ending = seen.ending
    if began != NEVER and ending is not None and ending.at >= began:
        return _ended(ending, _what(seen))
    told = [s.killed for s in seen.samples if s.killed >= 0]
    if told and told[-1] > told[0]:
        return failed(
            "OutOfMemory", f"{_what(seen)} make it lose a process for want of memory",
            expected="no process killed", observed="one that the kernel killed for its memory", fix=BOUND,
        )  # fmt: skip
    return None


def _what(seen: Timeline) -> str:
    return (
        "oversize bodies"
        if seen.arm == oversize.ARM
        else "ten requests of load.worstCase at a time"
    )


def _ended(ending: Ending, what: str) -> Verdict:
    if ending.reason in _NOT_ITS_OWN:
        return unknown(ending.reason, "the clone did not end by itself", fix="it is repeated by itself")  # fmt: skip
    if ending.reason == "OOMKilled":
        return failed(
            "OutOfMemory", f"{what} make it run out of memory",
            expected="it goes on", observed="OOMKilled", fix=BOUND,
        )  # fmt: skip
    return failed(
        "EndsUnderLoad", f"{what} make it end", expected="it goes on",
        observed=f"exit code {ending.code}", fix=BOUND,
    )  # fmt: skip


def _unproven(seen: Timeline) -> Verdict | None:
    """Why memory that did not grow would prove nothing."""
    held = [x for name in oversize.FRAMINGS for x in seen.labelled(name)]
    if not any(map(oversize.is_settled, held)):
        return unknown(
            "BodiesNotTaken", "it neither takes nor refuses an oversize body",
            expected="an answer, or all of the body read", observed="neither within 10 s",
            fix="answer 413, or read on, at once",
        )  # fmt: skip
    if not all(map(oversize.is_settled, held)) and seen.throttled > MOST_THROTTLED:
        return disturbed("the clone's CPU was throttled")
    if oversize.read_growth(seen) is None:
        return _unmeasured(seen)
    return None


def _unmeasured(seen: Timeline) -> Verdict:
    why = seen.unmeasured or "no sample came at the time that counts"
    return unknown(
        "NotMeasured", f"the clone's memory was not measured: {why}",
        expected="samples of its control group", observed="none",
        fix="let drills add an ephemeral container that runs as the application's user and group; "
        "runAsUser and runAsGroup in the template spare a look",
    )  # fmt: skip


def _uncounted(seen: Timeline) -> Verdict | None:
    """Memory that did not grow is no memory of a process that was killed for it, unless that is told."""
    told = [s.killed >= 0 for s in seen.samples]
    if told and told[0] and told[-1]:
        return None
    return _unmeasured(
        replace(seen, unmeasured="how many processes it lost for want of memory is not told")
    )


def _judge_peak(limit: int | None, seen: Timeline) -> Verdict:
    """Without a limit there is nothing to come near to: that it goes on is all."""
    if limit is None:
        return passed("MemoryHolds", "ten requests of load.worstCase at a time are borne")
    peak = oversize.read_peak(seen)
    if peak is None:
        return _unmeasured(seen)
    evidence = f"worst case {peak / MI:.1f} of {limit / MI:.1f} MiB"
    if peak > MOST_USED * limit:
        return failed(
            "NearLimit", "ten requests of load.worstCase at a time leave little of its memory limit",
            expected=f"at most {100 * MOST_USED:g} % of resources.limits.memory", observed="more", evidence=evidence,
            fix="raise resources.limits.memory, or let it work on fewer of them at a time",
        )  # fmt: skip
    return _uncounted(seen) or passed(
        "MemoryHolds", "ten requests of load.worstCase at a time are borne", evidence=evidence
    )


def _judge(allowed: int, seen: Timeline) -> Verdict:
    if (open_ := _unproven(seen)) is not None:
        return open_
    growth = oversize.read_growth(seen)
    assert growth is not None
    mib = {name: growth.by(name) / MI for name in growth.during}
    evidence = ", ".join(f"{name} {by:+.1f} MiB" for name, by in mib.items()) + f" on {growth.before / MI:.1f}"  # fmt: skip
    many, most = oversize.PARALLEL, allowed // MI
    if growth.by(growth.worst) > allowed:
        return failed(
            "MemoryGrows", f"{many} oversize bodies at a time, {oversize.FRAMINGS[growth.worst]}, are kept in memory",
            expected=f"at most {most} MiB more than with one at a time", observed="more",
            fix=BOUND, evidence=evidence,
        )  # fmt: skip
    if not all(x.answered and x.status < 400 for x in seen.labelled(oversize.AFTER)):
        return unknown(
            "ControlArmFailed", "after oversize bodies a clone does not accept a small one any more",
            expected="an answer below 400, as before", observed="another one, or none", evidence=evidence,
            fix="see what a request that is refused leaves behind: a connection, a worker, a lock",
        )  # fmt: skip
    return _uncounted(seen) or passed(
        "MemoryHolds", "oversize bodies do not make its memory grow", evidence=evidence
    )


PLUGINS: Final = (
    Control(
        id="LIM-007",
        title="Oversize input cannot exhaust memory",
        severity=Severity.P0,
        criterion="10 bodies at a time that are larger than limits.body, announced by Content-Length and in chunks, each "
        "held back before its last byte, let a clone's memory (anonymous and shared, with what it writes to a tmpfs, "
        "without page cache) grow by at most 32 MiB beyond what the same bodies take one after the other; nothing is "
        "OOMKilled, nothing ends, and a small body is accepted before and after. Where load.worstCase is declared, ten of it at "
        "a time take at most 90 % of the container's memory limit.",
        fix=BOUND,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("limits.request",),
        ask=ask, judge=judge,
        params=(
            Param("maxGrowth", 32, "MiB by which memory may grow, at most 200.", "lower"),
        ),
        checklists=("002/4.a2", "002/4.a3", "002/4.a6", "002/4.t1", "003/7.1", "003/7.1a", "004/1.1.3-4"),
    ),
)  # fmt: skip

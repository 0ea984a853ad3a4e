"""CFG-012, REL-002: where an upstream is, is configuration, and its silence is bounded; proven on clones.

The drill's sink plays the upstream. How clones are made to call it is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.drills import faulting, trial
from readiness.drills.arms import KNOCK
from readiness.drills.calling import uncalled
from readiness.drills.faulting import CALL, CALM, GUARD, PHASE, SLACK, Case
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request, Timeline
from readiness.timeline import Exchange

ACCEPTED: Final = 202
PATIENCE: Final = 0.5
"""How much longer than health.maxLatency health may take while an upstream is silent."""
MOST_HURT: Final = 1
BOUND: Final = "give the client of the upstream a timeout for the whole call, connecting and every read included"


def ask_overridable(subject: Subject) -> tuple[Request, ...]:
    """CFG-012: one clone per upstream."""
    return faulting.ask(subject, faulting.called(subject))


def judge_overridable(subject: Subject, answers: Answers) -> Verdict:
    """CFG-012: what the variable says is where it calls."""
    return faulting.judged(subject, answers, faulting.called(subject), _judge_overridable)


def _judge_overridable(subject: Subject, case: Case, seen: Mapping[str, Timeline]) -> Verdict:
    upstream, timeline = case.declared, seen[CALL]
    calls = [call for call in timeline.calls if call.label == CALL]
    if calls:
        speaks_tls = all(call.outcome == "tls" for call in calls)
        wrong = uncalled(case.name, calls, upstream.url_env) if speaks_tls else None
        return wrong or passed(
            "Overridable", f"upstream {case.name} is where {upstream.url_env} says"
        )
    if upstream.call is None:
        return unknown(
            "NotCalled", f"nothing made the application call upstream {case.name}",
            fix=f"declare a request that does, in spec.targets[{subject.target.name}].upstreams: call: {{path: /ask}}",
        )  # fmt: skip
    answer = next(iter(timeline.labelled(CALL)), None)
    if answer is None or not answer.answered or answer.status >= 400:
        observed = str(answer.status) if answer is not None and answer.answered else "no answer"
        return unknown(
            "ControlArmFailed", f"the request that is to call upstream {case.name} fails before it does, or it calls elsewhere",
            expected="a call of the drill's sink, or an answer below 400", observed=observed,
            fix=f"correct the upstream's call, declare the stores that it needs, and read the URL from {upstream.url_env}",
        )  # fmt: skip
    return failed(
        "NotOverridable", f"upstream {case.name} is not called where {upstream.url_env} says",
        expected="a call of the drill's sink", observed="none, although the request was answered",
        fix=f"read the URL of the upstream from {upstream.url_env}, wherever it is used",
    )  # fmt: skip


def ask_timeout(subject: Subject) -> tuple[Request, ...]:
    """REL-002: one clone per upstream that can be called."""
    return faulting.ask(subject, faulting.silent(subject))


def judge_timeout(subject: Subject, answers: Answers) -> Verdict:
    """REL-002: a silent upstream leads to an error in time, and hurts nothing else."""
    return trial.of_calls(subject) or faulting.judged(
        subject, answers, faulting.silent(subject), _judge_timeout
    )


def _judge_timeout(subject: Subject, case: Case, seen: Mapping[str, Timeline]) -> Verdict:
    timeline = seen["tarpit"]
    return (
        _unproven(subject, case, timeline)
        or _unanswered(case, timeline)
        or _untold(case, timeline)
        or _suffers(subject, case, timeline)
        or passed("TimesOut", f"while upstream {case.name} is silent, requests end with an error in time")
    )  # fmt: skip


def _unanswered(case: Case, seen: Timeline) -> Verdict | None:
    limit, sent = seconds(case.declared.timeout) + SLACK, seen.labelled(PHASE)[0]
    in_time = sent.end - sent.start <= limit
    if faulting.ended(seen):
        return _hurt(case, "its process ends")
    if in_time and not sent.answered:
        return _wrong_status(case, "a connection that breaks")
    if in_time and _left(seen, sent, limit):
        return None
    return failed(
        "NoTimeout", f"a request waits for upstream {case.name} longer than it may",
        expected=f"an answer within {limit:g} s, of which {SLACK:g} s are slack", observed="none by then",
        fix=f"{BOUND}; repetitions count, too. If it is meant to take longer, say so in the upstream's timeout",
    )  # fmt: skip


def _untold(case: Case, seen: Timeline) -> Verdict | None:
    status, call = seen.labelled(PHASE)[0].status, case.declared.call
    if status >= 500 or status == ACCEPTED or (call is not None and call.fallback):
        return None
    return _wrong_status(case, str(status))


def _unproven(subject: Subject, case: Case, seen: Timeline) -> Verdict | None:
    """Both the call and the health must work while nothing is wrong."""
    for label in (GUARD, PHASE):
        wrong = uncalled(
            case.name, (c for c in seen.calls if c.label == label), case.declared.url_env
        )
        if wrong is not None and not (label == PHASE and faulting.ended(seen)):
            return wrong
    healthy = all(_well(subject, x) for x in seen.labelled(CALM))
    guard = next(iter(seen.labelled(GUARD)), None)
    if healthy and guard is not None and guard.answered and seen.labelled(PHASE):
        return None
    return unknown(
        "ControlArmFailed", "a fresh clone does not answer in time while every upstream does",
        expected="200 from health.path, and an answer to the call", observed="less",
        fix="see what a new pod answers on health.path and on the upstream's call; declare the stores it uses",
    )  # fmt: skip


def _left(seen: Timeline, sent: Exchange, limit: float) -> bool:
    """Where the answer does not wait for the upstream, the call itself shows whether it ends."""
    if sent.status != ACCEPTED:
        return True
    calls = [call for call in seen.calls if call.label == PHASE]
    return all(call.end >= 0 and call.end - call.at <= limit for call in calls)


def _suffers(subject: Subject, case: Case, seen: Timeline) -> Verdict | None:
    sent = seen.labelled(PHASE)[0]
    knocks = [x for x in seen.labelled(KNOCK) if sent.start <= x.start <= sent.end]
    if sum(not _well(subject, x) for x in knocks) <= MOST_HURT:
        return None
    return _hurt(case, "health that is late, or not 200, meanwhile")


def _well(subject: Subject, x: Exchange) -> bool:
    health = subject.target.health
    limit = seconds(health.max_latency if health else "1s") + PATIENCE
    return x.answered and x.status == 200 and x.end - x.start <= max(limit, 1.0)


def _wrong_status(case: Case, observed: str) -> Verdict:
    return failed(
        "WrongStatus", f"while upstream {case.name} is silent, its caller is not told that something is wrong",
        expected="an answer of 502, 503 or 504", observed=observed,
        fix="answer 504 when the upstream does not; where an answer without it is meant, set fallback: true on its call",
    )  # fmt: skip


def _hurt(case: Case, observed: str) -> Verdict:
    return failed(
        "HealthSuffers", f"while one request waits for upstream {case.name}, the application does not work on others",
        expected="200 from health.path as before", observed=observed,
        fix="call upstreams without blocking: an async client or a thread in an event loop, more than one worker elsewhere",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="CFG-012",
        title="Upstream URLs can be overridden",
        severity=Severity.P3,
        criterion="A clone whose upstreams[].urlEnv holds the URL of the drill's sink calls the sink within 30 s, at its "
        "start, by itself, or on upstreams[].call.",
        fix="read the URL of each upstream from a variable, and no other",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("upstreams",),
        ask=ask_overridable, judge=judge_overridable,
        checklists=("000/13.4", "001/6.1-2"),
    ),
    Control(
        id="REL-002",
        title="Upstream timeouts",
        severity=Severity.P1,
        criterion="While an upstream takes requests and never answers, upstreams[].call on a clone is answered with 5xx "
        "within upstreams[].timeout (30 s) + 2 s (202: the call itself ends by then; below 500 only with "
        "upstreams[].call.fallback), and meanwhile health.path answers 200 as fast as before.",
        fix=BOUND,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("upstreams", "health"),
        ask=ask_timeout, judge=judge_timeout,
        checklists=("003/7.2", "003/7.2a"),
    ),
)  # fmt: skip

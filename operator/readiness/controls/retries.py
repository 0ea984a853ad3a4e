"""REL-003: failed calls are repeated as often as helps, and never so that it hurts; proven on clones.

Judged from when the drill's sink was called. Counts and times are told as evidence only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.drills import faulting, trial
from readiness.drills.calling import Attempts, alike, attempts_of, grows, guarded
from readiness.drills.faulting import AGAIN, EXHAUST, RECOVER, Case
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request, Timeline

UNSAFE: Final = frozenset({"POST", "PATCH"})
REPEAT: Final = "repeat what failed with 503, or without an answer, after 1, 2 and 4 s, each more or less by chance"


def ask(subject: Subject) -> tuple[Request, ...]:
    """Three clones per upstream that can be called."""
    return faulting.ask(subject, faulting.failing(subject))


def judge(subject: Subject, answers: Answers) -> Verdict:
    """Whether, how often, and when again."""
    return trial.of_calls(subject) or faulting.judged(
        subject, answers, faulting.failing(subject), _judge
    )


def _judge(subject: Subject, case: Case, seen: Mapping[str, Timeline]) -> Verdict:
    runs: dict[str, Attempts] = {}
    for name in (RECOVER, EXHAUST, AGAIN):
        wrong = guarded(case.name, seen[name], case.declared.url_env)
        found = wrong or attempts_of(case.name, seen[name])
        if isinstance(found, Verdict):
            return found
        runs[name] = found
    return (
        _duplicated(case, runs)
        or _unrepeated(case, runs)
        or _unbounded(case, runs)
        or _unrecovered(case, runs[RECOVER])
        or _rhythm(case, runs)
    )


def _duplicated(case: Case, runs: Mapping[str, Attempts]) -> Verdict | None:
    method = runs[RECOVER].calls[0].method
    again = [run for run in runs.values() if len(run.calls) > 1 and not run.one_key]
    if method not in UNSAFE or len(again) < 2:  # what comes once may be a call of its own
        return None
    return failed(
        "PostDuplicated", f"a {method} of upstream {case.name} that failed is sent again",
        expected="one, or the same Idempotency-Key on each", observed="several without one",
        fix="repeat only what may happen twice, or send one Idempotency-Key with every attempt",
    )  # fmt: skip


def _unrepeated(case: Case, runs: Mapping[str, Attempts]) -> Verdict | None:
    if sum(len(run.calls) > 1 for run in runs.values()) > 1:
        return None
    if runs[RECOVER].calls[0].method in UNSAFE:
        return passed(
            "NotRepeated", f"what must not happen twice is sent once to upstream {case.name}"
        )
    if case.declared.retries == 0:
        return passed("NotRepeated", f"calls of upstream {case.name} are not repeated, as declared")
    return failed(
        "NotRetried", f"a call of upstream {case.name} that failed is not repeated",
        expected="a second attempt", observed="none",
        fix=f"{REPEAT}; if it is meant so, declare retries: 0 for the upstream",
    )  # fmt: skip


def _unbounded(case: Case, runs: Mapping[str, Attempts]) -> Verdict | None:
    upstream = case.declared
    budget, failing = seconds(upstream.retry_budget), (runs[EXHAUST], runs[AGAIN])
    most = (
        min(len(run.calls) for run in failing) - 1
    )  # what only one clone did may be a call of its own
    if upstream.retries is not None and most > upstream.retries:
        return failed(
            "Unbounded", f"a call of upstream {case.name} that fails is repeated more often than declared",
            expected=f"at most {upstream.retries} repetitions", observed="more",
            fix="set the client's limit; where client, library and mesh repeat by themselves, their limits multiply",
        )  # fmt: skip
    if min(run.lasted for run in failing) > budget:
        return failed(
            "Unbounded", f"a call of upstream {case.name} that fails is repeated beyond its budget",
            expected=f"no attempt later than {budget:g} s after the first", observed="attempts after that",
            fix="give up after some attempts and answer 503; or declare a longer retryBudget",
        )  # fmt: skip
    return None


def _unrecovered(case: Case, run: Attempts) -> Verdict | None:
    if run.answer.answered and run.answer.status < 500 and run.calls[-1].status < 500:
        return None
    times = faulting.failures_of(case.declared)
    return failed(
        "NotRecovered", f"upstream {case.name} fails for a moment, and the request fails with it",
        expected=f"the usual answer, after {times} failures of the upstream", observed="an error",
        fix=f"{REPEAT}; if fewer repetitions are meant, declare them as the upstream's retries",
    )  # fmt: skip


def _rhythm(case: Case, runs: Mapping[str, Attempts]) -> Verdict:
    growing = grows((runs[EXHAUST], runs[AGAIN]))
    if growing is None:
        return unknown(
            "GapsUneven", f"the gaps between attempts at upstream {case.name} vary too much to tell whether they grow",
            expected="longer gaps after each failure", observed="longer and shorter ones",
            fix="it is repeated by itself; double the gap each time, and vary it by less than half",
        )  # fmt: skip
    if not growing:
        return failed(
            "GapsDoNotGrow", f"attempts at upstream {case.name} follow each other at one pace",
            expected="each gap at least 1.5 times as long as the one before", observed="gaps of one length, or none",
            fix=REPEAT,
        )  # fmt: skip
    if alike(runs.values()):
        return failed(
            "NoJitter", f"every instance calls upstream {case.name} again after exactly the same time",
            expected="gaps that differ from one run to the next", observed="the same gaps on several clones",
            fix="vary each gap by chance, so that callers do not come back all at once",
        )  # fmt: skip
    return passed(
        "BacksOff",
        f"failed calls of upstream {case.name} are repeated with growing, varying gaps, and end",
    )


PLUGINS: Final = (
    Control(
        id="REL-003",
        title="Retries back off",
        severity=Severity.P1,
        criterion="An upstream that fails twice with 503 does not fail upstreams[].call on a clone; one that always fails is "
        "called at most 1 + upstreams[].retries times and within upstreams[].retryBudget (60 s), after gaps that grow "
        "(the last 1.5 times the first) and are not alike (±5 %) on several clones. A POST or PATCH is sent once, or with "
        "one Idempotency-Key.",
        fix=REPEAT,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("upstreams",),
        ask=ask, judge=judge,
        checklists=("003/7.2", "003/7.2a", "004/1.3.3-1", "004/1.3.3-2"),
    ),
)  # fmt: skip

"""HA-010: an application whose store has lost its majority says so, and promises nothing that it cannot keep.

That the store itself refuses then is judged from how its members are set: HA-001 (a Redis alone takes no writes), HA-002
(a majority acknowledges), HA-003 (quorum queues). Here it is played, and the application is judged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.drills import trial
from readiness.drills.answered import timeline_of
from readiness.drills.majority import BACK_WITHIN, MODES, back, requests_of
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request, Timeline
from readiness.scenario import WRITE

WORDS: Final = {"refuse": "refuses every connection", "blackhole": "confirms nothing"}
REFUSE: Final = "acknowledge a request when its store has, with a timeout of a few seconds, and answer 503 with Retry-After where it has not"
DECLARE: Final = "scenarios: [{name: write, steps: [{name: order, request: {method: POST, path: /orders}}]}]"  # fmt: skip


def ask(subject: Subject) -> tuple[Request, ...]:
    """One clone per store."""
    return tuple(requests_of(subject).values())


def judge(subject: Subject, answers: Answers) -> Verdict:
    """The worst verdict on any store."""
    target = subject.target
    if not target.uses:
        return trial.undeclared(subject, "uses: [cache], with cache among spec.dataServices", "no store is declared that could lose its majority")  # fmt: skip
    if WRITE not in [each.name for each in target.scenarios]:
        return trial.undeclared(subject, DECLARE, "nothing is declared that makes the application write")  # fmt: skip
    requests = requests_of(subject)
    if not requests:
        return trial.not_asked(subject)
    found = []
    for store, request in requests.items():
        verdict = trial.proven(timeline_of(subject, answers, request), partial(_judge, store))
        evidence = f"{store}: {verdict.result}/{verdict.reason}"
        found.append(replace(verdict, where=subject.where, via=f"drill/{request.arm.name}", evidence=evidence))  # fmt: skip
    return trial.worst(found)


def _judge(store: str, seen: Timeline) -> Verdict:
    found = next(filter(None, (_judge_mode(store, seen, mode) for mode in MODES)), None)
    return found or passed("RefusesWrites", "while a store takes no writes, writing requests are answered with 5xx, and afterwards as before")  # fmt: skip


def _judge_mode(store: str, seen: Timeline, mode: str) -> Verdict | None:
    checks, without = seen.played(mode), f"while {store} {WORDS[mode]}"
    if not checks:
        return unknown("NotDrilled", "the drill ended before its last question", fix="it is repeated by itself")  # fmt: skip
    last = checks[-1]
    if not last.unmet:
        return failed(
            "WriteAccepted", f"a write is acknowledged {without}: it may be lost",
            expected="a status of 500 or more", observed="every step of the scenario write holds", fix=REFUSE,
        )  # fmt: skip
    if not last.status:
        return failed(
            "WriteHangs", f"a write is not answered {without}",
            expected="a status of 500 or more within 10 s", observed="no answer by then", fix=REFUSE,
        )  # fmt: skip
    if last.status < 500:
        return failed(
            "WrongStatus", f"a write is not answered as a failure of the server {without}",
            expected="a status of 500 or more", observed=str(last.status), fix=REFUSE,
        )  # fmt: skip
    again = seen.played(back(mode))
    if again and not any(check.unmet for check in again):
        return None
    return failed(
        "NoRecovery", f"writes go on failing after {store} is back",
        expected=f"the scenario write holds within {BACK_WITHIN:g} s", observed="not by then",
        fix="connect again when a connection has failed, and keep no failed state longer than some seconds",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="HA-010",
        title="Without a majority of a store writes are refused",
        severity=Severity.P2,
        criterion="While a store of uses refuses every connection, and while it takes everything and confirms nothing, as one without a majority does, "
        "the scenario write is answered with 5xx within 10 s on a clone; within 30 s of its return it holds again.",
        fix=REFUSE,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("scenarios.write",),
        ask=ask, judge=judge,
    ),
)  # fmt: skip

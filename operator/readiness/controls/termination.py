"""SHD-001, 002, 006: how the application ends, proven on clones.

Judged from timelines of arms: exit codes and brackets of seconds. What becomes of requests is
judged elsewhere; only that lost ones are no orderly end is known here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed
from readiness.drills import remedies, trial
from readiness.drills.arms import SLOW, Terms, terms_of
from readiness.drills.endings import late_end, unclear, when, wrong_end
from readiness.drills.inflight import Flight, read_flight
from readiness.drills.reading import Seen
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers


def judge_exit(subject: Subject, answers: Answers) -> Verdict:
    """SHD-001: SIGTERM ends the process in time, by itself, with an agreed code, nothing cut."""
    seen = trial.read_arms(subject, answers, "waves", "held", "idle")
    verdict = _judge_ends(subject, seen, subject.target.shutdown.ok_exit_codes)
    if not verdict.result.holds:
        return verdict
    tried = _tried(subject, seen.get("waves")) or ", idle and with requests in flight"
    return replace(verdict, message=f"SIGTERM ends it in order{tried}")


def _tried(subject: Subject, busy: Seen | Verdict | None) -> str:
    """What a Pass is worth, where it is worth less than it could be."""
    if not isinstance(busy, Seen) or not busy.timeline.labelled(SLOW):
        return f" with nothing in flight; more was not tried: add {trial.SLOW_LINE} to shutdown"
    if read_flight(busy, terms_of(subject).drain).reason:
        return "; that nothing in flight is lost was not proven: see SHD-004"
    return ""


def judge_interrupt(subject: Subject, answers: Answers) -> Verdict:
    """SHD-002: SIGINT does what SIGTERM does."""
    ignored = failed(
        "SignalIgnored", "SIGINT does not end it", expected="the same end as after SIGTERM",
        observed="still running after the drain", fix=remedies.HANDLE.replace("SIGTERM", "SIGINT"),
    )  # fmt: skip
    if (verdict := trial.deaf(subject, answers, "sigint", ignored)) is not None:
        return verdict
    declared = subject.target.shutdown.ok_exit_codes
    codes = {*declared, 0, 130} - {143}
    seen = trial.read_arms(subject, answers, "sigint")
    verdict = _judge_ends(subject, seen, codes)
    if not verdict.result.holds:
        return verdict
    tried = _tried(subject, seen.get("sigint")) or ", with requests in flight"
    return replace(verdict, message=f"SIGINT ends it in order{tried}")


def _judge_ends(
    subject: Subject, arms: Mapping[str, Seen | Verdict], codes: Collection[int]
) -> Verdict:
    if not arms:
        return trial.not_asked(subject)
    judge = partial(_judge_end, terms_of(subject), codes)
    return trial.worst(trial.judged(subject, seen, judge) for seen in arms.values())


def _judge_end(terms: Terms, codes: Collection[int], seen: Seen) -> Verdict:
    flight = read_flight(seen, terms.drain) if seen.timeline.labelled(SLOW) else Flight()
    wrong = _not_drained(seen, terms, flight) or wrong_end(seen, codes) or late_end(seen, terms.drain)  # fmt: skip
    verdict = wrong or passed("OrderlyExit", f"it ends in order {when(seen)}")
    return replace(verdict, evidence=flight.told if seen.timeline.labelled(SLOW) else "")


def _not_drained(seen: Seen, terms: Terms, flight: Flight) -> Verdict | None:
    """Whatever the code: an end that loses what was in flight is not clean."""
    return failed(
        "NotDrained", "it ends before requests in flight are finished",
        expected=f"requests in flight finished within {terms.drain:g} s, then the end",
        observed=f"requests lost, exit code {seen.ending.code}", fix=remedies.of_loss(seen),
    ) if flight.lost else None  # fmt: skip


def judge_idle(subject: Subject, answers: Answers) -> Verdict:
    """SHD-006: with nothing to do it ends at once; idle connections do not hold it to the limit."""
    seen = trial.read_arms(subject, answers, "idle", "held")
    if not seen:
        return trial.not_asked(subject)
    judges = {
        "idle": partial(_judge_idle, terms_of(subject)),
        "held": partial(_judge_held, terms_of(subject)),
    }
    return trial.worst(trial.judged(subject, arm, judges[name]) for name, arm in seen.items())


def _judge_idle(terms: Terms, seen: Seen) -> Verdict:
    limit = terms.idle_exit + terms.lame_duck
    soon = seen.took.within(limit)
    if seen.killed:
        return failed(
            "KilledAtGrace", "with nothing open it does not end until the kubelet kills it",
            expected=f"an end within {limit:g} s", observed="SIGKILL at the end of the grace period",
            fix=remedies.HANDLE,
        )  # fmt: skip
    if soon is False:
        return failed(
            "LingersWhenIdle", "with nothing open it does not end soon after SIGTERM",
            expected=f"an end within {limit:g} s", observed="a later one",
            fix=f"{remedies.TIMERS}; if it serves on purpose for a while, declare shutdown.lameDuck",
        )  # fmt: skip
    return unclear() if soon is None else passed("EndsWhenIdle", f"with nothing open it ends within {limit:g} s")  # fmt: skip


def _judge_held(terms: Terms, seen: Seen) -> Verdict:
    """Only waiting for the limit or the kill is a leak; what lies between is evidence."""
    late = seen.took.lo >= terms.drain - 1 > terms.idle_exit + terms.lame_duck
    if not seen.killed and not late:
        return passed("EndsWhenIdle", "idle connections do not hold it")
    return failed(
        "WaitsForConnections", "idle keep-alive connections keep it from ending until it is forced to",
        expected="idle connections closed at the signal",
        observed="SIGKILL at the end of the grace period" if seen.killed else "an end at the limit of the drain",
        fix=remedies.CLOSE,
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="SHD-001",
        title="SIGTERM ends the process in order",
        severity=Severity.P1,
        criterion="On a clone that is deleted with its own grace period, the application's container ends by itself "
        "within shutdown.drain + 2 s of SIGTERM, with a code of shutdown.okExitCodes, and no request that was proven to "
        "be in flight is lost: idle, with idle connections, and under slow requests where slowRequest is declared.",
        fix="handle SIGTERM: stop accepting, finish what is open, end with 0",
        safety=Safety.DRILL, max_age=trial.WEEK,
        ask=trial.arms("waves", "held", "idle"), judge=judge_exit,
        checklists=("000/6.1", "000/6.2"),
    ),
    Control(
        id="SHD-002",
        title="SIGINT does the same",
        severity=Severity.P1,
        criterion="The criterion of SHD-001 after SIGINT to process 1 of a clone, sent by an ephemeral container; 130 "
        "stands in the place of 143.",
        fix="handle SIGINT as SIGTERM",
        safety=Safety.DRILL, max_age=trial.WEEK,
        ask=trial.arms("sigint"), judge=judge_interrupt,
        checklists=("000/6.1", "000/6.2"),
    ),
    Control(
        id="SHD-006",
        title="Nothing idle delays the end",
        severity=Severity.P1,
        criterion="A clone with nothing open ends within shutdown.idleExit (3 s) of SIGTERM, or of shutdown.lameDuck after "
        "it. Idle keep-alive connections may delay that, but not until the drain's limit or the kill.",
        fix="cancel timers and close idle connections at the signal",
        safety=Safety.DRILL, max_age=trial.WEEK,
        ask=trial.arms("idle", "held"), judge=judge_idle,
        checklists=("000/6.5",),
    ),
)  # fmt: skip

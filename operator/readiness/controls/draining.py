"""SHD-004, 005: requests in flight are finished, but not for ever.

Only requests that were proven to be in flight when the signal came count, and only lengths that
worked before it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.drills import remedies, trial
from readiness.drills.arms import EDITED_DRAIN, SLOW, STUCK, Terms, terms_of, timed
from readiness.drills.endings import TOLERANCE, unclear, wrong_end
from readiness.drills.inflight import MARGIN, Flight, read_flight
from readiness.drills.reading import UNCLEAR, Kind, Seen, kind_of
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers

_UNPROVEN: Final = {
    "ControlArmFailed": (
        "the slow request does not work before any signal",
        "correct shutdown.slowRequest.path; it must answer below 400, and end by itself",
    ),
    "NotInFlight": (
        "no slow request was proven to be in flight when the signal came",
        "let slowRequest.path take {seconds}, or stream its answer from the start",
    ),
    "NotStraddled": (
        "too few slow requests were open long enough around the signal",
        "let slowRequest.path take {seconds}, so that the drill can choose how long",
    ),
}


def judge_inflight(subject: Subject, answers: Answers) -> Verdict:
    """SHD-004: every request proven in flight at SIGTERM gets its whole answer."""
    if subject.target.shutdown.slow_request is None:
        return trial.undeclared(
            subject,
            trial.SLOW_LINE,
            "no slow request is declared: nothing can be in flight when the signal comes",
            ".shutdown",
        )
    seen = trial.read_arms(subject, answers, "waves")
    if not seen:
        return trial.not_asked(subject)
    judge = partial(_judge_flight, terms_of(subject), exact=timed(subject))
    return trial.judged(subject, seen["waves"], judge)


def _judge_flight(terms: Terms, seen: Seen, *, exact: bool) -> Verdict:
    flight = read_flight(seen, terms.drain)
    if flight.reason:
        message, fix = _UNPROVEN[flight.reason]
        return unknown(
            flight.reason, message, observed=flight.observed, fix=fix, evidence=flight.told
        )
    if flight.lost:
        return failed(
            "InFlightLost", "requests in flight when SIGTERM comes do not get their answer",
            expected="the whole answer, as before the signal",
            observed=_cut(flight) if exact else "no answer, or another one",
            fix=remedies.of_loss(seen), evidence=flight.told,
        )  # fmt: skip
    return passed(
        "InFlightFinished",
        "requests in flight when SIGTERM comes get their whole answer",
        evidence=flight.told,
    )


def _cut(flight: Flight) -> str:
    """By length: a server with a short time-out of its own finishes the short ones."""
    cut = " and ".join(f"{n:g}" for n in flight.cut)
    kept = " and ".join(f"{n:g}" for n in flight.kept)
    return f"requests of {cut} s are lost" + (f", those of {kept} s finish" if kept else "")


def judge_drain(subject: Subject, answers: Answers) -> Verdict:
    """SHD-005: a request that never ends is cut when the drain is over, and the drain is a setting."""
    if not timed(subject):
        return trial.undeclared(
            subject,
            trial.SLOW_LINE,
            "no slow request is declared that takes as long as it is told to",
            ".shutdown",
        )
    limits = {"stuck": terms_of(subject).drain, "drain-env": float(EDITED_DRAIN)}
    seen = trial.read_arms(subject, answers, *limits)
    if not seen:
        return trial.not_asked(subject)
    verdict = trial.worst(
        trial.judged(subject, arm, partial(_judge_stuck, limits[name])) for name, arm in seen.items()
    )  # fmt: skip
    if verdict.result.holds and "drain-env" not in seen:
        told = "the drain holds; whether it can be set was not tried: add drainEnv: {name: …} to shutdown"
        return passed(
            "DrainHolds", told, where=verdict.where, via=verdict.via, evidence=verdict.evidence
        )
    return verdict


def _judge_stuck(limit: float, seen: Seen) -> Verdict:
    stuck, signal = seen.timeline.labelled(STUCK), seen.signal
    control = seen.timeline.labelled(SLOW)
    if not all(kind_of(x) is Kind.SERVED and x.status < 400 for x in control):
        message, fix = _UNPROVEN["ControlArmFailed"]
        return unknown("ControlArmFailed", message, fix=fix)
    if not any(x.start <= signal.lo - MARGIN and x.end > signal.lo for x in stuck):
        return unknown("NotInFlight", "the endless request was not in flight when the signal came")
    # 137 is never accepted: grace minus preStop can equal the drain, and the kill then looks like one
    codes = {*range(256)} - {132, 134, 135, 136, 137, 139}
    wrong = wrong_end(seen, codes)
    return wrong or _judge_limit(limit, seen)


def _judge_limit(limit: float, seen: Seen) -> Verdict:
    took, expected = seen.took, f"an end {limit:g} s after the signal, by itself"
    if took.hi - took.lo > UNCLEAR:
        return unclear()
    if took.hi < limit - TOLERANCE:
        if any(kind_of(x) is Kind.SERVED for x in seen.timeline.labelled(STUCK)):
            return unknown("NotStuck", "the application ended the endless request by itself: the drain was not needed",
                           fix="let slowRequest.path take as long as {seconds} says")  # fmt: skip
        return failed("DrainTooShort", "a request in flight is cut before the drain is over",
                      expected=expected, observed="an earlier one", fix=remedies.LENGTHEN)  # fmt: skip
    if took.lo <= limit + TOLERANCE:
        return passed(
            "DrainHolds",
            "a request that never ends is cut when the drain is over, by default and as set",
        )
    if seen.timeline.arm == "drain-env":
        return failed("DrainNotConfigurable", "the variable of shutdown.drainEnv does not set the drain",
                      expected=expected, observed="a later one", fix="read the drain from that variable, in its unit")  # fmt: skip
    return failed("DrainTooLong", "a request that never ends holds it longer than its drain",
                  expected=expected, observed="a later one", fix=remedies.BOUND)  # fmt: skip


PLUGINS: Final = (
    Control(
        id="SHD-004",
        title="Requests in flight are finished",
        severity=Severity.P1,
        criterion="Every slow request (shutdown.slowRequest, up to 0.8 × drain) that was proven to be in flight at SIGTERM, "
        "open for ≥0.5 s on both sides of it, gets the status and the whole body that it gets without a signal. What was "
        "only queued does not count; too few of them prove nothing.",
        fix="stop accepting at SIGTERM, wait for open requests, then end",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("shutdown.slowRequest",),
        ask=trial.arms("waves"), judge=judge_inflight,
        checklists=("000/6.7",),
    ),
    Control(
        id="SHD-005",
        title="The drain has a limit, and it is a setting",
        severity=Severity.P1,
        criterion="With a request that outlasts every drain, a clone ends by itself shutdown.drain ± 2 s after SIGTERM, never "
        "by the kubelet's kill; with the variable of shutdown.drainEnv set to 3 s, 3 ± 2 s after it.",
        fix="end what is left when the drain is over, and read the drain from a variable",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("shutdown.slowRequest",),
        ask=trial.arms("stuck", "drain-env"), judge=judge_drain,
        checklists=("000/6.4",),
    ),
)  # fmt: skip

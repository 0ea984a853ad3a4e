"""SHD-003, 010: new requests around the end. Served while they may still be routed here, refused after.

The two are not at odds: a preStop sleep serves the window in which proxies still send requests, and
what comes after SIGTERM is no longer taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from readiness.control import Control, Subject, failed, not_applicable, passed, unknown
from readiness.drills import remedies, trial
from readiness.drills.arms import FAST, HELD, KNOCK, SLOW, Terms, fast_path, terms_of
from readiness.drills.endings import unclear
from readiness.drills.inflight import read_flight
from readiness.drills.reading import UNCLEAR, Kind, Seen, kind_of
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers
from readiness.timeline import NEVER, Exchange

LAST: Final = 10
PACE: Final = 0.1
"""A connection that hangs is an attempt for each of these in which it goes on waiting: no more are opened beside it."""
QUICK: Final = 2.0
"""An end is quick where its window has no room for ten knocks; one later than this is not, however slow the pace."""
FEWEST: Final = 5
SHARE: Final = 0.99
_NOTHING_NEW: Final = "connection refused, reset without an answer, or 429 or 503"


@dataclass(frozen=True, slots=True)
class Window:
    """New requests between the time from which they must be refused and the end.

    `pace` is the time between two of them, `hung` the longest that one stood before a door that nobody opened.
    """

    knocks: tuple[Exchange, ...]
    reused: tuple[Exchange, ...]
    lasts: float
    pace: float
    hung: float

    @property
    def served(self) -> tuple[Exchange, ...]:
        """Those that were answered like any other."""
        return tuple(x for x in self.knocks if kind_of(x) is Kind.SERVED)

    @property
    def quick(self) -> bool:
        """Whether the end came before ten could be tried."""
        return self.lasts < min(LAST * self.pace, QUICK)

    @property
    def tried(self) -> int:
        """Attempts that came to somebody's door, answered or not."""
        return sum(_arrived(x) for x in self.knocks) + int(self.hung / PACE)

    @property
    def still(self) -> bool:
        """Whether it went on to the end."""
        return sum(kind_of(x) is Kind.SERVED for x in self.knocks[-LAST:]) > 1


def _window(terms: Terms, seen: Seen) -> Window:
    begins, ends = seen.signal.hi + terms.refuse_after + terms.lame_duck, seen.exit.lo
    inside = [x for x in seen.timeline.exchanges if begins <= x.start < ends]
    all_ = seen.timeline.labelled(KNOCK)
    gaps = (later.start - x.start for x, later in pairwise(all_))
    refused = (x for x in all_ if _arrived(x) and kind_of(x) is not Kind.SERVED)
    hung = (min(x.end, ends) - max(x.start, begins) for x in refused)
    return Window(
        tuple(x for x in inside if x.label == KNOCK),
        tuple(x for x in inside if x.label == HELD and x.held),
        ends - begins,
        max(PACE, min(gaps, default=PACE)),
        max(0.0, max(hung, default=0.0)),
    )


def _arrived(x: Exchange) -> bool:
    """What found no way to the pod tried nothing."""
    return kind_of(x) is not Kind.VANISHED


def judge_refusal(subject: Subject, answers: Answers) -> Verdict:
    """SHD-003: from refuseAfter on, no new request is served."""
    seen = trial.read_arms(subject, answers, "waves", "held")
    if not seen:
        return trial.not_asked(subject)
    judge = partial(_judge_refusal, terms_of(subject))
    found = [trial.judged(subject, arm, judge) for arm in seen.values()]
    tried = [v for v in found if v.reason == "NewWorkRefused"]
    verdict = trial.worst((*tried, *found))
    if verdict.reason == "EndsFirst" and "waves" not in seen:
        told = f"{verdict.message}; with requests in flight it was not tried: add {trial.SLOW_LINE} to shutdown"
        return passed(
            "EndsFirst", told, where=verdict.where, via=verdict.via, evidence=verdict.evidence
        )
    return verdict


def _judge_refusal(terms: Terms, seen: Seen) -> Verdict:
    window, hung = _window(terms, seen), _hung(seen)
    if seen.signal.hi - seen.signal.lo > UNCLEAR:
        return unclear()
    if len(window.served) > 1:
        return _serves_on(window, seen)
    if window.served:
        return unknown("OneServed", "one new request was served after the signal, the others were not",
                       expected=_NOTHING_NEW, observed="one answer", evidence=hung)  # fmt: skip
    if any(kind_of(x) is Kind.SERVED and not x.close for x in window.reused):
        return failed(
            "KeepAliveServed", "it goes on serving connections that were open before SIGTERM",
            expected="idle connections closed, or answers with Connection: close",
            observed="an answer that keeps its connection open", fix=remedies.CLOSE, evidence=hung,
        )  # fmt: skip
    return _ended_first(terms, seen, hung) if window.quick else _refused(window, hung)


def _refused(window: Window, hung: str) -> Verdict:
    if window.tried >= LAST:
        return passed(
            "NewWorkRefused", "soon after SIGTERM no new request is served", evidence=hung
        )
    return unknown(
        "TooFewAttempts", "too few new requests were tried after the signal",
        expected=_NOTHING_NEW, observed=f"fewer than {LAST} attempts",
        fix="it is repeated by itself; a preStop that is a command lets it be tried less often than one that sleeps",
        evidence=hung,
    )  # fmt: skip


def _ended_first(terms: Terms, seen: Seen, hung: str) -> Verdict:
    """A quick end is fine, unless it is quick because it drops what is in flight."""
    if seen.timeline.labelled(SLOW) and read_flight(seen, terms.drain).lost:
        return unknown("EndsFirst", "it ends before new requests could be tried, and drops those in flight",
                       fix="see SHD-004", evidence=hung)  # fmt: skip
    return passed("EndsFirst", "it has ended before new requests must be refused", evidence=hung)


def _serves_on(window: Window, seen: Seen) -> Verdict:
    """A process that then ends by itself, with nothing to wait for, or that refuses later: on purpose."""
    waits = seen.killed or seen.timeline.labelled(SLOW)
    duck = not window.still or not waits
    last = max(x.end for x in window.served) - seen.signal.lo
    return failed(
        "LikelyLameDuck" if duck else "AcceptsNewWork",
        "it serves new requests for a while after SIGTERM: likely on purpose, but not declared" if duck
        else "after SIGTERM it goes on serving new requests",
        expected=_NOTHING_NEW, observed="new requests are served",
        fix="declare that time as shutdown.lameDuck if it is meant; else close the listening socket at the signal"
        if duck else remedies.REFUSE,
        evidence=f"served until {last:.1f} s after the signal;",
    )  # fmt: skip


def _hung(seen: Seen) -> str:
    """A backlog left open: clients wait for nothing. A warning, no failure."""
    stalled = [x for x in seen.timeline.labelled(KNOCK) if kind_of(x) is Kind.STALLED]
    if not any(seen.signal.lo <= x.start < seen.exit.lo for x in stalled):
        return ""
    return "warning: fresh connections hang until the end (backlog left open);"


def judge_lead(subject: Subject, answers: Answers) -> Verdict:
    """SHD-010: while proxies may still send requests here, they are served."""
    seen = trial.read_arms(subject, answers, "held")
    if not seen:
        return trial.not_asked(subject)
    terms = terms_of(subject)
    if not terms.propagation:
        return not_applicable("NoPropagation", "shutdown.propagation is 0: nothing is said to be routed here any more",
                              where=subject.where)  # fmt: skip
    health = subject.target.health
    flips = health is not None and health.path == fast_path(subject)
    return trial.judged(subject, seen["held"], partial(_judge_lead, terms, flips=flips))


def _judge_lead(terms: Terms, seen: Seen, *, flips: bool) -> Verdict:
    asked = seen.timeline.moment("stopping")
    begins = asked if asked != NEVER else seen.timeline.stopped
    all_ = seen.timeline.labelled(KNOCK)
    knocks = [x for x in all_ if 0 <= x.start - begins <= terms.propagation]
    usual = {x.status for x in seen.timeline.labelled(FAST)}
    if any(not _served(x, usual, flips=flips) for x in all_ if x.start < begins):
        return unknown(
            "ControlArmFailed", "new requests at this pace are not served before the deletion either",
            observed="some refused or turned away", fix="name a path without a rate limit in health or http.public",
        )  # fmt: skip
    served = sum(_served(x, usual, flips=flips) for x in knocks)
    told = f"{served} of {len(knocks)} served in the window;"
    if len(knocks) < FEWEST:
        return unknown("TooFewAttempts", "too few new requests were tried after the deletion",
                       fix="it is repeated by itself", evidence=told)  # fmt: skip
    if served >= SHARE * len(knocks):
        return passed(
            "ServedWhileRouted",
            "new requests are served while they may still be routed here",
            evidence=told,
        )
    need = -(-terms.propagation // 1)
    return failed(
        "RefusedTooEarly",
        "it refuses new requests as soon as it is told to end, while proxies still send them: rollouts drop requests",
        expected=f"new requests served for {terms.propagation:g} s after the deletion",
        observed="requests refused or dropped in that time",
        fix=f"add lifecycle: {{preStop: {{sleep: {{seconds: {need:g}}}}}}} to the container, and as much to "
        "terminationGracePeriodSeconds",
        evidence=told,
    )  # fmt: skip


def _served(x: Exchange, usual: set[int], *, flips: bool) -> bool:
    """As before the deletion. A health endpoint may say 503 meanwhile: it tells that this pod is leaving."""
    if flips and x.status == 503 and x.answered and not x.close:
        return True
    return kind_of(x) is Kind.SERVED and x.status in usual


PLUGINS: Final = (
    Control(
        id="SHD-003",
        title="No new work after the signal",
        severity=Severity.P1,
        criterion="From shutdown.refuseAfter (2 s) after SIGTERM, or after shutdown.lameDuck, no new request is served: fresh "
        "connections every 100 ms are refused, reset without an answer, or answered 429 or 503, and connections that "
        "were open are closed or told to. Fails when 2 or more are served; an end before that is fine, but fewer than ten "
        "attempts until a later one prove nothing.",
        fix="close the listening socket at SIGTERM",
        safety=Safety.DRILL, max_age=trial.WEEK,
        ask=trial.arms("waves", "held"), judge=judge_refusal,
        checklists=("000/6.6",),
    ),
    Control(
        id="SHD-010",
        title="New work is served until nobody sends it",
        severity=Severity.P1,
        criterion="For shutdown.propagation (5 s) after the deletion of a clone, ≥99 % of new requests are answered as "
        "before it: endpoints, proxies and load balancers learn of a deletion later than the pod does.",
        fix="add a preStop sleep of 5 s",
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("service",),
        ask=trial.arms("held"), judge=judge_lead,
        checklists=("000/6.6",),
    ),
)  # fmt: skip

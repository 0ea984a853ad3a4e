"""Facts of one arm's timeline: when the signal came, when the container ended, what was spoiled.

Everything is a bracket: the kubelet tells whole seconds, and nobody tells when SIGTERM arrived. What
the facts mean for a requirement is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from readiness.control import unknown
from readiness.drills.answered import NOT_DRILLED, problem_verdict
from readiness.drills.arms import FAST, HELD, KNOCK
from readiness.drills.spoiled import disturbed, spoiled
from readiness.model import Outcome, Verdict
from readiness.timeline import NEVER, Ending, Exchange, Timeline

LAG: Final = 1.0
"""How late the kubelet's signal may be after the preStop sleep, on a clone that has settled."""
STALL: Final = 1.0
SKEW: Final = 1.0
UNCLEAR: Final = LAG + 1.5
"""A bracket wider than the kubelet's lag, its clock's resolution and a slow API decides nothing."""
_LOST: Final = ("ContainerStatusUnknown", "NodeLost", "NodeShutdown", "Evicted", "Preempted")
"""Reasons that the kubelet or the node gave, not the application; their exit codes are made up."""


class Kind(StrEnum):
    """What became of a request, as its client sees it."""

    SERVED = "served"
    AWAY = "turned away"
    ERROR = "error"
    REFUSED = "refused"
    BROKEN = "reset"
    STALLED = "stalled"
    VANISHED = "no route"


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is known to lie between two."""

    lo: float
    hi: float

    def since(self, start: Span) -> Span:
        """The time between two brackets."""
        return Span(self.lo - start.hi, self.hi - start.lo)

    def within(self, limit: float) -> bool | None:
        """Whether it is at most `limit`; in doubt yes, but None when the bracket says too little."""
        if self.hi <= limit or self.lo > limit:
            return self.hi <= limit
        return True if self.hi - self.lo <= UNCLEAR else None


@dataclass(frozen=True, slots=True)
class Seen:
    """An arm that can be judged: its signal, its end, and all else in the timeline."""

    timeline: Timeline
    signal: Span
    exit: Span
    ending: Ending

    @property
    def took(self) -> Span:
        """From the signal to the end of the container."""
        return self.exit.since(self.signal)

    @property
    def killed(self) -> bool:
        """Whether the kubelet's patience ended it. What it tells late (a sidecar outlives it) ended before."""
        told = (
            self.ending.finished - self.timeline.epoch + 1
            if self.ending.finished
            else self.ending.at
        )
        waited = min(self.ending.at, told) - self.timeline.stopped
        return self.ending.code == 137 and waited >= self.timeline.grace - 1

    def with_hook_of(self, other: Seen) -> Seen:
        """The same arm; a hidden preStop hook takes no longer than in an arm that shows it earlier."""
        late = other.timeline.stopped - self.timeline.stopped
        hi = min(other.signal.hi - late, self.exit.hi)
        own = self.timeline.labelled(KNOCK) and hi >= self.signal.hi
        if self.timeline.hook is not None or own:
            return self
        return replace(self, signal=Span(min(other.signal.lo - late, hi), hi))


def read(timeline: Timeline | None, *, interrupted: bool = False) -> Seen | Verdict:
    """The facts of an arm, or why it proves nothing. `interrupted`: by a signal, not by deletion."""
    if timeline is None:
        return NOT_DRILLED
    if interrupted:
        timeline = replace(timeline, hook=0.0)
    ending, via = timeline.ending, f"drill/{timeline.arm}"
    wrong = _cause(timeline) or spoiled(timeline) or _uncontrolled(timeline)
    wrong = wrong or problem_verdict(timeline)
    if wrong is not None:
        return replace(wrong, via=via)
    if ending is None or timeline.stopped == NEVER:
        return unknown("EndNotSeen", "the end of the clone's container was not seen", via=via)
    if ending.reason in _LOST:
        return unknown(ending.reason, "the clone's node lost it: the exit code is made up", via=via)
    end = _exit(timeline, ending)
    if end is None:
        return replace(disturbed("the clocks of prober and node differ"), via=via)
    return Seen(timeline, _signal(timeline, end, interrupted=interrupted), end, ending)


def kind_of(seen: Exchange) -> Kind:
    """What became of one request."""
    hung = seen.connected != NEVER and seen.end - seen.connected > seen.seconds + STALL
    match seen.outcome:
        case Outcome.RESPONSE if seen.whole and seen.status in (429, 503):
            return Kind.AWAY
        case Outcome.RESPONSE if seen.whole:
            return Kind.SERVED if seen.status < 500 else Kind.ERROR
        case Outcome.REFUSED:
            return Kind.REFUSED
        case Outcome.TIMEOUT | Outcome.ABORTED if not hung:
            return Kind.VANISHED
    return Kind.STALLED if hung and seen.first == NEVER else Kind.BROKEN


def _cause(timeline: Timeline) -> Verdict | None:
    """What kept the clone from being Ready; a busy prober did not."""
    return problem_verdict(timeline) if timeline.moment("ready") == NEVER else None


def _uncontrolled(timeline: Timeline) -> Verdict | None:
    """The positive control: what does not work before the signal proves nothing after it."""
    fast = timeline.labelled(FAST)
    kinds = {kind_of(x) for x in fast}
    if kinds <= {Kind.SERVED} and len({x.status for x in fast}) <= 1:
        return None
    observed = ", ".join(sorted({str(x.status) if x.answered else kind_of(x) for x in fast}))
    return unknown(
        "ControlArmFailed", "a fresh clone does not answer steadily before any signal",
        expected="the same answer each time, below 500", observed=observed,
        fix="see what a new pod answers on the path of health or http.public; declare the stores it uses",
    )  # fmt: skip


def _exit(timeline: Timeline, ending: Ending) -> Span | None:
    """When the container ended: what was still heard, the kubelet's word, when we saw that.

    None when they contradict each other by more than a clock may be off.
    """
    alive = max((_alive(x) for x in timeline.exchanges), default=NEVER)
    if not ending.finished:
        return Span(min(max(alive, timeline.stopped), ending.at), ending.at)
    began, told = ending.started - timeline.epoch, ending.finished - timeline.epoch
    created, ready = timeline.moment("created"), timeline.moment("ready")
    behind = told + 1 + SKEW < alive or (ending.started and began + 1 + SKEW < created)
    ahead = told - SKEW > ending.at or (NEVER != ready < began - SKEW)
    if behind or ahead:
        return None
    lo = min(max(alive, told), ending.at)
    return Span(lo, max(lo, min(told + 1, ending.at)))


def _alive(seen: Exchange) -> float:
    """The last time at which an exchange shows that somebody was there."""
    answered = seen.end if seen.answered else seen.first
    return max(answered, NEVER if seen.held else seen.connected)


def _signal(timeline: Timeline, end: Span, *, interrupted: bool) -> Span:
    """When the signal reached the application: not before it was sent, not after it showed."""
    asked = timeline.moment("stopping")
    asked = asked if NEVER != asked <= timeline.stopped else timeline.stopped
    if interrupted:  # sending takes seconds: a container has to start for it
        sent = timeline.moment("sent")
        return _shown(
            timeline, Span(timeline.stopped, min(end.hi, sent if sent != NEVER else end.hi))
        )
    if timeline.hook is None:
        return _shown(timeline, Span(asked, end.hi))
    lo = asked + timeline.hook
    hi = min([timeline.stopped + timeline.hook + LAG, end.hi, *_signs(timeline, lo)])
    return Span(min(lo, hi), hi)


def _shown(timeline: Timeline, within: Span) -> Span:
    """Between the last new request that was served and the first sign, where there is one."""
    shown = min((at for at in _signs(timeline, within.lo) if at <= within.hi), default=NEVER)
    if shown == NEVER:
        return within
    served = [
        x.start for x in timeline.labelled(KNOCK) if kind_of(x) is Kind.SERVED and x.start < shown
    ]
    return Span(max([within.lo, *served]), shown)


def _signs(timeline: Timeline, after: float) -> Iterator[float]:
    """Times at which the application showed that it knows of its end."""
    usual = any(x.close for x in timeline.labelled(FAST))
    for x in timeline.exchanges:
        shown = _sign(x, usual=usual)
        hidden = x.label == HELD and timeline.hook is None
        if shown >= after and not hidden:
            yield shown
    if timeline.hook is not None:  # otherwise an idle connection may just have timed out
        yield from (m.at for m in timeline.moments if m.name == "closed" and m.at >= after)


def _sign(x: Exchange, *, usual: bool) -> float:
    match kind_of(x):
        case Kind.REFUSED | Kind.BROKEN | Kind.ERROR:
            return x.end
        case Kind.AWAY:
            return x.first
        case Kind.STALLED if x.label == KNOCK:
            return x.start + STALL
        case Kind.SERVED if x.close and not usual and x.label in (KNOCK, HELD):
            return x.first
    return NEVER

"""Slow requests that were in flight when the signal came, proven so, and what became of them.

Queued in the accept backlog is not in flight: a request counts when its first byte had come before
the signal, or when no more were open than the application had shown to work on at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from readiness.drills.arms import SLOW
from readiness.drills.reading import Kind, Seen, kind_of
from readiness.timeline import NEVER, Exchange

MARGIN: Final = 0.5
"""Seconds on both sides of the signal for which a request must be open."""

SLACK: Final = 16
SLIGHT: Final = 0.2
"""So many bytes, and no more than this share, may a framed body be shorter than the shortest sample: it may hold a time
or a number. Where samples differ by more, so may it."""

Samples = Mapping[float, tuple[Exchange, ...]]
"""Slow requests that worked before the signal, by how long they were asked to take."""


@dataclass(frozen=True, slots=True)
class Flight:
    """`owed` are the requests that the drain had time for, `lost` those of them that got no whole
    answer. `reason` says why nothing is proven, when that is so; `observed` what the control saw.
    """

    owed: tuple[Exchange, ...] = ()
    lost: tuple[Exchange, ...] = ()
    reason: str = ""
    observed: str = ""

    @property
    def told(self) -> str:
        """As evidence."""
        return f"{len(self.owed)} in flight, {len(self.lost)} lost;"

    @property
    def cut(self) -> tuple[float, ...]:
        """The lengths of which some were lost."""
        return tuple(sorted({x.seconds for x in self.lost}))

    @property
    def kept(self) -> tuple[float, ...]:
        """The lengths of which none was lost."""
        return tuple(sorted({x.seconds for x in self.owed} - set(self.cut)))


def read_flight(seen: Seen, drain: float) -> Flight:
    """What became of the requests in flight in an arm with a flow of slow ones."""
    slow, signal = seen.timeline.labelled(SLOW), seen.signal
    before = tuple(x for x in slow if x.end <= signal.lo)
    samples = _steady(before)
    if not samples:
        kinds = {str(x.status) if x.answered else str(kind_of(x)) for x in before}
        observed = ", ".join(sorted(kinds)) or "no answer before the signal"
        return Flight(reason="ControlArmFailed", observed=observed)
    working = tuple(
        x for x in slow
        if x.seconds <= max(samples) and x.start < signal.lo < x.end and _arrived(x, seen)
    )  # fmt: skip
    if not working:
        return Flight(reason="NotInFlight")
    owed = tuple(
        x for x in working
        if _straddles(x, samples, seen, drain) and not (x.unframed and x.seconds not in samples)
    )  # fmt: skip
    lost = tuple(x for x in owed if not _whole(x, samples))
    wanted = 2 if seen.timeline.parallel > 2 and {x.seconds for x in slow} <= samples.keys() else 1
    short = len(owed) < wanted and not lost
    return Flight(owed, lost, reason="NotStraddled" if short else "")


def _steady(before: tuple[Exchange, ...]) -> Samples:
    """Only lengths that always worked: a time-out of the server's own is not the shutdown's fault.

    What works for long works for less, so the longest that did bounds what counts.
    """
    by_length: dict[float, tuple[Exchange, ...]] = {}
    for x in before:
        by_length[x.seconds] = (*by_length.get(x.seconds, ()), x)
    return {length: them for length, them in by_length.items() if all(_works(x) for x in them)}


def _works(seen: Exchange) -> bool:
    return kind_of(seen) is Kind.SERVED and seen.status < 400


def _arrived(x: Exchange, seen: Seen) -> bool:
    if x.connected == NEVER:
        return False
    if x.first != NEVER and x.first < seen.signal.lo:
        return True
    together = sum(y.start <= x.start < y.end for y in seen.timeline.labelled(SLOW))
    return together <= max(1, seen.timeline.parallel)


def _straddles(x: Exchange, samples: Samples, seen: Seen, drain: float) -> bool:
    """Open long enough on both sides of the signal, and to be finished before the drain ends."""
    took = [y.end - y.start for y in samples.get(x.seconds, ())] or [x.seconds]
    early = x.start <= seen.signal.lo - MARGIN
    late = x.start + min(took) >= seen.signal.hi + MARGIN
    return early and late and x.start + max(took) <= seen.signal.lo + drain - MARGIN


def _whole(x: Exchange, samples: Samples) -> bool:
    """The status of the control, and a body that is as long as its samples, as far as those are alike.

    Its frame may be whole although it was ended early in good order. One that only the end of its
    connection ends looks whole wherever it is cut: it has to be as long as the shortest sample.
    """
    usual = {y.status for them in samples.values() for y in them}
    if kind_of(x) is not Kind.SERVED or x.status not in usual:
        return False
    return x.size >= _least(samples.get(x.seconds, ()), exact=x.unframed)


def _least(alike: tuple[Exchange, ...], *, exact: bool) -> float:
    """How long an answer must be, by those before the signal: no shorter where these were the same to the byte."""
    sizes = [y.size for y in alike] or [0]
    shortest, bodies = min(sizes), {y.digest for y in alike}
    constant = len(alike) > 1 and len(bodies) == 1 and "" not in bodies
    if exact or constant:
        return shortest
    return shortest - (max(sizes) - shortest) - min(SLACK, SLIGHT * shortest)

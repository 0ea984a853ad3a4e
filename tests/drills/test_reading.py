"""The facts of a timeline, at their thresholds: a little on either side of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.drills.arms import FAST, HELD, KNOCK, SLOW
from readiness.drills.inflight import read_flight
from readiness.drills.reading import Kind, Seen, Span, kind_of, read
from readiness.model import Outcome, Verdict
from readiness.timeline import NEVER, Ending, Exchange, Moment, Timeline

E = 0.01
ZERO = 1_000_000_000.0
KINDS = {
    "served": (Outcome.RESPONSE, 200, True), "503": (Outcome.RESPONSE, 503, True),
    "429": (Outcome.RESPONSE, 429, True), "500": (Outcome.RESPONSE, 500, True),
    "cut": (Outcome.RESPONSE, 200, False), "refused": (Outcome.REFUSED, 0, False),
    "reset": (Outcome.RESET, 0, False), "timeout": (Outcome.TIMEOUT, 0, False),
    "aborted": (Outcome.ABORTED, 0, False), "garbage": (Outcome.MALFORMED, 0, False),
}  # fmt: skip


def seen_of(label: str, start: float, end: float, what: str = "served", **more: Any) -> Exchange:
    outcome, status, whole = KINDS[what]
    connected = NEVER if what == "refused" else start
    first = end if what in ("served", "503", "429", "500", "cut") else NEVER
    made = {"connected": connected, "first": first, "status": status, "whole": whole} | more
    return Exchange(label, 0, 0, start, end=end, outcome=outcome, **made)


def timeline(*exchanges: Exchange, end: float = 23.0, **more: Any) -> Timeline:
    """Deleted at 10, ended with 0."""
    fast = tuple(seen_of(FAST, 1 + n / 10, 1 + n / 10 + E) for n in range(5))
    made = Timeline(
        "waves", epoch=ZERO, stopped=10.0, container="app", exchanges=(*fast, *exchanges),
        endings=(Ending(end + 0.5, "app", 0, finished=ZERO + int(end), started=ZERO),),
    )  # fmt: skip
    return replace(made, **more)


def facts(*exchanges: Exchange, **more: Any) -> Seen:
    found = read(timeline(*exchanges, **more))
    assert isinstance(found, Seen), found
    return found


@pytest.mark.parametrize(
    ("what", "lasts", "more", "kind"),
    [
        ("served", 5, {}, Kind.SERVED),
        ("503", E, {}, Kind.AWAY),
        ("429", E, {}, Kind.AWAY),
        ("500", E, {}, Kind.ERROR),
        ("cut", E, {}, Kind.BROKEN),
        ("refused", E, {}, Kind.REFUSED),
        ("reset", 1 - E, {}, Kind.BROKEN),
        ("reset", 1 + E, {}, Kind.STALLED),
        ("reset", 5, {"seconds": 4.5}, Kind.BROKEN),
        ("reset", 5, {"first": 0.5}, Kind.BROKEN),
        ("timeout", 10, {}, Kind.STALLED),
        ("timeout", 3, {"connected": NEVER}, Kind.VANISHED),
        ("aborted", 1 + E, {}, Kind.STALLED),
        ("aborted", 1 - E, {}, Kind.VANISHED),
        ("garbage", E, {}, Kind.BROKEN),
    ],
)
def test_what_became_of_a_request(
    what: str, lasts: float, more: dict[str, Any], kind: Kind
) -> None:
    assert kind_of(seen_of(KNOCK, 0, lasts, what, **more)) is kind


@pytest.mark.parametrize(
    ("span", "within"),
    [
        (Span(0, 3), True),
        (Span(2, 3 + E), True),
        (Span(3, 3.5), True),
        (Span(3 + E, 3.5), False),
        (Span(3 - E, 5.4), True),
        (Span(3 - E, 5.6), None),
    ],
)
def test_within_a_limit(span: Span, within: bool | None) -> None:
    assert span.within(3) is within


SERVED = [seen_of(KNOCK, 9 + n / 10, 9 + n / 10 + E) for n in range(20)]


@pytest.mark.parametrize(
    ("exchanges", "more", "signal"),
    [
        ([], {}, Span(10, 11)),
        ([], {"moments": (Moment(9.9, "stopping"),)}, Span(9.9, 11)),
        ([], {"hook": 5.0}, Span(15, 16)),
        ([seen_of(KNOCK, 10.2, 10.21, "refused")], {}, Span(10, 10.21)),
        ([seen_of(KNOCK, 9.5, 9.51, "refused")], {}, Span(10, 11)),
        ([seen_of(KNOCK, 10.2, 10.21, "503")], {}, Span(10, 10.21)),
        ([seen_of(KNOCK, 10.2, 10.21, close=True)], {}, Span(10, 10.21)),
        ([seen_of(KNOCK, 9.8, 20, "reset")], {}, Span(10, 10.8)),
        ([seen_of(SLOW, 9, 10.4, "reset", seconds=4.0)], {}, Span(10, 10.4)),
        ([seen_of(SLOW, 9, 10.4, close=True, seconds=1.0)], {}, Span(10, 11)),
        ([], {"moments": (Moment(10.3, "closed", "held 0"),)}, Span(10, 10.3)),
        ([], {"moments": (Moment(9.3, "closed", "held 0"),)}, Span(10, 11)),
        ([*SERVED, seen_of(KNOCK, 16, 16.01, "refused")], {"hook": None}, Span(10.9, 16.01)),
        ([*SERVED, seen_of(HELD, 12, 12.01, "reset", held=True)], {"hook": None}, Span(10, 24)),
        ([*SERVED], {"hook": None, "moments": (Moment(12, "closed", "held 0"),)}, Span(10, 24)),
    ],
)
def test_when_the_signal_came(
    exchanges: list[Exchange], more: dict[str, Any], signal: Span
) -> None:
    found = facts(*exchanges, **more).signal

    assert (found.lo, found.hi) == pytest.approx((signal.lo, min(signal.hi, 23.5)))


def test_an_answer_with_close_is_no_sign_where_every_answer_has_it() -> None:
    fast = tuple(seen_of(FAST, n, n + E, close=True) for n in range(5))
    seen = timeline(exchanges=(*fast, seen_of(KNOCK, 10.2, 10.21, close=True)))
    found = read(seen)

    assert isinstance(found, Seen)
    assert found.signal.hi == 11


@pytest.mark.parametrize(
    ("exchanges", "more", "span"),
    [
        ([], {}, (23, 23.5)),
        ([], {"end": 23.9}, (23, 24)),
        ([seen_of(SLOW, 20, 23.2, seconds=3.2)], {}, (23.2, 23.5)),
        ([seen_of(KNOCK, 23.3, 23.4, "reset")], {}, (23.3, 23.5)),
        ([seen_of(KNOCK, 23.3, 23.4, "refused")], {}, (23, 23.5)),
        ([seen_of(HELD, 23.3, 23.4, "reset", held=True)], {}, (23, 23.5)),
        ([seen_of(SLOW, 20, 24 + 1 - E, seconds=3.2)], {"end": 23.9}, (24.4, 24.4)),
    ],
)
def test_when_the_container_ended(
    exchanges: list[Exchange], more: dict[str, Any], span: tuple[float, float]
) -> None:
    found = facts(*exchanges, **more).exit

    assert (found.lo, found.hi) == pytest.approx(span)


@pytest.mark.parametrize(
    ("alive", "told", "started", "reason"),
    [
        (25.0 - E, 23.5, 0.0, ""),
        (25.0 + E, 23.5, 0.0, "DrillDisturbed"),
        (20.0, 22.0, 0.0, ""),
        (20.0, 22.0 - E, 0.0, "DrillDisturbed"),
        (20.0, 23.5, 2.0, ""),
        (20.0, 23.5, 2.0 - E, "DrillDisturbed"),
        (20.0, 23.5, 6.0, ""),
        (20.0, 23.5, 6.0 + E, "DrillDisturbed"),
    ],
)
def test_clocks_that_differ(alive: float, told: float, started: float, reason: str) -> None:
    seen = timeline(
        seen_of(SLOW, 19, alive, seconds=1.0),
        endings=(Ending(told, "app", 0, finished=ZERO + 23, started=ZERO + started if started else 0),),
        moments=(Moment(4.0, "created"), Moment(5.0, "ready")),
    )  # fmt: skip
    found = read(seen)

    assert (found.reason if isinstance(found, Verdict) else "") == reason


@pytest.mark.parametrize(
    ("code", "seen_at", "killed"),
    [(137, 39 + E, True), (137, 39 - E, False), (143, 40.0, False)],
)
def test_killed_at_grace(code: int, seen_at: float, killed: bool) -> None:
    ending = Ending(seen_at, "app", code, finished=ZERO + int(seen_at) - 1)

    assert facts(endings=(ending,)).killed is killed


CONTROL = [seen_of(SLOW, n / 10, n / 10 + 4, seconds=4.0, size=9) for n in range(2)]
CONTROL += [
    seen_of(SLOW, n / 10, n / 10 + 4, seconds=seconds, size=size, digest=digest)
    for n, (seconds, size, digest) in enumerate(
        [(2.0, 1000, "a"), (2.5, 1000, "a"), (2.5, 1000, "a"), (3.5, 1000, "a"), (3.5, 1100, "b")]
    )
]
REFUSED = seen_of(KNOCK, 10.1, 10.11, "refused")


def flown(*exchanges: Exchange, parallel: int = 8) -> tuple[int, int, str]:
    """(owed, lost, why nothing is proven) around a signal between 10 and 10.11."""
    flight = read_flight(facts(*CONTROL, REFUSED, *exchanges, parallel=parallel), 15.0)
    return len(flight.owed), len(flight.lost), flight.reason


def slow(start: float, end: float, what: str = "served", **more: Any) -> Exchange:
    return seen_of(SLOW, start, end, what, **{"seconds": 4.0, "size": 9} | more)


@pytest.mark.parametrize(
    ("exchanges", "parallel", "expected"),
    [
        ([], 8, (0, 0, "NotInFlight")),
        ([slow(9, 13), slow(9, 13)], 8, (2, 0, "")),
        ([slow(9, 13)], 8, (1, 0, "NotStraddled")),
        ([slow(9, 13)], 2, (1, 0, "")),
        ([slow(9.5, 13.5)], 1, (1, 0, "")),
        ([slow(9.5 + E, 13.5 + E)], 1, (0, 0, "NotStraddled")),
        ([slow(6.61, 10.61)], 1, (1, 0, "")),
        ([slow(6.6, 10.6)], 1, (0, 0, "NotStraddled")),
        ([slow(9, 11, "reset")], 8, (1, 1, "")),
        ([slow(9, 13, "cut"), slow(9, 13)], 8, (2, 1, "")),
        ([slow(9, 13, "500"), slow(9, 13)], 8, (2, 1, "")),
        ([slow(9, 13, status=206), slow(9, 13)], 8, (2, 1, "")),
        ([slow(9, 13, size=10), slow(9, 13, size=8)], 8, (2, 0, "")),
        ([slow(9, 13, size=7), slow(9, 13)], 8, (2, 1, "")),  # ended early, in good order
        (
            [slow(9, 13, size=810, seconds=2.0), slow(9, 13)],
            8,
            (2, 1, ""),
        ),  # at four fifths, in good order
        ([slow(9, 13, size=984, seconds=2.0), slow(9, 13)], 8, (2, 0, "")),  # a number less
        ([slow(9, 13, size=983, seconds=2.0), slow(9, 13)], 8, (2, 1, "")),
        ([slow(9, 13, size=999, seconds=2.5), slow(9, 13)], 8, (2, 1, "")),  # of what never differs
        ([slow(9, 13, size=1000, seconds=2.5, digest="b"), slow(9, 13)], 8, (2, 0, "")),
        (
            [slow(9, 13, size=884, seconds=3.5), slow(9, 13)],
            8,
            (2, 0, ""),
        ),  # of what differs by so much
        ([slow(9, 13, size=883, seconds=3.5), slow(9, 13)], 8, (2, 1, "")),
        ([slow(9, 13, unframed=True), slow(9, 13)], 8, (2, 0, "")),
        ([slow(9, 13, unframed=True, size=8), slow(9, 13)], 8, (2, 1, "")),
        ([slow(8.5, 11.5, unframed=True, seconds=3.0), slow(9, 13)], 2, (1, 0, "")),  # no sample
        ([slow(9, 13), slow(9, 13)], 1, (0, 0, "NotInFlight")),
        ([slow(9, 13, first=9.1), slow(9, 13, first=9.1)], 1, (2, 0, "")),
        ([slow(9, 13, first=10.2), slow(9, 13, first=10.2)], 1, (0, 0, "NotInFlight")),
        ([slow(9, 13, connected=NEVER, first=NEVER)], 1, (0, 0, "NotInFlight")),
        ([slow(9, 20, "reset", seconds=12.0)], 1, (0, 0, "NotInFlight")),
        ([slow(10.2, 11, "reset")], 1, (0, 0, "NotInFlight")),
    ],
)
def test_what_was_in_flight(
    exchanges: list[Exchange], parallel: int, expected: tuple[int, int, str]
) -> None:
    assert flown(*exchanges, parallel=parallel) == expected


def test_what_cannot_be_finished_within_the_drain_is_not_owed() -> None:
    long = [slow(n, n + 12, seconds=12.0) for n in (-3.0, -2.0)]
    cut = slow(9.4, 18, "reset", seconds=12.0)
    seen = facts(*CONTROL, REFUSED, *long, cut, parallel=8)

    assert len(read_flight(seen, 12.0).lost) == 1
    assert read_flight(seen, 11.8).lost == ()


def test_bodies_that_always_differ_are_compared_by_nothing_but_completeness() -> None:
    own = [slow(n / 10, n / 10 + 4, size=9 + n) for n in range(2)]
    after = [slow(9, 13, size=50), slow(9, 13, size=60)]
    found = read_flight(facts(*own, REFUSED, *after, parallel=8), 15.0)

    assert (len(found.owed), found.lost) == (2, ())


def test_an_early_death_that_a_lingering_sidecar_hides_is_no_kill_at_grace() -> None:
    ending = Ending(40.0, "app", 137, finished=ZERO + 12, started=ZERO)
    assert facts(endings=(ending,)).killed is False

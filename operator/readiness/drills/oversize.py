"""The arms of oversize bodies and of the worst case, and what memory did meanwhile.

Bodies are held back just before their end, so that whoever keeps them keeps all at one time. Before
that, as many come one after the other: what a garbage collector or a pool takes for them is there
before it counts. What growth means for a requirement is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from readiness.control import Subject
from readiness.drills.arms import boot_seconds
from readiness.drills.subject import drill_subject
from readiness.model import Outcome
from readiness.quantities import bytes_of
from readiness.script import Arm, DrillRequest
from readiness.step import Body, Boot, Meter, Metered, Pause, Send
from readiness.timeline import NEVER, Exchange, Sample, Timeline
from readiness.workload import app_container

ARM: Final = "oversize"
WORST: Final = "worst-case"
SMALL, AFTER, WARM, MANY = "small", "small-after", "warm", "many"
FRAMINGS: Final = {"length": "announced by Content-Length", "chunked": "chunked"}
PARALLEL: Final = 10
OVER: Final = 1.05
SLACK: Final = 128 * 1024
"""What makes a body oversize, whichever way its limit is rounded."""
MOST: Final = 16 * 1024 * 1024
"""No more of a body is sent: a buffer, on its way to disk, is full long before."""
SURE: Final = 3
"""How much more than may grow is sent, at least: where all of it is kept, nobody doubts it."""
METERED: Final = 0.2
PATIENCE: Final = 40.0
HOLD: Final = 2.0
CALM: Final = 1.5


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory in bytes: the most before bodies came side by side, and the most with each framing."""

    before: int
    during: dict[str, int]

    @property
    def worst(self) -> str:
        """The framing under which it grew most."""
        return max(self.during, key=lambda name: self.during[name])

    def by(self, framing: str) -> int:
        """By how much."""
        return self.during[framing] - self.before


def request_of(subject: Subject, growth: int) -> DrillRequest | None:
    """The arm, where there is a request to send; `growth` are the bytes that memory may grow by."""
    limits = subject.target.limits
    if limits is None or limits.request is None or subject.workload is None:
        return None
    whose, asked = drill_subject(subject), limits.request
    if not whose.port:
        return None
    kind, size = asked.content_type, size_of(limits.body, growth)
    ration = min(size, max(MOST, least_of(growth)))

    def send(label: str, body: Body, times: int = 1, parallel: int = 1) -> Send:
        return Send(label, asked.path, asked.method, times, parallel, body=body)

    small = Body(kind, asked.body)
    bodies = {name: Body(kind, "", size, ration, 0.0, name == "chunked") for name in FRAMINGS}
    held = {n: Body(kind, "", size, ration, HOLD, b.chunked) for n, b in bodies.items()}
    return DrillRequest(whose, Arm(ARM, (
        Meter(METERED), Boot(boot_seconds(subject)), Metered(PATIENCE), send(SMALL, small, times=3),
        *(send(WARM, body, times=PARALLEL // 2) for body in bodies.values()), Pause(CALM),
        *(step for n, b in held.items() for step in (send(n, b, parallel=PARALLEL), Pause(CALM))),
        send(AFTER, small),
    )))  # fmt: skip


def worst_request_of(subject: Subject) -> DrillRequest | None:
    """The arm of the worst case, where one is declared: alone, as its control, then many at a time."""
    load = subject.target.load
    if load is None or load.worst_case is None or subject.workload is None:
        return None
    whose, asked = drill_subject(subject), load.worst_case
    body = Body(asked.content_type, asked.body)
    if asked.size:
        body = Body(asked.content_type, "", bytes_of(asked.size))
    send = Send(SMALL, asked.path, asked.method, times=2, body=body)
    many = replace(send, label=MANY, times=1, parallel=PARALLEL)
    boot = Boot(boot_seconds(subject))
    steps = (Meter(METERED), boot, Metered(PATIENCE), send, Pause(CALM), many, Pause(CALM))
    return DrillRequest(whose, Arm(WORST, steps)) if whose.port else None


def memory_limit(subject: Subject) -> int | None:
    """The limit of the application's container, in bytes; None where there is none to be read."""
    container = app_container(subject.workload or {}, subject.target.container) or {}
    told = ((container.get("resources") or {}).get("limits") or {}).get("memory", "")
    try:
        return bytes_of(str(told))
    except ValueError:
        return None


def size_of(limit: str, growth: int) -> int:
    """Bytes of one body: over the limit, and enough of them to show in memory."""
    return max(int(bytes_of(limit) * OVER) + SLACK, least_of(growth))


def least_of(growth: int) -> int:
    """Bytes of one body that show: all of them side by side are SURE times what may grow."""
    return math.ceil(SURE * growth / PARALLEL)


def loads(seen: Timeline) -> Iterator[Exchange]:
    """Every request that is to be much."""
    return (x for x in seen.exchanges if x.label in (WARM, MANY, *FRAMINGS))


def is_settled(x: Exchange) -> bool:
    """Whether a body was taken as far as it went, or refused: anything but left in the air."""
    return x.answered or x.outcome in (Outcome.ABORTED, Outcome.RESET, Outcome.REFUSED)


def read_growth(seen: Timeline) -> Growth | None:
    """What memory did; None when nobody looked at the time that counts."""
    spans = {name: _span(seen, name) for name in FRAMINGS}
    began, ended = min(s[0] for s in spans.values()), max(s[1] for s in spans.values())
    told = _watched(seen, began, ended)
    before = [s.memory for s in told if s.at < began]
    if not before:
        return None
    return Growth(max(before), {n: _most(told, *span) for n, span in spans.items()})


def read_peak(seen: Timeline) -> int | None:
    """The most memory with many requests at a time; None when nobody looked."""
    began, ended = _span(seen, MANY)
    told = _watched(seen, began, ended)
    return _most(told, began, ended) if told else None


def _watched(seen: Timeline, began: float, ended: float) -> list[Sample]:
    """Samples of memory that leave nothing out between two times; none where they do."""
    told = [s for s in seen.samples if s.memory >= 0]
    whole = NEVER not in (began, seen.blind) and seen.blind <= HOLD
    return told if whole and told and told[0].at <= began and told[-1].at >= ended else []


def _span(seen: Timeline, label: str) -> tuple[float, float]:
    """From the first byte of the first to a little after the last."""
    found = seen.labelled(label)
    if not found:
        return NEVER, NEVER
    return min(x.start for x in found), max(x.end for x in found) + CALM / 2


def _most(told: list[Sample], began: float, ended: float) -> int:
    """The most between two times. A value stands until another is told."""
    known = [s.memory for s in told if s.at <= began][-1:]
    return max(*known, *(s.memory for s in told if began <= s.at <= ended), 0)

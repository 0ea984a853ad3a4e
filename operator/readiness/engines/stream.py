"""Slow streams of requests during real rollouts, in the background: asked by one pass, told to a later one.

Every other request takes a new connection, the others keep one as a client's pool would. It counts
what happened to them and judges nothing; which rollouts are watched is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from readiness.drills.reading import Kind, kind_of
from readiness.engines.dialer import Dialer
from readiness.engines.drill.traffic import Line, Query
from readiness.engines.pace import Pace
from readiness.model import Outcome
from readiness.passages import Passage
from readiness.request import Hop, Stream
from readiness.timeline import Exchange

Key = tuple[str, str]
EVERY: Final = 0.5
LONGEST: Final = 600.0
MOST: Final = 1200
FEWEST: Final = 20
TAIL: Final = 4
"""After the rollout everything must be well again, or what went wrong was not the rollout."""
AT_ONCE: Final = 5
_OURS: Final = (Outcome.DENIED, Outcome.ABORTED)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flow:
    stream: Stream
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Passage | None] | None = None


class Streams:
    """Streams by policy and target; `wake(key)` says that one has ended."""

    def __init__(
        self, dialer: Dialer, pace: Pace, wake: Callable[[Key], None], run_id: Callable[[], str]
    ) -> None:
        self._dialer, self._pace = dialer, pace
        self._wake, self._run_id = wake, run_id
        self._running: dict[tuple[Key, str], _Flow] = {}
        self._passages: dict[Key, list[tuple[str, Passage]]] = {}

    def follow(self, key: Key, streams: Sequence[Stream]) -> None:
        """Starts what begins, ends what is over, drops what is not asked any more. Never waits."""
        asked = {stream.target: stream for stream in streams}
        for (owner, target), flow in tuple(self._running.items()):
            if owner == key:
                self._go_on(key, flow, asked.get(target))
        for stream in streams:
            place = (key, stream.target)
            if stream.begins and stream.hop and place not in self._running:
                self._start(place, stream, stream.hop)

    def passages(self, key: Key) -> list[tuple[str, Passage]]:
        """What has ended since it was asked for last, by target."""
        return self._passages.pop(key, [])

    def forget(self, key: Key) -> None:
        """Stop what runs for a policy that is gone."""
        self.follow(key, ())
        self._passages.pop(key, None)

    async def close(self) -> None:
        """Stop everything."""
        tasks = [flow.task for flow in self._running.values() if flow.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self, key: Key, flow: _Flow, asked: Stream | None) -> None:
        if asked is None or asked.template != flow.stream.template:
            del self._running[key, flow.stream.target]
            if flow.task:
                flow.task.cancel()
        elif asked.over:
            flow.over.set()

    def _start(self, place: tuple[Key, str], stream: Stream, hop: Hop) -> None:
        if len(self._running) >= AT_ONCE:
            log.info("rollout of %s in %s is not watched: %d are", place[1], place[0][0], AT_ONCE)
            return
        flow = self._running[place] = _Flow(stream)
        flow.task = asyncio.create_task(self._flow(place[0][0], flow, hop), name=f"stream {place}")
        flow.task.add_done_callback(lambda task: self._ended(place, flow, task))

    def _ended(
        self, place: tuple[Key, str], flow: _Flow, task: asyncio.Task[Passage | None]
    ) -> None:
        if self._running.get(place) is not flow:
            return
        del self._running[place]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("stream of %s/%s failed: %s", *place[0], type(error).__name__)
        elif (seen := task.result()) is not None:
            self._passages.setdefault(place[0], []).append((place[1], seen))
            self._wake(place[0])

    async def _flow(self, namespace: str, flow: _Flow, hop: Hop) -> Passage | None:
        """Until the rollout is over and a little longer, within its bounds."""
        clock, run = self._dialer.clock, self._run_id()
        zero, left = clock.steady(), TAIL
        seen: list[Exchange] = []
        kept = Line(self._dialer, hop, run, zero)
        try:
            while left and len(seen) < MOST and clock.steady() - zero < LONGEST:
                left -= flow.over.is_set()
                began = clock.steady()
                fresh = len(seen) % 2 == 0 or not kept.reusable
                line = Line(self._dialer, hop, run, zero) if fresh else kept
                async with self._pace.turn(namespace, hop.address):
                    seen.append(await line.send(Query("rollout", flow.stream.path, nth=len(seen))))
                if seen[-1].outcome is Outcome.ABORTED:  # a line keeps a cancellation to itself
                    return None
                if fresh:
                    spare, kept = (kept, line) if len(seen) % 2 == 0 else (line, kept)
                    spare.close()
                await clock.sleep(max(0.0, EVERY - (clock.steady() - began)))
        finally:
            kept.close()
        return passage_of(flow.stream, seen, int(clock.wall()))


def passage_of(stream: Stream, seen: Iterable[Exchange], ended: int) -> Passage | None:
    """What was seen, as far as it says something about the rollout."""
    sent = [x for x in seen if x.outcome not in _OURS]
    lost = [kind for x in sent if (kind := _lost(x, lenient=stream.lenient))]
    well = not any(_lost(x, lenient=stream.lenient) for x in sent[-TAIL:])
    if len(sent) < FEWEST or not well:
        return None
    return Passage(stream.template, ended, len(sent), tuple(sorted(Counter(lost).items())))


def _lost(seen: Exchange, *, lenient: bool) -> str:
    """What became of a request that was not served, in a word."""
    kind = kind_of(seen)
    if kind is Kind.AWAY:
        return "" if lenient or seen.status == 429 else str(kind)
    return "" if kind is Kind.SERVED else str(kind)

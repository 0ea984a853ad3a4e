"""The keyed work queue: which key is worked on when. It knows keys and clocks, no Kubernetes.

A key waits at most once and is worked on by at most one worker; a key added while it is worked on
runs once more afterwards. Failures back off per key, so a poison key never stops the others.
Everything happens on one event loop, in that loop's time.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
FIRST_BACKOFF: Final = 0.005
LONGEST_BACKOFF: Final = 1000.0
log = logging.getLogger(__name__)


class Observer(Protocol[K_contra]):
    """Who wants to know how work goes. Metrics, in the operator."""

    def worked(self, key: K_contra, seconds: float, error: BaseException | None) -> None:
        """One pass over `key` ended."""


@dataclass(frozen=True, slots=True)
class Load:
    """How the queue stands; all times in seconds.

    `waiting` keys are ready to run, the first for `oldest`; `longest` is how long the slowest
    pass has been running, `silence` how long ago any pass ended.
    """

    waiting: int
    working: int
    scheduled: int
    oldest: float
    longest: float
    silence: float


class Queue(Generic[K]):
    """Runs `work(key)` for added keys with at most `workers` at once, each within `deadline`."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        workers: int = 10,
        deadline: float = 60.0,
        observer: Observer[K] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._work, self._workers, self._deadline = work, workers, deadline
        self._observer, self._rng = observer, rng or random.Random()
        self._ready: deque[K] = deque()
        self._since: dict[K, float] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._started: dict[K, float] = {}
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._pushed, self._ended, self._open = 0, 0.0, True
        self._closed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._passes: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: K) -> None:
        """Work on `key` as soon as a worker is free."""
        if not self._open:
            return
        self._due.pop(key, None)
        if key in self._started:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = asyncio.get_running_loop().time()
            self._ready.append(key)
            self._pump()

    def add_at(self, key: K, when: float) -> None:
        """Work on `key` at loop time `when`; of several times the earliest holds."""
        if not self._open or when >= self._due.get(key, float("inf")) or key in self._since:
            return
        self._due[key] = when
        self._pushed += 1
        heapq.heappush(self._heap, (when, self._pushed, key))
        if len(self._heap) > 2 * len(self._due) + 64:  # mostly times that no longer hold
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        if self._heap[0][2] == key:
            self._arm()

    def add_after(self, key: K, delay: float) -> None:
        """Work on `key` after `delay` seconds, at once when there are none."""
        if delay <= 0:
            self.add(key)
        else:
            self.add_at(key, asyncio.get_running_loop().time() + delay)

    def forget(self, key: K) -> None:
        """Drop everything that waits for `key`; a pass under way ends by itself."""
        self._due.pop(key, None)
        self._again.discard(key)
        self._failures.pop(key, None)
        if self._since.pop(key, None) is not None:
            self._ready.remove(key)

    def load(self) -> Load:
        """How the queue stands now."""
        now = asyncio.get_running_loop().time()
        return Load(
            waiting=len(self._ready),
            working=len(self._started),
            scheduled=len(self._due),
            oldest=now - self._since[self._ready[0]] if self._ready else 0.0,
            longest=now - min(self._started.values(), default=now),
            silence=now - self._ended,
        )

    async def run(self) -> None:
        """Work until cancelled, or until `close` and the passes under way have ended."""
        self._ended = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._pump()
            try:
                await self._closed.wait()
            except asyncio.CancelledError:
                self.close()
                raise

    async def drain(self, seconds: float) -> None:
        """Close, and give the passes under way some time to end."""
        self.close()
        if self._passes:
            await asyncio.wait(self._passes, timeout=seconds)

    def close(self) -> None:
        """Take no more keys and drop those that wait; `run` returns after the last pass."""
        self._open = False
        self._ready.clear()
        self._since.clear()
        self._due.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._closed.set()

    def _pump(self) -> None:
        while self._group is not None and self._ready and len(self._started) < self._workers:
            key = self._ready.popleft()
            del self._since[key]
            self._due.pop(key, None)
            self._started[key] = asyncio.get_running_loop().time()
            task = self._group.create_task(self._one(key), name=f"pass {key}")
            self._passes.add(task)
            task.add_done_callback(self._passes.discard)

    async def _one(self, key: K) -> None:
        error: Exception | None = None
        try:
            async with asyncio.timeout(self._deadline):
                await self._work(key)
        except Exception as failure:  # noqa: BLE001 -- one key must never stop the others
            error = failure
        finally:
            self._settle(key, error)

    def _settle(self, key: K, error: Exception | None) -> None:
        self._ended = asyncio.get_running_loop().time()
        if self._observer is not None:
            self._observer.worked(key, self._ended - self._started[key], error)
        del self._started[key]
        if error is None:
            self._failures.pop(key, None)
        else:
            self._retry(key, error)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        self._pump()

    def _retry(self, key: K, error: Exception) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(count - 1, 30))
        delay *= 1.0 - 0.2 * self._rng.random()
        what = f"the deadline of {self._deadline:g} s passed" if _late(error) else str(error)
        expected = getattr(error, "expected", False)
        log.log(
            logging.INFO if expected else logging.WARNING,
            "%s: attempt %d failed, next in %.3g s: %s",
            key,
            count,
            delay,
            what or type(error).__name__,
            exc_info=None if expected or _late(error) else error,
        )
        self.add_after(key, delay)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                self.add(key)
        if self._heap:
            self._arm()


def _late(error: Exception) -> bool:
    return isinstance(error, TimeoutError)

"""How fast probes may leave: per address across all policies, per cluster, in flight, in turn.

Many policies on one Service must not add up to an attack, and one namespace's thousand probes must
not stand before another's only one. Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from readiness.engines.connection import Clock

_TIDY: Final = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests per second to one target, one address and altogether, and at one time.

    A target is paced within its batch; an address across all policies that reach it.

    `share` is how many of `in_flight` one namespace may hold: hanging servers keep theirs long.
    """

    target_rate: float = 2.0
    target_burst: int = 2
    address_rate: float = 2.0
    address_burst: int = 1
    cluster_rate: float = 20.0
    cluster_burst: int = 20
    in_flight: int = 32
    share: int = 8


LIMITS: Final = Limits()


class Bucket:
    """A token bucket as one number: when it would be full again (GCRA)."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._full_at = 0.0

    def delay(self, now: float) -> float:
        """Seconds until a token is there."""
        return max(0.0, self._full_at - self._slack - now)

    def take(self, now: float) -> None:
        """Use one token."""
        self._full_at = max(self._full_at, now) + self._interval

    def is_full(self, now: float) -> bool:
        """Whether it remembers nothing any more."""
        return self._full_at <= now


@dataclass(slots=True)
class _Gate:
    """The way to one address: one request at a time waits at its head."""

    bucket: Bucket
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pace:
    """`async with pace.turn(namespace, address)`: entered when the request may leave."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._cluster = Bucket(limits.cluster_rate, limits.cluster_burst)
        self._slots = asyncio.Semaphore(limits.in_flight)
        self._gates: dict[str, _Gate] = {}
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._usher: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, namespace: str, address: str) -> AsyncIterator[None]:
        """Waits for the address, then for the namespace's turn; holds one slot inside."""
        share = self._shares.setdefault(namespace, asyncio.Semaphore(self.limits.share))
        async with share:  # first: a namespace that hangs must not hold an address others want
            gate = self._gate(address)
            async with gate.lock:
                if delay := gate.bucket.delay(self._clock.steady()):
                    await self._clock.sleep(delay)
                await self._admitted(namespace)
                gate.bucket.take(self._clock.steady())
            try:
                yield
            finally:
                self._slots.release()

    def close(self) -> None:
        """Stop admitting."""
        if self._usher is not None:
            self._usher.cancel()

    def _gate(self, address: str) -> _Gate:
        if address not in self._gates:
            if len(self._gates) >= _TIDY:
                now = self._clock.steady()
                self._gates = {
                    a: g
                    for a, g in self._gates.items()
                    if g.lock.locked() or not g.bucket.is_full(now)
                }
            limits = self.limits
            self._gates[address] = _Gate(Bucket(limits.address_rate, limits.address_burst))
        return self._gates[address]

    async def _admitted(self, namespace: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        if self._usher is None or self._usher.done():
            self._usher = asyncio.create_task(self._admit())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._slots.release()  # admitted and cancelled at once: the slot goes back
            raise

    async def _admit(self) -> None:
        """Let one in per free slot and token, namespaces in turn, until nobody waits."""
        while self._waiting:
            await self._slots.acquire()
            if delay := self._cluster.delay(self._clock.steady()):
                await self._clock.sleep(delay)
            turn = self._next()
            if turn is None:
                self._slots.release()
                continue
            self._cluster.take(self._clock.steady())
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """The first waiter still there of the first namespace, which goes to the end."""
        namespace, turns = next(iter(self._waiting.items()))
        del self._waiting[namespace]
        while turns:
            turn = turns.popleft()
            if not turn.done():
                if turns:
                    self._waiting[namespace] = turns
                return turn
        return None

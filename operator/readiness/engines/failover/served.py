"""The applications of a data service, asked once a second while its primary is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from readiness.engines.dialer import Dialer
from readiness.engines.http import HttpEngine
from readiness.failover import Application
from readiness.request import Hop, HopKind, HttpRequest, Outcome
from readiness.timeline import Served

EVERY: Final = 1.0
IN_A_ROW: Final = 3
"""So many good answers end a time without: errors that come and go are one time."""
SHORT: Final = 4096
REMEMBERED: Final = 12

Ask = Callable[[Application], Awaitable[bool]]
"""Whether an application answers, below 500. Raises nothing."""


def asker(dialer: Dialer, run: str) -> Ask:
    """One exchange after the other, each over a connection of its own."""
    engine = HttpEngine(dialer)

    async def ask(of: Application) -> bool:
        hop = Hop(HopKind.SERVICE, of.name, of.host, of.port, of.address, of.tls)
        answer = await engine.send(HttpRequest(hop, of.path, cap=SHORT), run)
        return answer.outcome is Outcome.RESPONSE and answer.status < 500

    return ask


@dataclass(slots=True)
class Watch:
    """One application under watch."""

    application: Application
    ask: Ask
    now: Callable[[], float]
    asked: int = 0
    down: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None
    good: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            began = self.now()
            self.take(began, well=await self.ask(self.application))
            await asyncio.sleep(max(0.0, EVERY - (self.now() - began)))

    def take(self, began: float, *, well: bool) -> None:
        """An answer to what was asked then."""
        self.asked += 1
        self.good = [*self.good, self.now()] if well else []
        if not well and self.since is None:
            self.since = began
        if self.since is not None and len(self.good) >= IN_A_ROW:
            self.down.append((self.since, self.good[0]))
            self.since, self.down = None, self.down[-REMEMBERED:]

    def ill_for(self) -> float:
        """How long it has not been well."""
        return 0.0 if self.since is None else self.now() - self.since

    def served(self) -> Served:
        """What is to be told."""
        open_ = () if self.since is None else ((self.since, self.now()),)
        return Served(self.application.name, self.asked, (*self.down, *open_), well=not open_)


class Watches:
    """All of them; nobody is asked before `begin`."""

    def __init__(self, applications: Iterable[Application], ask: Ask, now: Callable[[], float]) -> None:  # fmt: skip
        self._all = tuple(Watch(each, ask, now) for each in applications)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def begin(self) -> None:
        """Ask from now on."""
        self._tasks = tuple(asyncio.create_task(each.run(), name=f"ask {each.application.name}") for each in self._all)  # fmt: skip

    async def end(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ill(self) -> tuple[str, ...]:
        """Who was not well at any time."""
        return tuple(each.application.name for each in self._all if each.down or each.since is not None)  # fmt: skip

    def ill_for(self) -> float:
        """How long somebody has not been well."""
        return max((each.ill_for() for each in self._all), default=0.0)

    def served(self) -> tuple[Served, ...]:
        """What is to be told of each."""
        return tuple(each.served() for each in self._all)

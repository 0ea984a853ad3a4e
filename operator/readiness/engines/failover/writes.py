"""The ledger of a failover drill: one write after the other, and what became of those that were acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from readiness.engines.failover.client import Client
from readiness.timeline import Ledger

REMEMBERED: Final = 12
"""How many of the longest gaps are told."""


@dataclass(slots=True)
class Writes:
    """Writes under way. `acknowledged` are their numbers, `last` is when the newest of them was."""

    client: Client
    now: Callable[[], float]
    first: int = 0
    began: float = 0.0
    last: float = 0.0
    ended: float = 0.0
    acknowledged: list[int] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    present: set[int] | None = None
    _stopped: bool = False
    _task: asyncio.Task[None] | None = None

    def begin(self, every: float) -> None:
        """Write from now on."""
        self.began = self.last = self.now()
        self._task = asyncio.create_task(self._write(every), name="ledger")

    async def end(self) -> None:
        """Write no more; the write under way is awaited, so that nobody has to guess about it."""
        self._stopped = True
        if self._task is not None:
            await self._task
        self.ended = self.ended or self.now()

    async def audit(self) -> None:
        """Read back what was acknowledged. Raises OSError where that cannot be done."""
        self.present = await self.client.present(self.acknowledged)

    def ledger(self) -> Ledger:
        """What is to be told."""
        ended = self.ended or self.now()
        gaps = nlargest(REMEMBERED, (*self.gaps, (self.last, ended)), key=lambda g: g[1] - g[0])
        found = len(self.present.intersection(self.acknowledged)) if self.present is not None else 0
        return Ledger(
            self.began, ended, len(self.acknowledged),
            len(self.acknowledged) - found if self.present is not None else 0,
            tuple(sorted(gaps)), read=self.present is not None,
        )  # fmt: skip

    async def _write(self, every: float) -> None:
        number = self.first
        while not self._stopped:
            number += 1
            if await self.client.write(number):
                at = self.now()
                if self.acknowledged:
                    self.gaps.append((self.last, at))
                else:  # until then connections and queues were made
                    self.began = at
                self.acknowledged.append(number)
                self.last = at
                if len(self.gaps) > 10 * REMEMBERED:
                    self.gaps = nlargest(REMEMBERED, self.gaps, key=lambda g: g[1] - g[0])
            await asyncio.sleep(every)

"""The drill's hand on its fault sink, or on the gate of a store: switches it, reads what it saw.

It turns the sink's clock into the drill's. What a call means is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from readiness.drills.codec import load_records
from readiness.drills.sink import Records
from readiness.engines.drill.traffic import Line, Query, once
from readiness.step import Body
from readiness.timeline import Exchange, Problem

LONGEST_ANSWER: Final = 4 * 1024 * 1024
SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Prop:
    """One port of a sink or a gate (0: its first), switched over its control port, to which `open_line` connects."""

    name: str
    open_line: Callable[[], Line]
    port: int = 0

    async def set_mode(self, mode: str, source: str = "", after: int = 0) -> Problem | None:
        """From now on, or after so many requests, it behaves so to one client (by its address) or to everybody."""
        order = {"mode": mode, "port": self.port, "source": source, "after": after}
        _, told = await self._ask("POST", "/mode", json.dumps(order).encode())
        return told if isinstance(told, Problem) else None

    async def records(self, source: str = "") -> Records | Problem:
        """What it has seen, of one client or of all, in seconds since the drill began.

        Two clocks meet half-way between question and answer: right to half of what that took.
        """
        sent, told = await self._ask("GET", "/records")
        if isinstance(told, Problem):
            return told
        between = (sent.start + sent.end) / 2
        try:
            found = load_records(told)
        except ValueError:
            return self._problem("its records cannot be read")
        ahead = between - found.now
        calls = tuple(
            replace(call, at=call.at + ahead, end=call.end + ahead if call.end >= 0 else call.end)
            for call in found.calls
            if source in ("", call.source) and self.port in (0, call.port)
        )
        return replace(found, now=between, calls=calls)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[Exchange, bytes | Problem]:  # fmt: skip
        query = Query("control", path, method, body=Body(text=body.decode()) if body else None, keep=LONGEST_ANSWER + 1, patience=SECONDS)  # fmt: skip
        sent, kept = await once(self.open_line(), query)
        if not sent.answered:
            return sent, self._problem(f"no whole answer ({sent.outcome})")
        if sent.status != 200 or len(kept) > LONGEST_ANSWER:
            return sent, self._problem(_words(kept) or f"status {sent.status}")
        return sent, kept

    def _problem(self, words: str) -> Problem:
        return Problem("Aborted", f"the fault sink {self.name} does not do as told: {words}")


def _words(told: bytes) -> str:
    """The sink's own words for what is wrong with an order."""
    try:
        found: Any = json.loads(told)
        return str(found["problem"])[:200]
    except (ValueError, TypeError, KeyError):
        return ""

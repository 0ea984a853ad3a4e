"""The drill's hand on its fault sink, or on the gate of a store: switches it, reads what it saw.

It turns the sink's clock into the drill's. What a call means is not known here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import h11

from readiness.drills.codec import load_records
from readiness.drills.sink import Records
from readiness.engines.connection import Connection, Trace
from readiness.engines.dialer import Dialer, ending_of
from readiness.engines.guard import DeniedError
from readiness.request import Hop
from readiness.timeline import Problem

LONGEST_ANSWER: Final = 4 * 1024 * 1024
SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What a port is to do: for one client (by its address) or everybody, after so many requests.

    `port` 0 is the first one.
    """

    mode: str
    port: int = 0
    source: str = ""
    after: int = 0


@dataclass(frozen=True, slots=True)
class Control:
    """The control port of one sink or gate. `now` is the drill's clock."""

    dialer: Dialer
    hop: Hop
    now: Callable[[], float]

    async def set_mode(self, fault: Fault) -> Problem | None:
        """From now on, or after these requests, a port behaves so."""
        order = {"mode": fault.mode, "port": fault.port, "source": fault.source, "after": fault.after}  # fmt: skip
        told = await self._ask("POST", "/mode", json.dumps(order).encode())
        return told if isinstance(told, Problem) else None

    async def records(self, source: str = "") -> Records | Problem:
        """What it has seen, of one client or of all, in seconds since the drill began.

        Two clocks meet half-way between question and answer: right to half of what that took.
        """
        asked = self.now()
        told = await self._ask("GET", "/records")
        if isinstance(told, Problem):
            return told
        between = (asked + self.now()) / 2
        try:
            found = load_records(told)
        except ValueError:
            return self._problem("its records cannot be read")
        ahead = between - found.now
        calls = tuple(
            replace(call, at=call.at + ahead, end=call.end + ahead if call.end >= 0 else call.end)
            for call in found.calls
            if source in ("", call.source)
        )
        return replace(found, now=between, calls=calls)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> bytes | Problem:
        line = None
        try:
            async with asyncio.timeout(SECONDS):
                line = await self.dialer.dial(self.hop, Trace())
                status, told = await _exchange(line, self._request(method, path, body), body)
        except (OSError, DeniedError) as error:
            return self._problem(ending_of(error)[1])
        except h11.ProtocolError:
            return self._problem("its answer broke off")
        finally:
            if line is not None:
                line.abort()
        return told if status == 200 else self._problem(_words(told) or f"status {status}")

    def _request(self, method: str, path: str, body: bytes) -> h11.Request:
        headers = [("Host", self.hop.name), ("Content-Length", str(len(body)))]
        return h11.Request(method=method, target=path, headers=headers)

    def _problem(self, words: str) -> Problem:
        return Problem("Aborted", f"the fault sink {self.hop.name} does not do as told: {words}")


async def _exchange(line: Connection, request: h11.Request, body: bytes) -> tuple[int, bytes]:
    http, status, told = h11.Connection(h11.CLIENT), 0, bytearray()
    parts = (http.send(request), http.send(h11.Data(data=body)), http.send(h11.EndOfMessage()))
    line.write(b"".join(part or b"" for part in parts))
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            http.receive_data(await line.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data) and len(told) < LONGEST_ANSWER:
            told += event.data
        else:
            raise h11.RemoteProtocolError("more than a sink says")
    return status, bytes(told)


def _words(told: bytes) -> str:
    """The sink's own words for what is wrong with an order."""
    try:
        found: Any = json.loads(told)
        return str(found["problem"])[:200]
    except (ValueError, TypeError, KeyError):
        return ""

"""Says raw bytes and hears raw bytes, for what no well-formed client would send.

Reading runs beside writing from the start, so an early answer to a long body is never lost. Knows
no HTTP, no control and no policy.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from readiness.engines.connection import READ, Connection, Trace
from readiness.engines.dialer import Dialer, ending_of
from readiness.engines.guard import DeniedError
from readiness.request import Outcome, WireAnswer, WireRequest


@dataclass(slots=True)
class _Heard:
    """What one exchange has come to so far; it survives the deadline."""

    data: bytearray = field(default_factory=bytearray)
    sent: int = 0
    closed_by_peer: bool = False
    error: OSError | None = None


class WireEngine:
    """`await engine.send(request)`: an answer for every request, never an exception."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def send(self, asked: WireRequest) -> WireAnswer:
        """Plays the script, keeps reading for `linger` seconds, stops when the peer does."""
        trace, heard = Trace(), _Heard()
        try:
            line = await self._dialer.dial(asked.hop, trace)
        except (OSError, DeniedError) as error:
            outcome, detail = ending_of(error)
            return WireAnswer(outcome, elapsed=self._since(trace), detail=detail)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._dialer.caps.script):
                    await self._converse(line, asked, heard)
        finally:
            line.abort()
        outcome, detail = _ending_of(heard)
        return WireAnswer(
            outcome,
            data=bytes(heard.data[: self._dialer.caps.wire]),
            sent=heard.sent,
            first_byte=trace.first_byte,
            elapsed=self._since(trace),
            closed_by_peer=heard.closed_by_peer,
            detail=detail,
        )

    def _since(self, trace: Trace) -> float:
        return self._dialer.clock.steady() - trace.start

    async def _converse(self, line: Connection, asked: WireRequest, heard: _Heard) -> None:
        """Ends with the peer's end, or `linger` seconds after our last word."""
        listening = asyncio.create_task(self._listen(line, heard))
        speaking = asyncio.create_task(self._speak(line, asked, heard))
        try:
            await asyncio.wait((listening, speaking), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await asyncio.wait((listening,), timeout=asked.linger)
        finally:
            for task in (listening, speaking):
                task.cancel()
            await asyncio.gather(listening, speaking, return_exceptions=True)

    async def _speak(self, line: Connection, asked: WireRequest, heard: _Heard) -> None:
        for step in asked.script:
            if not isinstance(step, bytes):
                await self._dialer.clock.sleep(step)
            elif not await _write(line, step, heard, patience=asked.linger):
                return
        if asked.half_close:
            line.finish_writing()

    async def _listen(self, line: Connection, heard: _Heard) -> None:
        try:
            while len(heard.data) <= self._dialer.caps.wire and (data := await line.read()):
                heard.data += data
        except OSError as error:
            heard.error = error
        heard.closed_by_peer = line.ended


async def _write(line: Connection, data: bytes, heard: _Heard, *, patience: float) -> bool:
    """Piece by piece; whether all of it was taken. A peer that takes nothing ends the script."""
    for start in range(0, len(data), READ):
        piece = data[start : start + READ]
        left = line.write(piece)
        heard.sent += len(piece) - left
        try:
            async with asyncio.timeout(patience):
                taken = await line.drain()
        except TimeoutError:
            return False
        if not taken:
            return False
        heard.sent += left
    return True


def _ending_of(heard: _Heard) -> tuple[Outcome, str]:
    """RESPONSE when anything was heard, even if the connection then broke."""
    broke = ending_of(heard.error) if heard.error is not None else None
    if heard.data:
        return Outcome.RESPONSE, f"then {broke[1]}" if broke else ""
    if broke:
        return broke
    if heard.closed_by_peer:
        return Outcome.RESET, "the connection was closed without an answer"
    return ending_of(TimeoutError())

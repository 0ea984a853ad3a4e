"""One open connection: bounded reads, exact ends, times taken where things happen.

What `http` and `wire` read and write through. Knows neither HTTP nor where it leads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, cast

READ: Final = 16 * 1024
UNREAD: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as an argument: epoch seconds, a steady clock, and a way to wait."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True)
class Trace:
    """When things happened in one exchange: seconds from `start`, and epoch seconds for `at`.

    Filled in where they happen, so that a busy event loop falsifies no latency.
    """

    start: float = 0.0
    connect: float = 0.0
    first_byte: float = 0.0
    at: float = 0.0


class Connection(asyncio.BufferedProtocol):
    """Reads at most READ bytes at a time and holds at most UNREAD + READ of them.

    `sock` is the plain socket, where there is one: what the peer said before it reset the
    connection is still read from it after a failed write (an early 413 would be lost otherwise).
    """

    def __init__(self, clock: Clock, trace: Trace, sock: socket.socket | None = None) -> None:
        self._clock = clock
        self._trace = trace
        self._sock = sock
        self._view = memoryview(bytearray(READ))
        self._unread = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._blocked = False
        self._paused = False
        self._error: Exception | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Writes go to the kernel or wait; nothing in between is counted as sent."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Always the same READ bytes, however much the peer has sent."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        if not self._trace.first_byte:
            self._trace.first_byte = self._clock.steady() - self._trace.start
            self._trace.at = self._clock.wall()
        self._unread += self._view[:nbytes]
        if len(self._unread) >= UNREAD:
            self._transport.pause_reading()
            self._paused = True
        _wake(self._reader)

    def eof_received(self) -> bool:
        """The peer has finished writing; our side stays open (TLS has no such state)."""
        self.ended = True
        _wake(self._reader)
        return not self._transport.get_extra_info("sslcontext")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what the peer said last is still read."""
        if exc is not None and self._sock is not None:
            with contextlib.suppress(OSError):
                self._unread += self._sock.recv(READ)
        self._error = self._error or exc
        self.ended = True
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self._blocked = False
        _wake(self._writer)

    async def read(self) -> bytes:
        """The next bytes, nothing at the end. Raises the error that broke the connection."""
        if self._unread:
            await asyncio.sleep(0)  # a fast sender must not keep the loop to itself
        elif not self.ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        found = bytes(self._unread[:READ])
        del self._unread[:READ]
        if self._paused and len(self._unread) < UNREAD and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        if not found and self._error is not None:
            raise self._error
        return found

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel; how many it did not take at once."""
        self._transport.write(data)
        return self._transport.get_write_buffer_size()

    async def drain(self) -> bool:
        """Wait until the kernel has taken everything; whether it has."""
        if self._blocked and not self._transport.is_closing():
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        return not self._transport.is_closing()

    def finish_writing(self) -> None:
        """Close our direction where the transport can (not under TLS)."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close in order, sending TLS' farewell."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is unsent or unread."""
        self._transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

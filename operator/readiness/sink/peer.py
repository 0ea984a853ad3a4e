"""HTTP/1.1 as a server speaks it on one connection, in bounded memory and time.

It knows neither modes nor records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import h11

from readiness.sink.port import READ, Guest

HEAD: Final = 16 * 1024
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 120.0
_TLS: Final = 0x16
_VERSIONS: Final = (b"1.0", b"1.1")

Headers = Iterable[tuple[str, str]]


class Peer:
    """The client at the other end: `head`, `body`, `answer`, and again while `more`."""

    def __init__(self, guest: Guest) -> None:
        self._reader = guest.reader
        self._writer = guest.writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD)
        self._first = b""

    @property
    def secure(self) -> bool:
        """Whether it began with TLS, which nobody here speaks."""
        return self._first[:1] == bytes([_TLS])

    @property
    def spoke(self) -> bool:
        """Whether it said anything at all."""
        return bool(self._first)

    async def head(self) -> h11.Request | None:
        """The next request's head; None when there is no further request."""
        event: object = self._http.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._feed()
            async with asyncio.timeout(HEAD_SECONDS):
                event = await self._next()
        if not isinstance(event, h11.Request):
            return None
        if event.http_version not in _VERSIONS:
            raise h11.RemoteProtocolError("another version")  # HTTP/2 begins as if it were HTTP/1
        return event

    async def body(self, keep: int = 0) -> tuple[int, bytes]:
        """How long the request's body is, and its first bytes; the rest is thrown away."""
        size, kept = 0, b""
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        async with asyncio.timeout(BODY_SECONDS):
            while isinstance(event := await self._next(), h11.Data):
                size += len(event.data)
                kept += bytes(event.data[: max(0, keep - len(kept))])
                await asyncio.sleep(0)  # a fast sender must not keep the loop to itself
        return size, kept

    async def begin(self, status: int, length: int, headers: Headers = ()) -> None:
        """The head of an answer."""
        told = [("Content-Type", "application/json"), ("Content-Length", str(length)), *headers]
        await self._write(h11.Response(status_code=status, headers=told))

    async def say(self, data: bytes) -> None:
        """A part of its body."""
        await self._write(h11.Data(data=data))

    async def answer(
        self, status: int, body: bytes, headers: Headers = (), *, bare: bool = False
    ) -> None:
        """All of an answer; `bare` without its body, as HEAD wants it."""
        await self.begin(status, len(body), headers)
        if not bare:
            await self.say(body)
        await self._write(h11.EndOfMessage())

    def more(self) -> bool:
        """Whether the connection may carry another request; prepares for it."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def leaves(self, within: float) -> bool:
        """Wait for the client to hang up, at most these seconds; whether it did."""
        try:
            async with asyncio.timeout(within):
                if not (early := await self._reader.read(READ)):
                    return True
                self._http.receive_data(early)
                await asyncio.sleep(within)  # whoever talks on is not read from: it would pile up
        except TimeoutError:
            pass
        return False

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            await self._feed()
        return event

    async def _feed(self) -> None:
        data = await self._reader.read(READ)
        self._first = self._first or data[:1]
        self._http.receive_data(data)

    async def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

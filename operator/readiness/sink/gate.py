"""The gate in front of a store: passes bytes on, late, not at all, or refuses whoever comes.

`blackhole` freezes: connections are taken and kept, nothing passes, and what waited goes on when
the gate opens again. It knows no store's language.
"""

from __future__ import annotations

import asyncio
from typing import Final

from readiness.drills.sink import Passed
from readiness.sink.port import READ, Guest, Port

MOST_CONNECTIONS: Final = 256
AGAIN: Final = 0.1


class Gate:
    """One port, and the address of the store behind it."""

    def __init__(self, port: Port, host: str, number: int) -> None:
        self.port = port
        self.passed = Passed()
        self._behind = (host, number)

    async def open(self) -> None:
        """Listen once the store takes connections: not before it is there is it Ready."""
        while True:
            try:
                _, writer = await asyncio.open_connection(*self._behind)
            except OSError:
                await asyncio.sleep(AGAIN)
            else:
                writer.close()
                break
        await self.port.start(self._serve)

    async def _serve(self, guest: Guest) -> None:
        self.passed.connections += 1
        await self._passage(guest)  # a store may give up on who connects and says nothing
        reader, writer = await asyncio.open_connection(*self._behind, limit=READ)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._send(guest, writer))
                both.create_task(self._receive(guest, reader))
        except* OSError:
            guest.reset()
        finally:
            writer.transport.abort()

    async def _send(self, guest: Guest, writer: asyncio.StreamWriter) -> None:
        while data := await guest.reader.read(READ):
            await self._passage(guest)
            writer.write(data)
            self.passed.sent += len(data)
            await writer.drain()
        writer.write_eof()

    async def _receive(self, guest: Guest, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(READ):
            await self._passage(guest)
            guest.writer.write(data)
            self.passed.received += len(data)
            await guest.writer.drain()
        await self._passage(guest)
        guest.writer.write_eof()

    async def _passage(self, guest: Guest) -> None:
        """Wait until something may pass."""
        while (mode := self.port.mode(guest.source)).name == "blackhole":
            await self.port.changed()
        if mode.name == "delay":
            await asyncio.sleep(mode.seconds)

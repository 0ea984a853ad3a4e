"""A listening port whose behaviour is switched at run time, for everybody or for one client.

Clients are told apart by their address, so that clones of one drill, side by side, each meet the
faults of their own arm. It bounds how many connections there are and how long one lasts; what is
said on them it does not know.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from readiness.drills.sink import Mode

LIFETIME: Final = 600.0
READ: Final = 16 * 1024
BACKLOG: Final = 128
FAREWELL: Final = 1.0
REFUSE: Final = "refuse"
EVERYBODY: Final = ""


@dataclass(eq=False, slots=True)
class Guest:
    """One connection that came in, and from where."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    source: str

    def reset(self) -> None:
        """End it as a crash would: with a RST instead of a farewell."""
        sock = self.writer.get_extra_info("socket")
        if not self.writer.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Serve = Callable[[Guest], Awaitable[None]]


class Port:
    """One port. `rest` is how it behaves until it is told otherwise, `most` how many it serves."""

    def __init__(self, number: int, rest: str, most: int, host: str | None = None) -> None:
        self.number = number
        self._most = most
        self._host = host
        self._modes = {EVERYBODY: Mode(rest)}
        self._due: dict[str, tuple[int, Mode]] = {}
        self._changed = asyncio.Event()
        self._guests: dict[Guest, asyncio.Task[Any] | None] = {}
        self._server: asyncio.Server | None = None
        self._serve: Serve | None = None

    async def start(self, serve: Serve) -> None:
        """Listen from now on, unless it is told to refuse."""
        self._serve = serve
        await self._settle()

    async def switch(self, mode: Mode, source: str = EVERYBODY, after: int = 0) -> None:
        """Behave so after this many more requests. For everybody, it takes back what holds for one."""
        if after:
            self._modes.setdefault(source, self._modes[EVERYBODY])
            self._due[source] = (after, mode)
            return
        if source == EVERYBODY:
            self._modes.clear()
            self._due.clear()
        self._due.pop(source, None)
        self._modes[source] = mode
        await self._settle()

    def mode(self, source: str) -> Mode:
        """How it behaves to this client."""
        return self._modes.get(source, self._modes[EVERYBODY])

    def take(self, source: str) -> Mode:
        """How it behaves to this request of the client, which counts."""
        key = source if source in self._modes else EVERYBODY
        if key in self._due:
            left, mode = self._due[key]
            self._due[key] = (left - 1, mode)
            if left == 0:
                del self._due[key]
                self._modes[key] = mode
                self._turn()
        return self._modes[key]

    async def changed(self) -> None:
        """Waits until something is switched."""
        await self._changed.wait()

    def close(self) -> None:
        """Listen no more; everybody is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut(self._guests)

    async def _settle(self) -> None:
        self._turn()
        if self._serve is None or self._server or self._modes[EVERYBODY].name == REFUSE:
            return
        self._server = await asyncio.start_server(
            self._accept, self._host, self.number, limit=READ, backlog=BACKLOG
        )
        self.number = self._server.sockets[0].getsockname()[1]

    def _turn(self) -> None:
        """Let whoever waits see the change, and shut out whoever is refused."""
        self._changed.set()
        self._changed = asyncio.Event()
        if self._modes[EVERYBODY].name == REFUSE:
            self.close()
        self._cut(g for g in self._guests if self.mode(g.source).name == REFUSE)

    def _cut(self, guests: Any) -> None:
        for guest in tuple(guests):
            guest.reset()
            if (task := self._guests[guest]) is not None:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = Guest(reader, writer, _address(writer))
        full = len(self._guests) >= self._most
        if self._serve is None or full or self.mode(guest.source).name == REFUSE:
            guest.reset()
            return
        self._guests[guest] = asyncio.current_task()
        try:
            async with asyncio.timeout(LIFETIME):
                await self._serve(guest)
        except (OSError, EOFError):  # a timeout is one, too: the time is up, or the client is gone
            guest.reset()
        except (
            asyncio.CancelledError
        ):  # by us; the task ends here, and asyncio.streams wants no word of it
            guest.reset()
        finally:
            await self._farewell(guest)

    async def _farewell(self, guest: Guest) -> None:
        """Close; whoever does not take what is left to say counts until it is cut off."""
        guest.writer.close()
        try:
            async with asyncio.timeout(FAREWELL):
                await guest.writer.wait_closed()
        except OSError:
            guest.writer.transport.abort()
        finally:
            self._guests.pop(guest, None)


def _address(writer: asyncio.StreamWriter) -> str:
    """An address as the API server spells it: on a port for both families IPv4 comes mapped."""
    found = ipaddress.ip_address((writer.get_extra_info("peername") or ("::",))[0].split("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)

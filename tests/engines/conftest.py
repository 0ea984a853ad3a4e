"""Real servers on loopback, in as many shapes as tests ask for, and engines that may reach them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
import trustme

from readiness.engines.connection import Clock
from readiness.engines.dialer import Caps, Dialer, Trust, build_trust
from readiness.engines.guard import Egress, Guard
from readiness.request import Hop, HopKind

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = Egress(allow=("127.0.0.1", "::1", "localhost", "app.example.test"))
SHORT = Caps(connect=0.7, total=0.7, script=1.0)


@dataclass
class Server:
    """Where it listens, and what it has seen."""

    port: int
    connections: int = 0
    open: int = 0

    def hop(self, *, tls: bool = False, host: str = "app.shop.svc") -> Hop:
        return Hop(HopKind.POD, "app-0", host, self.port, "127.0.0.1", tls, "shop")

    def edge(self, *, tls: bool = False, host: str = "app.example.test") -> Hop:
        return Hop(HopKind.EDGE, host, host, self.port, tls=tls)


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(handler, tls=None)`: a listening server; gone at the end of the test."""
    running: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Server:
        seen = Server(0)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            seen.connections += 1
            seen.open += 1
            try:
                with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                    await handler(reader, writer)
            finally:
                seen.open -= 1
                writer.transport.abort()
                tasks.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, backlog=1024)
        running.append(server)
        seen.port = server.sockets[0].getsockname()[1]
        return seen

    yield start
    for server in running:
        server.close()
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """One request's head."""
    return await reader.readuntil(b"\r\n\r\n")


def says(*parts: bytes | float, then: str = "close") -> Handler:
    """A server that reads a request, sends `parts` (numbers pause), then closes, hangs or resets."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)
        if then == "hang":
            await asyncio.sleep(60)
        if then == "reset":
            await asyncio.sleep(0.05)
            reset(writer)
        if then == "close":
            writer.close()
            await writer.wait_closed()

    return handler


def repeats(start: bytes, again: bytes, pause: float = 0.0) -> Handler:
    """A server that never stops saying `again`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return handler


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trust(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Trust:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return build_trust(str(file))


class Names:
    """A resolver with an answer per look-up; counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.fixture
def names() -> type[Names]:
    return Names


@pytest.fixture
def dialer(trust: Trust) -> Dialer:
    """Reaches loopback because its configuration says so; every name resolves to it."""
    return Dialer(Guard(LOOPBACK, Names(["127.0.0.1"])), trust, caps=SHORT, clock=Clock())

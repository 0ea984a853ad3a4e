"""The bounds of one connection, one by one: pieces, turns, back-pressure, last words, deadlines."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from readiness.engines.connection import READ, UNREAD, Connection, Trace
from readiness.engines.dialer import Dialer, Trust
from readiness.engines.guard import Guard
from readiness.request import Hop, HopKind

from .conftest import LOOPBACK, SHORT, Server

LAST_WORDS = b"HTTP/1.1 413 Content Too Large\r\n\r\n"


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(65536))
        await writer.drain()
        await asyncio.sleep(0)


@pytest.fixture
async def flooded(serve: Any, dialer: Dialer) -> Any:
    """A connection that nobody has read from for a while."""
    server: Server = await serve(flood)
    line = await dialer.dial(server.hop(), Trace())
    await asyncio.sleep(0.1)
    yield line
    line.abort()


async def test_what_is_not_read_stays_with_the_kernel(flooded: Connection) -> None:
    assert UNREAD <= len(flooded._unread) < UNREAD + READ
    total = 0
    while total < 10 * UNREAD:  # and it flows again once somebody reads
        total += len(await flooded.read())


async def test_pieces_are_small_and_others_have_turns_between_them(flooded: Connection) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    pieces = [await flooded.read() for _ in range(4)]
    waiting.cancel()
    assert [len(piece) for piece in pieces] == [16 * 1024] * 4
    assert turns >= 3


async def test_what_the_peer_said_before_its_reset_is_still_heard(dialer: Dialer) -> None:
    """The write fails before the loop has seen that there is something to read."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer_and_reset() -> None:
        peer, _ = listening.accept()
        peer.recv(1)
        peer.sendall(LAST_WORDS)
        peer.close()  # with unread bytes: the kernel sends RST

    thread = threading.Thread(target=answer_and_reset)
    thread.start()
    hop = Hop(HopKind.POD, "app-0", "app", listening.getsockname()[1], "127.0.0.1")
    line = await dialer.dial(hop, Trace())
    line.write(bytes(1000))
    thread.join()
    time.sleep(0.05)  # noqa: ASYNC251 -- the loop must not run: it would read in time
    for _ in range(3):
        line.write(bytes(1000))
    assert await line.read() == LAST_WORDS
    with pytest.raises(ConnectionError):
        await line.read()
    line.abort()
    listening.close()


@pytest.mark.parametrize("tls", [True, False])
async def test_connecting_has_a_deadline_of_its_own(serve: Any, trust: Trust, tls: bool) -> None:
    async def silent(*_: object) -> None:
        await asyncio.sleep(60)

    async def lookup(host: str, port: int) -> list[str]:
        await asyncio.sleep(0 if tls else 60)
        return ["127.0.0.1"]

    server: Server = await serve(silent)
    caps = replace(SHORT, connect=0.1, total=60.0)
    dialer = Dialer(Guard(LOOPBACK, lookup), trust, caps=caps)
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await dialer.dial(server.edge(tls=tls), Trace())
    assert server.connections == int(tls)

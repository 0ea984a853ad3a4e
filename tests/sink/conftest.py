"""A sink on loopback with two upstreams and a gate before an echo server; raw clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from awaited import until

from readiness.sink.control import Sink

GET = b"GET /v1/models?key=s3cret HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/pay HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Rig:
    """A running sink. `store` is what stands behind its gate."""

    sink: Sink
    store: asyncio.Server

    @property
    def port(self) -> int:
        return self.sink.upstreams[0].number

    @property
    def gate(self) -> int:
        return self.sink.gates[0].port.number

    async def order(self, **order: Any) -> dict[str, Any]:
        body = json.dumps(order).encode()
        head = b"POST /mode HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        return told(await say(self.sink.control.number, head + body))

    async def records(self) -> dict[str, Any]:
        return told(
            await say(self.sink.control.number, b"GET /records HTTP/1.1\r\nHost: x\r\n\r\n")
        )

    async def ended(self) -> list[str]:
        """The outcomes of all calls, once none is open."""
        await until(lambda: self.sink.book.calls and all(c.end >= 0 for c in self.sink.book.calls))
        return await self.calls("outcome")

    async def calls(self, *keys: str) -> list[Any]:
        """Some fields of every call."""
        found = [[call[key] for key in keys] for call in (await self.records())["calls"]]
        return [row[0] for row in found] if len(keys) == 1 else found


async def say(port: int, data: bytes, *, source: str = "127.0.0.1") -> bytes:
    """Everything that is answered until the other side closes, or has said a whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(data)
        async with asyncio.timeout(15):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            return head + await reader.readexactly(0 if data.startswith(b"HEAD") else size)
    finally:
        writer.transport.abort()


def told(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A store: says back what it is told, and shuts its direction when the other is shut."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    store = await asyncio.start_server(echo, "127.0.0.1", 0)
    behind = store.sockets[0].getsockname()
    sink = Sink((0, 0), 0, {0: behind}, "127.0.0.1")
    await sink.start()
    found = Rig(sink, store)
    yield found
    sink.close()
    found.store.close()
    await asyncio.sleep(0.05)

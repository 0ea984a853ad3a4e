"""/metrics, /healthz and /readyz. Small on purpose: whoever is slow or talks too much is cut off.

It serves what it is given and knows neither metrics nor health. One connection, one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

REQUEST_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
HEAD_BYTES: Final = 8192
CONNECTIONS: Final = 64
_REASONS: Final = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_THEIR_FAULT: Final = (
    TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: bytes
    content: str = "text/plain; charset=utf-8"

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        head = (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\nContent-Type: {self.content}\r\n"
            f"Content-Length: {len(self.body)}\r\nX-Content-Type-Options: nosniff\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + self.body


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


def verdict(problem: str) -> Page:
    """200 when there is no problem, else 503 naming it."""
    return Page(503 if problem else 200, f"{problem or 'ok'}\n".encode())


class Server:
    """Answers GET and HEAD for a fixed set of paths."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._open: dict[asyncio.StreamWriter, None] = {}

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serves inside the block; yields the port."""
        server = await asyncio.start_server(self._serve, host or None, port, limit=HEAD_BYTES)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = None
        if len(self._open) > CONNECTIONS:  # the oldest goes: whoever is quick gets an answer
            next(iter(self._open)).transport.abort()
        try:
            with suppress(*_THEIR_FAULT):
                await self._answer(reader, writer)
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        page = await self._page(method, path.partition("?")[0])
        answer = page.encoded()
        if method == "HEAD":
            answer = answer[: len(answer) - len(page.body)]
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(answer)
            await writer.drain()

    async def _page(self, method: str, path: str) -> Page:
        if path not in self._pages:
            return Page(404, b"not found\n")
        if method not in ("GET", "HEAD"):
            return Page(405, b"GET or HEAD\n")
        return await self._pages[path]()

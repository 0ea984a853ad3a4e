"""HTTP/1.1 over asyncio: keep-alive, bounded requests, streamed answers, and an orderly end.

It knows no route. `Server.drain` is what SIGTERM should lead to: no new connection, idle ones closed, requests under way
answered with `Connection: close`.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

MAX_HEAD = 16 * 1024
MAX_BODY = 1024 * 1024
IDLE_SECONDS = 75.0  # longer than a load balancer keeps its end open
READ_SECONDS = 10.0
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """What a client asked. Header names are lower case; `tls` says by which listener it came."""

    method: str = "GET"
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    tls: bool = False


@dataclass(frozen=True)
class Response:
    """What it gets. With `stream`, the body is sent in chunks as they come; `delay` holds the answer back."""

    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    stream: Callable[[], AsyncIterator[bytes]] | None = None
    delay: float = 0.0


@dataclass(frozen=True)
class Open:
    """How many connections carry a request, and how many wait for one."""

    busy: int
    idle: int


Application = Callable[[Request], Awaitable[Response]]
Take = Callable[[asyncio.StreamReader, int | None], Awaitable[bytes]]
"""Reads a body of that length, or in chunks (None). Raises BadRequestError for one that is too large."""


class BadRequestError(Exception):
    """A request that is not answered with a page; carries the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server:
    """Listens for one application, on as many ports as `listen` is called for."""

    def __init__(self, application: Application, take: Take | None = None) -> None:
        self._application = application
        self._take = take or take_body
        self._listeners: list[asyncio.Server] = []
        self._idle: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._closing = False

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Accept connections; returns the port, which is a free one for 0."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connection(reader, writer, tls is not None)

        listener = await asyncio.start_server(
            connected, host, port, ssl=tls, limit=MAX_HEAD, backlog=512
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    @property
    def open(self) -> Open:
        """What its connections do."""
        return Open(len(self._open) - len(self._idle), len(self._idle))

    async def drain(self, seconds: float, *, accepts: bool = False, keeps: bool = False) -> bool:
        """Stop accepting, close what is idle, finish what is under way; whether everything ended in time."""
        self._closing = not keeps
        for listener in () if accepts else self._listeners:
            listener.close()
        for writer in () if keeps else tuple(self._idle.values()):
            writer.close()
        under_way = self._open - self._idle.keys() if keeps else self._open
        if not under_way:
            return True
        _, late = await asyncio.wait(under_way, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: bool
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            keep = await self._exchange(
                reader, writer, tls
            )  # a new connection is answered even while draining
            while keep and not self._closing:
                keep = await self._exchange(reader, writer, tls, idle=IDLE_SECONDS)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client went away, was silent for too long, or sent no HTTP
        finally:
            self._open.discard(task)
            writer.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: bool,
        idle: float = 0.0,
    ) -> bool:
        """One request and its answer; whether the connection may carry another."""
        task = asyncio.current_task()
        if idle and task is not None:
            self._idle[task] = writer
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), idle or READ_SECONDS)
        except asyncio.LimitOverrunError:
            await _send(writer, _refusal(431), "GET", keep=False)
            return False
        finally:
            self._idle.pop(task, None)
        try:
            request, keep = await _read(reader, head, tls, self._take)
        except BadRequestError as error:
            await _send(writer, _refusal(error.status), "GET", keep=False)
            return False
        response = await self._application(request)
        keep = keep and not self._closing
        await _send(writer, response, request.method, keep=keep)
        return keep


async def take_body(reader: asyncio.StreamReader, length: int | None) -> bytes:
    """A body that fits: an announced one is refused unread, one in chunks as soon as it is too large."""
    if length is not None:
        if length > MAX_BODY:
            raise BadRequestError(413)
        return await reader.readexactly(length)
    body = bytearray()
    async for chunk in chunks(reader):
        body += chunk
        if len(body) > MAX_BODY:
            raise BadRequestError(413)
    return bytes(body)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The parts of a chunked body, none larger than MAX_HEAD."""
    while size := _size(await reader.readuntil(b"\n")):
        while size:
            part = await reader.readexactly(min(size, MAX_HEAD))
            size -= len(part)
            yield part
        await reader.readexactly(2)
    while (await reader.readuntil(b"\n")).strip():
        pass  # trailers tell nothing


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise BadRequestError(400) from None


async def _read(
    reader: asyncio.StreamReader, head: bytes, tls: bool, take: Take
) -> tuple[Request, bool]:
    """The request, and whether its client wants to keep the connection."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    try:
        method, target, version = first.split(" ")
        headers = _headers(lines)
        length = headers.get("content-length", "0")
    except ValueError:
        raise BadRequestError(400) from None
    if (
        version not in ("HTTP/1.1", "HTTP/1.0")
        or not target.startswith("/")
        or not length.isdigit()
    ):
        raise BadRequestError(400)
    if version == "HTTP/1.1" and "host" not in headers:
        raise BadRequestError(400)
    coding = headers.get("transfer-encoding", "").lower()
    if coding and (coding != "chunked" or "content-length" in headers):
        raise BadRequestError(501 if coding != "chunked" else 400)
    body = await asyncio.wait_for(take(reader, None if coding else int(length)), READ_SECONDS)
    url, options = urlsplit(target), headers.get("connection", "").lower()
    keep = "close" not in options if version == "HTTP/1.1" else "keep-alive" in options
    return Request(method, url.path, dict(parse_qsl(url.query)), headers, body, tls), keep


def _headers(lines: list[str]) -> dict[str, str]:
    """By lower-case name. Raises ValueError for what is no header, or one that stands twice and must not."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if (
            not colon
            or not name
            or name != name.strip()
            or (name.lower() in found and name.lower() in ("content-length", "host"))
        ):
            raise ValueError(line)
        found[name.lower()] = value.strip()
    return found


def _refusal(status: int) -> Response:
    body = json.dumps({"error": HTTPStatus(status).phrase}).encode()
    return Response(
        status, (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")), body
    )


async def _send(
    writer: asyncio.StreamWriter, response: Response, method: str, *, keep: bool
) -> None:
    if response.delay:
        await asyncio.sleep(response.delay)
    headers = [*response.headers, ("Date", formatdate(time.time(), usegmt=True))]
    headers.append(("Connection", "keep-alive" if keep else "close"))
    if response.stream:
        headers.append(("Transfer-Encoding", "chunked"))
    elif response.status not in (204, 304):
        headers.append(("Content-Length", str(len(response.body))))
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        *(f"{k}: {v}" for k, v in headers),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    if method != "HEAD" and response.stream:
        async for part in response.stream():
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    elif method != "HEAD":
        writer.write(response.body)
    await writer.drain()

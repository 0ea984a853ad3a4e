"""Sends one HTTP request and reads what comes back, however hostile.

httpx builds the request and gives the transport its shape; its client is left out on purpose: it
parses hostile cookies and redirect locations although nobody follows them, and would turn a strange
Location into a broken answer. h11 frames, `connection` bounds. Knows no control and no policy.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast
from urllib.parse import quote

import h11
import httpx

from readiness import __version__
from readiness.engines.connection import Connection, Trace
from readiness.engines.dialer import Caps, Dialer, ending_of, printable
from readiness.engines.guard import DeniedError
from readiness.request import HttpAnswer, HttpRequest, Outcome

AGENT: Final = f"readiness-operator/{__version__}"
FRAMING: Final = 64 * 1024  # bytes of chunk framing that an answer may spend, whatever its body
INTERIM: Final = 16
PREFIX: Final = b"HTTP/1."


class EndedError(httpx.TransportError):
    """The exchange ended without a complete, well-formed answer."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


class Transport(httpx.AsyncBaseTransport):
    """One fresh connection per request to the address the guard admits. No proxies, no pool.

    Wants `hop`, `target`, `cap` and `trace` among the request's extensions. Raises EndedError only.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head, with its body as a stream still to be read raw."""
        extensions = request.extensions
        try:
            line = await self._dialer.dial(extensions["hop"], extensions["trace"])
        except (OSError, DeniedError) as error:
            raise EndedError(*ending_of(error)) from None
        room = min(extensions["cap"], self._dialer.caps.body)
        reader = _Reader(line, self._dialer.caps, room)
        with ExitStack() as unless_answered:
            unless_answered.callback(line.abort)
            reader.send(request)
            head = await reader.head()
            unless_answered.pop_all()
        return httpx.Response(head.status_code, headers=list(head.headers), stream=Body(reader))


class _Reader:
    """h11 over one connection, with the caps on what it may be fed."""

    def __init__(self, line: Connection, caps: Caps, room: int) -> None:
        self._line = line
        self._caps = caps
        self._room = room
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=caps.head)
        self._start = b""
        self._fed = 0
        self._ended = False
        self.complete = False

    def send(self, request: httpx.Request) -> None:
        target: bytes = request.extensions["target"]
        head = h11.Request(method=request.method, target=target, headers=request.headers.raw)
        start = self._http.send(head) or b""
        self._line.write(start + (self._http.send(h11.EndOfMessage()) or b""))

    async def head(self) -> h11.Response:
        """The final status and headers, after a few interim answers at most."""
        for _ in range(INTERIM):
            event = await self._next()
            if isinstance(event, h11.Response):
                return self._checked(event)
        raise EndedError(Outcome.MALFORMED, "interim answers without end")

    def _checked(self, event: h11.Response) -> h11.Response:
        size = sum(len(name) + len(value) for name, value in event.headers)
        if len(event.headers) > self._caps.headers or size > self._caps.head:
            raise EndedError(Outcome.MALFORMED, "too many or too long headers")
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """At most the capped number of bytes; `complete` says whether that was all."""
        room = self._room
        self._fed = 0
        while self._fed <= self._room + FRAMING:
            event = await self._next()
            if not isinstance(event, h11.Data):
                self.complete = isinstance(event, h11.EndOfMessage)
                return
            if len(event.data) > room:
                yield bytes(event.data[:room])
                return
            room -= len(event.data)
            yield bytes(event.data)

    def close(self) -> None:
        """In order after a complete answer, at once after anything else."""
        if self.complete:
            self._line.close()
        else:
            self._line.abort()

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._read())
        except h11.RemoteProtocolError:
            raise self._broken() from None
        return event

    async def _read(self) -> bytes:
        try:
            data = await self._line.read()
        except OSError as error:
            raise EndedError(*ending_of(error)) from None
        if len(self._start) < len(PREFIX):
            self._start = (self._start + data)[: len(PREFIX)]
            if not PREFIX.startswith(self._start):
                raise EndedError(Outcome.MALFORMED, "the answer does not begin like HTTP/1.1")
        self._fed += len(data)
        self._ended = not data
        return data

    def _broken(self) -> EndedError:
        """h11's own words are not used: they quote what the server sent."""
        if not self._ended:
            return EndedError(Outcome.MALFORMED, "the answer is not valid HTTP/1.1")
        if not self._start:
            return EndedError(Outcome.RESET, "the connection was closed without an answer")
        return EndedError(Outcome.RESET, "the connection was closed before the answer was complete")


class Body(httpx.AsyncByteStream):
    """What follows the head, read raw: content is never decompressed, so there are no bombs."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._reader.body()

    @property
    def complete(self) -> bool:
        """Whether the body ended where the server said it would."""
        return self._reader.complete

    async def aclose(self) -> None:
        """Close the connection."""
        self._reader.close()


@dataclass(slots=True)
class _Draft:
    """An answer in the making: what has arrived so far survives a deadline or a reset."""

    trace: Trace
    response: httpx.Response | None = None
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def answer(self, outcome: Outcome, detail: str, elapsed: float) -> HttpAnswer:
        head = self.response
        return HttpAnswer(
            outcome=outcome,
            status=head.status_code if head else 0,
            headers=_headers_of(head) if head else (),
            body=bytes(self.body),
            truncated=head is not None and not self.complete,
            at=self.trace.at,
            connect=self.trace.connect,
            first_byte=self.trace.first_byte,
            elapsed=elapsed,
            detail=detail,
        )


class HttpEngine:
    """`await engine.send(request, run)`: an answer for every request, never an exception."""

    def __init__(self, dialer: Dialer) -> None:
        self._transport = Transport(dialer)
        self._dialer = dialer

    async def send(self, asked: HttpRequest, run: str) -> HttpAnswer:
        """One exchange, with `run` in its X-Readiness-Probe header."""
        draft = _Draft(Trace())
        outcome, detail = Outcome.RESPONSE, ""
        try:
            async with asyncio.timeout(self._dialer.caps.total):
                await self._receive(build_request(asked, run, draft.trace), draft)
        except TimeoutError as error:
            if draft.response is None:
                outcome, detail = ending_of(error)
        except EndedError as ended:
            outcome, detail = ended.outcome, ended.detail
        except (httpx.InvalidURL, h11.LocalProtocolError, ValueError):
            outcome = Outcome.MALFORMED
            detail = "host, path or a header of the request holds characters HTTP does not allow"
        finally:
            if draft.response is not None:
                await draft.response.aclose()
        return draft.answer(outcome, detail, self._dialer.clock.steady() - draft.trace.start)

    async def _receive(self, request: httpx.Request, draft: _Draft) -> None:
        draft.response = await self._transport.handle_async_request(request)
        stream = cast("Body", draft.response.stream)
        async for chunk in stream:
            draft.body += chunk
        draft.complete = stream.complete


def build_request(asked: HttpRequest, run: str, trace: Trace) -> httpx.Request:
    """The request as it goes out. A header of the control replaces the prober's own."""
    hop = asked.hop
    given = {name.lower() for name, _ in asked.headers}
    own = (
        ("User-Agent", AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        ("X-Readiness-Probe", run),
    )
    path = asked.path if asked.path.isascii() else quote(asked.path, safe=string.punctuation)
    return httpx.Request(
        asked.method,
        _url_of("https" if hop.tls else "http", hop.host or hop.address, hop.port),
        headers=[*(h for h in own if h[0].lower() not in given), *asked.headers],
        extensions={"hop": hop, "target": path.encode(), "cap": asked.cap, "trace": trace},
    )


@lru_cache(maxsize=512)
def _url_of(scheme: str, host: str, port: int) -> httpx.URL:
    """Only what the Host header needs: the path goes out as written, never normalised."""
    return httpx.URL(scheme=scheme, host=host.strip("[]"), port=port)


def _headers_of(response: httpx.Response) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.decode("latin-1").lower(), printable(value.decode("latin-1")))
        for name, value in response.headers.raw
    )

"""Requests of a drill over HTTP/1.1, each stamped: when connected, first byte, last byte.

Unlike the prober's, a connection may carry more than one request, and an answer may take minutes.
Of bodies only what is asked for is kept. It knows no step and judges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import h11

from readiness.engines.connection import Connection, Trace
from readiness.engines.dialer import Dialer, ending_of
from readiness.engines.drill.bodies import headers_of, is_cut, pieces_of
from readiness.engines.guard import DeniedError
from readiness.engines.http import AGENT
from readiness.model import Outcome
from readiness.request import Hop
from readiness.script import ANSWER_SECONDS
from readiness.step import Body
from readiness.timeline import NEVER, Exchange

LONGEST_BODY: Final = 32 * 1024 * 1024
HEAD: Final = 16 * 1024
DIGEST: Final = 12
BODIED: Final = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class Query:
    """One request to send: under which label, where, and how long the application may take.

    Of the answer's body `keep` bytes are kept. It is given up `patience` seconds after the application
    should have answered.
    """

    label: str
    path: str
    method: str = "GET"
    nth: int = 0
    wave: int = 0
    seconds: float = 0.0
    body: Body | None = None
    keep: int = 0
    patience: float = ANSWER_SECONDS


@dataclass(slots=True)
class _Draft:
    """What has arrived so far: it survives a reset, a deadline and a cancellation."""

    start: float
    connected: float = NEVER
    first: float = NEVER
    status: int = 0
    size: int = 0
    close: bool = False
    whole: bool = False
    unframed: bool = False
    sent: int = 0
    cut: bool = False
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def begin(self, head: h11.Response) -> None:
        """Take in what stands before the body."""
        self.status = head.status_code
        self.close = _closing(head)
        self.unframed = _unframed(head)


class Line:
    """One connection. `send` may be called again after a complete answer, of whose body `kept` is the beginning."""

    def __init__(self, dialer: Dialer, hop: Hop, run: str, zero: float) -> None:
        self._dialer = dialer
        self._hop = hop
        self._run = run
        self._zero = zero
        self._line: Connection | None = None
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
        self._served = 0
        self.kept = b""

    def now(self) -> float:
        """Seconds since the drill began."""
        return self._dialer.clock.steady() - self._zero

    @property
    def reusable(self) -> bool:
        """Whether another request may go over it: connected, answered, and nobody closed it."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return done and self._line is not None and not self._line.ended

    async def closed(self) -> None:
        """Returns when the other side closes an idle connection, or says something unasked on it."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                await self._line.read()

    async def send(self, query: Query) -> Exchange:
        """One exchange, whatever happens to it; cancelled, it is what it was until then."""
        draft = _Draft(self.now())
        outcome, held = Outcome.RESPONSE, self._served > 0
        try:
            waits = query.body.hold if query.body else 0.0
            async with asyncio.timeout(query.seconds + waits + query.patience):
                await self._connect(draft)
                await self._exchange(query, draft)
        except (OSError, DeniedError) as error:
            outcome, _ = ending_of(error)
        except h11.RemoteProtocolError:
            outcome = self._broken(draft)
        except h11.LocalProtocolError:  # the connection cannot be used again
            outcome = Outcome.RESET
        except asyncio.CancelledError:
            outcome = Outcome.ABORTED
        self._served += draft.whole
        if not draft.whole:
            self.close()
        return Exchange(
            query.label, query.nth, query.wave, draft.start, draft.connected, draft.first, self.now(),
            outcome, draft.status, draft.size,
            draft.whole, draft.close, held, query.seconds, draft.unframed, sent=draft.sent,
            digest=draft.hash.hexdigest()[:DIGEST] if query.seconds and draft.whole else "",
        )  # fmt: skip

    def close(self) -> None:
        """Close at once."""
        if self._line is not None:
            self._line.abort()

    async def _connect(self, draft: _Draft) -> None:
        if self._line is None:
            self._line = await self._dialer.dial(self._hop, Trace())
        elif self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        draft.connected = self.now()

    def _broken(self, draft: _Draft) -> Outcome:
        """Why an answer that is no HTTP to its end is none."""
        if draft.cut:
            return Outcome.ABORTED
        ended = self._line is not None and self._line.ended
        return Outcome.RESET if ended else Outcome.MALFORMED

    async def _exchange(self, query: Query, draft: _Draft) -> None:
        """A body is sent while the answer is read, and no further than to its first byte."""
        line, self.kept = self._line, b""
        assert line is not None
        line.write(self._http.send(self._head(query)) or b"")
        if query.body is None:
            line.write(self._http.send(h11.EndOfMessage()) or b"")
            await self._receive(line, draft, query.keep)
            return
        sending = asyncio.ensure_future(self._send_body(line, query.body, draft))
        try:
            await self._receive(line, draft, query.keep, sending.cancel)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _receive(
        self, line: Connection, draft: _Draft, keep: int, answered: Callable[[], object] = bool
    ) -> None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                data = await line.read()
                draft.first = draft.first if draft.first != NEVER or not data else self.now()
                self._http.receive_data(data)
            elif isinstance(event, h11.Response):
                draft.begin(event)
                answered()
            elif isinstance(event, h11.Data):
                draft.size += len(event.data)
                draft.hash.update(event.data)
                self.kept += bytes(event.data[: max(0, keep - len(self.kept))])
                if draft.size > LONGEST_BODY:
                    return
            elif isinstance(event, h11.EndOfMessage):
                draft.whole = True
                return
            elif not isinstance(event, h11.InformationalResponse):
                return

    def _head(self, query: Query) -> h11.Request:
        none = [("Content-Length", "0")] if query.method in BODIED else []
        headers = [
            ("Host", self._hop.host or f"{self._hop.address}:{self._hop.port}"),
            ("User-Agent", AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity"),
            ("X-Readiness-Probe", self._run), *(headers_of(query.body) if query.body else none),
        ]  # fmt: skip
        return h11.Request(method=query.method, target=query.path, headers=headers)

    async def _send_body(self, line: Connection, body: Body, draft: _Draft) -> None:
        """As far as the other side takes it; the last byte after a while, so that the rest lies there at one time."""
        for piece, last in pieces_of(body):
            await asyncio.sleep(body.hold if last else 0)
            line.write(self._http.send(h11.Data(data=piece)) or b"")
            if not await line.drain():
                return
            draft.sent += len(piece)
        if is_cut(body):
            draft.cut = True
            line.abort()
        else:
            line.write(self._http.send(h11.EndOfMessage()) or b"")


async def once(line: Line, query: Query) -> tuple[Exchange, bytes]:
    """One exchange on a line that is closed after it, with what was kept of the answer."""
    try:
        seen = await line.send(query)
    finally:
        line.close()
    return seen, line.kept


def _closing(head: h11.Response) -> bool:
    """Whether the answer announces the end of its connection."""
    words = [value.lower() for name, value in head.headers if name == b"connection"]
    return any(b"close" in value for value in words) or head.http_version == b"1.0"


def _unframed(head: h11.Response) -> bool:
    """Whether only the end of the connection tells where the body ends."""
    names = {name for name, _ in head.headers}
    bodiless = head.status_code in (204, 304)
    return not (bodiless or names & {b"content-length", b"transfer-encoding"})

"""A scripted upstream: answers as its port's mode says, and writes down who asked for what.

Bodies are counted and thrown away, header values and queries are not kept: what an application
sends to its upstreams holds secrets.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import h11

from readiness.drills.sink import Mode
from readiness.sink.peer import Peer
from readiness.sink.port import LIFETIME, Guest, Port
from readiness.timeline import Call

MOST_CALLS: Final = 1000
MOST_CONNECTIONS: Final = 64
LONGEST_PATH: Final = 256
MOST_HEADERS: Final = 48
LONGEST_NAME: Final = 64
TRICKLE_SECONDS: Final = 1.0
TRICKLE_BYTES: Final = 3600


@dataclass(slots=True)
class Book:
    """The calls of all upstreams, the first MOST_CALLS of them."""

    now: Callable[[], float]
    calls: list[Call] = field(default_factory=list)
    missed: int = 0

    def open(self, call: Call) -> int:
        """Write down a call that has begun; its place in the book."""
        if len(self.calls) >= MOST_CALLS:
            self.missed += 1
            return -1
        self.calls.append(call)
        return len(self.calls) - 1

    def close(self, place: int, call: Call) -> None:
        """How it ended."""
        if place >= 0:
            self.calls[place] = replace(call, end=self.now())


class Upstream:
    """What answers on one port."""

    def __init__(self, port: Port, book: Book) -> None:
        self._port = port
        self._book = book

    async def serve(self, guest: Guest) -> None:
        """Every request of one connection."""
        peer = Peer(guest)
        try:
            while (head := await peer.head()) is not None:
                await self._exchange(guest, peer, head)
                if not peer.more():
                    return
        except h11.RemoteProtocolError:
            self._unread(guest, peer)
            guest.reset()

    async def _exchange(self, guest: Guest, peer: Peer, head: h11.Request) -> None:
        call = self._call(guest, head)
        place = self._book.open(call)
        try:
            mode = self._port.take(guest.source)
            size, _ = await peer.body() if mode.name != "reset" else (0, b"")
            call = replace(call, size=size)
            call = await self._play(guest, peer, mode, call)
        except (ConnectionError, h11.ProtocolError):
            call = replace(call, outcome="left")
            raise ConnectionResetError from None
        finally:
            self._book.close(place, call)

    async def _play(self, guest: Guest, peer: Peer, mode: Mode, call: Call) -> Call:
        if mode.name in ("delay", "tarpit"):
            if await peer.leaves(mode.seconds if mode.name == "delay" else LIFETIME):
                guest.reset()
                return replace(call, outcome="left")
        elif mode.name == "trickle":
            await self._trickle(peer, bare=call.method == "HEAD")
        elif mode.name == "reset":
            guest.reset()
            return replace(call, outcome="reset")
        status = mode.status or 200
        if call.method == "CONNECT":  # whoever asks for a tunnel has an agreement with a proxy
            status = 405
        retry = [("Retry-After", f"{mode.seconds:g}")] if mode.status and mode.seconds else []
        told = {"method": call.method, "path": call.path, "size": call.size}
        body = json.dumps(told).encode()
        await peer.answer(status, body, retry, bare=call.method == "HEAD")
        return replace(call, status=status, outcome="answered")

    async def _trickle(self, peer: Peer, *, bare: bool) -> None:
        """An answer that goes on for ever, a byte at a time: no single read takes long."""
        await peer.begin(200, TRICKLE_BYTES)
        while not bare:
            await peer.say(b" ")
            await asyncio.sleep(TRICKLE_SECONDS)

    def _call(self, guest: Guest, head: h11.Request) -> Call:
        values = {name: value.decode("latin-1") for name, value in head.headers}
        names = tuple(name.decode("latin-1")[:LONGEST_NAME] for name, _ in head.headers)
        key = values.get(b"idempotency-key", "")
        return Call(
            self._book.now(), -1.0, self._port.number, guest.source,
            head.method.decode("latin-1")[:LONGEST_NAME],
            head.target.decode("latin-1").partition("?")[0][:LONGEST_PATH],
            headers=names[:MOST_HEADERS],
            content=values.get(b"content-type", "").partition(";")[0].strip()[:LONGEST_NAME],
            key=hashlib.sha256(key.encode()).hexdigest()[:12] if key else "",
        )  # fmt: skip

    def _unread(self, guest: Guest, peer: Peer) -> None:
        """Somebody came and could not be understood."""
        if not peer.spoke:
            return
        now = self._book.now()
        outcome = "tls" if peer.secure else "malformed"
        self._book.open(Call(now, now, self._port.number, guest.source, outcome=outcome))

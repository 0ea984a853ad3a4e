"""The sink as a whole: its ports, and the one over which it is switched and read.

`POST /mode {"mode", "port", "source", "after"}` switches a port (the first, when none is named),
`GET /records` tells what was seen. Whoever reaches the control port may use it: that only the
drill's own pods do is the NetworkPolicy's part.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import h11

from readiness.drills.sink import GATE_MODES, UPSTREAM_MODES, mode_of
from readiness.sink import gate, upstream
from readiness.sink.gate import Gate
from readiness.sink.peer import Peer
from readiness.sink.port import Guest, Port
from readiness.sink.upstream import Book, Upstream

MOST_CONNECTIONS: Final = 16
LONGEST_ORDER: Final = 4096
MOST_AFTER: Final = 1000
Gates = Mapping[int, tuple[str, int]]


class Sink:
    """Ports of upstreams, gates by port, and the control port. `host` None: every address."""

    def __init__(
        self, ports: tuple[int, ...], control: int, gates: Gates, host: str | None = None
    ) -> None:
        began = time.monotonic()
        self.book = Book(lambda: time.monotonic() - began)
        self.control = Port(control, "open", MOST_CONNECTIONS, host)
        self.upstreams = [Port(n, "echo", upstream.MOST_CONNECTIONS, host) for n in ports]
        self.gates = [
            Gate(Port(n, "open", gate.MOST_CONNECTIONS, host), *behind)
            for n, behind in gates.items()
        ]

    async def start(self) -> None:
        """Everything listens; gates as soon as what they guard does."""
        for port in self.upstreams:
            await port.start(Upstream(port, self.book).serve)
        await self.control.start(self._serve)
        await asyncio.gather(*(each.open() for each in self.gates))

    def close(self) -> None:
        """Nothing listens, nobody is connected."""
        for port in (self.control, *self.upstreams, *(each.port for each in self.gates)):
            port.close()

    async def _serve(self, guest: Guest) -> None:
        peer = Peer(guest)
        try:
            if (head := await peer.head()) is not None:
                _, body = await peer.body(LONGEST_ORDER)
                status, told = await self._obey(head.method, head.target, body)
                await peer.answer(status, json.dumps(told).encode(), [("Connection", "close")])
        except h11.ProtocolError:
            guest.reset()

    async def _obey(self, method: bytes, target: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        match (method, target):
            case (b"GET", b"/records"):
                return 200, self._records()
            case (b"POST", b"/mode"):
                problem = await self._switch(body)
                return (400, {"problem": problem}) if problem else (200, {"now": self.book.now()})
        return 404, {"problem": "GET /records or POST /mode"}

    async def _switch(self, body: bytes) -> str:
        """Carry out an order; what is wrong with it."""
        try:
            order = Order(**json.loads(body))
        except (ValueError, TypeError, RecursionError):
            return "an order is a JSON object of mode, port, source and after"
        ports = {port.number: port for port in (*self.upstreams, *(g.port for g in self.gates))}
        port = ports.get(order.port or next(iter(ports)))
        if port is None:
            return f"port must be one of {', '.join(map(str, ports))}"
        modes = UPSTREAM_MODES if port in self.upstreams else GATE_MODES
        mode = mode_of(order.mode, modes)
        if mode is None:
            return f"mode must be one of {', '.join(modes)}; a status is a number from 400 to 599"
        if not 0 <= order.after <= MOST_AFTER:
            return f"after must be a number from 0 to {MOST_AFTER}"
        try:
            await port.switch(mode, order.source, order.after)
        except OSError as error:
            return f"port {port.number} cannot be opened again: {error.strerror}"
        return ""

    def _records(self) -> dict[str, Any]:
        return {
            "now": self.book.now(),
            "missed": self.book.missed,
            "calls": [asdict(call) for call in self.book.calls],
            "gates": {str(each.port.number): asdict(each.passed) for each in self.gates},
        }


@dataclass(frozen=True, slots=True)
class Order:
    """What `POST /mode` says. Raises TypeError for values of another kind."""

    mode: str
    port: int = 0
    source: str = ""
    after: int = 0

    def __post_init__(self) -> None:
        kinds = ((self.mode, str), (self.port, int), (self.source, str), (self.after, int))
        if not all(isinstance(value, kind) for value, kind in kinds):
            raise TypeError


async def run(ports: tuple[int, ...], control: int, gates: Gates) -> int:
    """Serves until SIGTERM."""
    sink = Sink(ports, control, gates)
    serving = asyncio.ensure_future(_forever(sink))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
    sink.close()
    return 0


async def _forever(sink: Sink) -> None:
    await sink.start()
    await asyncio.Event().wait()

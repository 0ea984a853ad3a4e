"""Opens connections, one per request, to the one address the guard admits; names how they end.

The only way out of the operator for anything a tenant can cause.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from readiness.engines.connection import Clock, Connection, Trace
from readiness.engines.guard import Address, DeniedError, Guard
from readiness.request import Hop, HopKind, Outcome

DETAIL: Final = 200
_CONTROLS: Final = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd") | {9: " "}
_UNREACHABLE: Final = {
    errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES, errno.EPERM
}  # fmt: skip
_ENDINGS: Final[tuple[tuple[type[OSError], Outcome, str], ...]] = (
    (socket.gaierror, Outcome.DNS, "the host name does not resolve"),
    (TimeoutError, Outcome.TIMEOUT, "no answer in time"),
    (ConnectionRefusedError, Outcome.REFUSED, "the connection was refused"),
    (ConnectionError, Outcome.RESET, "the connection was reset"),
)


@dataclass(frozen=True, slots=True)
class Caps:
    """What one exchange may cost, in bytes and seconds, whatever is asked.

    `body` is the most that a request's own cap may allow; `wire` and `script` bound raw exchanges.
    """

    head: int = 16 * 1024
    headers: int = 100
    body: int = 2 * 1024 * 1024
    wire: int = 64 * 1024
    connect: float = 5.0
    total: float = 10.0
    script: float = 120.0


CAPS: Final = Caps()
CLOCK: Final = Clock()


@dataclass(frozen=True, slots=True)
class Trust:
    """How TLS peers are judged: the edge by the system's authorities and its host name, pods and
    Services not at all. Their certificates name whatever the mesh or application likes, and the
    address comes from the API server: what is probed there is behaviour, not identity.
    """

    edge: ssl.SSLContext
    inside: ssl.SSLContext


def build_trust(authorities: str | None = None) -> Trust:
    """Both contexts, once per operator: loading the system's authorities takes milliseconds.

    `authorities` is a PEM file that replaces the system's.
    """
    edge = ssl.create_default_context(cafile=authorities)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    inside.check_hostname = False
    inside.verify_mode = ssl.CERT_NONE
    for context in (edge, inside):
        context.set_alpn_protocols(["http/1.1"])
    return Trust(edge, inside)


def printable(text: str, limit: int | None = None) -> str:
    """`text` without C0, C1 and escape characters, cut to `limit` where one is given."""
    return (text if text.isprintable() else text.translate(_CONTROLS))[:limit]


def ending_of(error: BaseException) -> tuple[Outcome, str]:
    """How an exchange ended and the words for it. Text of the other side never gets in."""
    if isinstance(error, DeniedError):
        return Outcome.DENIED, printable(str(error), DETAIL)
    if isinstance(error, ssl.SSLError):
        return Outcome.TLS, printable(f"the TLS handshake failed: {_reason_of(error)}", DETAIL)
    for kind, outcome, text in _ENDINGS:
        if isinstance(error, kind):
            return outcome, text
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Outcome.TIMEOUT, "the address cannot be reached"
    return Outcome.ABORTED, f"the prober failed: {type(error).__name__}"


def _reason_of(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "protocol error").replace("_", " ").lower()


class Dialer:
    """Opens connections: admitted by the guard, within the cap, to exactly the admitted address."""

    def __init__(
        self, guard: Guard, trust: Trust, *, caps: Caps = CAPS, clock: Clock = CLOCK
    ) -> None:
        self.caps = caps
        self.clock = clock
        self._guard = guard
        self._trust = trust

    async def dial(self, hop: Hop, trace: Trace) -> Connection:
        """A fresh connection. Raises DeniedError or OSError, of which ssl.SSLError is one."""
        async with asyncio.timeout(self.caps.connect):
            trace.start = self.clock.steady()
            address = await self._guard.admit(hop)
            trace.start = self.clock.steady()
            sock = await _connected(address, hop.port)
            trace.connect = self.clock.steady() - trace.start
            loop = asyncio.get_running_loop()
            if not hop.tls:
                plain = Connection(self.clock, trace, sock)
                await loop.create_connection(lambda: plain, sock=sock)
                return plain
            _, line = await loop.create_connection(
                lambda: Connection(self.clock, trace),
                sock=sock,
                ssl=self._trust.edge if hop.kind is HopKind.EDGE else self._trust.inside,
                server_hostname=hop.host.removesuffix(".").strip("[]") or str(address),
                ssl_shutdown_timeout=1.0,
            )
            return line


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    with ExitStack() as unless_connected:
        unless_connected.callback(sock.close)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        unless_connected.pop_all()
    return sock

"""What controls may ask of the outside world, and what comes back: values, not sockets.

A control's `ask` returns requests, an engine turns them into answers, its `judge` reads them.
Equal requests of one pass are sent once. Nothing here performs I/O or knows a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from readiness.failover import FailoverRequest
from readiness.inspection import StoreAnswer, StoreRequest
from readiness.model import Outcome
from readiness.script import DrillRequest
from readiness.timeline import Timeline


class HopKind(StrEnum):
    """Which way a request takes to the application."""

    POD = "pod"
    SERVICE = "service"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Hop:
    """One way to reach a target: a pod's address, its Service, or its external URL.

    `address` is the IP to connect to (resolved from the API, never from tenant text); it is
    empty for the edge, whose `host` the engine resolves once and checks. `host` goes into the
    Host header and into SNI. `prefix` is the path of the external URL, put before every path.
    """

    kind: HopKind
    name: str
    host: str
    port: int
    address: str = ""
    tls: bool = False
    namespace: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One well-formed HTTP/1.1 request over one fresh connection.

    `nth` tells deliberate repetitions apart; `after` waits that many seconds after the previous
    request of the same trial; `cap` is how many bytes of body are read and kept.
    """

    hop: Hop
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    nth: int = 0
    after: float = 0.0
    cap: int = 65536


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are lower case, in order, duplicates kept.

    `body` holds at most the request's `cap`, `truncated` says there was more. `at` is the wall clock (epoch
    seconds) at the first byte; `connect`, `first_byte` and `elapsed` are seconds from the start.
    `detail` explains an outcome other than RESPONSE; it is sanitised and never holds a body.
    """

    outcome: Outcome
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    at: float = 0.0
    connect: float = 0.0
    first_byte: float = 0.0
    elapsed: float = 0.0
    detail: str = ""

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((v for k, v in self.headers if k == name), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a header, in order."""
        return tuple(v for k, v in self.headers if k == name)

    @property
    def answered(self) -> bool:
        """Whether a complete status line and headers arrived."""
        return self.outcome is Outcome.RESPONSE


@dataclass(frozen=True, slots=True)
class WireRequest:
    """Raw bytes on one fresh connection, for what no well-formed client would send.

    `script` holds bytes to send and floats to pause (seconds); reading runs beside it from the
    start. `linger` is how long to keep reading after the script; `half_close` shuts our side.
    """

    hop: Hop
    script: tuple[bytes | float, ...]
    linger: float = 5.0
    half_close: bool = False
    nth: int = 0


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """The bytes and times of a raw exchange. `sent` counts bytes accepted by the kernel."""

    outcome: Outcome
    data: bytes = b""
    sent: int = 0
    first_byte: float = 0.0
    elapsed: float = 0.0
    closed_by_peer: bool = False
    detail: str = ""


NetworkRequest = HttpRequest | WireRequest
NetworkAnswer = HttpAnswer | WireAnswer
Request = NetworkRequest | StoreRequest | DrillRequest | FailoverRequest
Answer = NetworkAnswer | StoreAnswer | Timeline
Answers = Mapping[Request, Answer]

__all__ = [
    "Answer", "Answers", "DrillRequest", "FailoverRequest", "Hop", "HopKind", "HttpAnswer", "HttpRequest", "NetworkAnswer", "NetworkRequest",
    "Outcome", "Request", "StoreAnswer", "StoreRequest", "Stream", "Timeline", "Trial", "TrialAnswers", "WireAnswer",
    "WireRequest",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """All requests of one control for one target, run in order and judged together."""

    control: str
    target: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class TrialAnswers:
    """The answers of a finished trial. `at` is the epoch second at which it ended."""

    trial: Trial
    answers: Answers = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """A slow flow of requests through a target's Service while a rollout replaces its pods.

    `begins`: the rollout to `template` has just been seen; `over`: it has ended. `hop` is None
    while there is no way. `lenient`: the path tells health, and may say that a pod is not ready.
    """

    target: str
    template: str
    path: str
    hop: Hop | None = None
    lenient: bool = False
    begins: bool = False
    over: bool = False

"""What a failover drill needs of a data service: to be written to and read as by an application, and to say who leads.

A protocol; `redis.py`, `rabbitmq.py` and `mongodb.py` are three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from readiness.failover import FailoverScript
from readiness.timeline import Problem, ProblemError

CLIENTS: Final[Mapping[str, str]] = {
    "mongodb": "readiness.engines.failover.mongodb",
    "redis": "readiness.engines.failover.redis",
    "rabbitmq": "readiness.engines.failover.rabbitmq",
}
AUTHORITY: Final = "ca.crt"
"""Key of the binding where it speaks TLS: who vouches for its servers."""
KEPT_SECONDS: Final = 3600
"""What a drill wrote, and could not delete, is gone after this."""
WAIT_SECONDS: Final = 1.0
"""How long an application would wait for one answer."""


@dataclass(frozen=True, slots=True)
class View:
    """One look: the pod of the primary, where there is one, and what keeps the service from being whole, in words."""

    primary: str = ""
    unwell: str = ""


class Client(Protocol):
    """One application's view of one data service."""

    async def look(self) -> View:
        """Who leads, and whether every member follows. Raises nothing."""

    async def write(self, number: int) -> bool:
        """Whether a write was acknowledged. Raises nothing, and takes little longer than WAIT_SECONDS."""

    async def present(self, numbers: Sequence[int]) -> set[int]:
        """Which of these writes are there. Raises OSError where that cannot be told."""

    async def clear(self) -> None:
        """Delete everything that was written. Raises OSError where that cannot be done."""

    async def close(self) -> None:
        """Close every connection."""


def build_client(script: FailoverScript, binding: Mapping[str, str]) -> Client:
    """The client of the script's kind; `binding` is what applications are given. Raises ProblemError."""
    try:
        module: Any = import_module(CLIENTS[script.subject.kind])
        client: Client = module.build(script, binding)
    except (KeyError, ImportError) as error:
        words = f"no {script.subject.kind} can be drilled: {error}"
        raise ProblemError(Problem("Refused", words)) from None
    return client

"""One connection to one server of a Redis: to an address, under the name that its certificate has to be for.

Short, bounded, never tried again. Answers come as the server gave them, failures as a word; what is asked and what it
means is known by who asks.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

BROKEN: Final = (RedisError, OSError, TimeoutError)
"""What asking a server may raise."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: where it is, and who vouches for its certificate, by what name; without `trust` there is no TLS."""

    address: str
    port: int
    name: str = ""
    trust: ssl.SSLContext | None = None


def client_of(peer: Peer, seconds: float, user: str = "", password: str = "") -> Redis:
    """A client that answers within `seconds` or not at all; logged in as somebody, or as nobody."""
    options: dict[str, Any] = {
        "host": peer.address, "port": peer.port, "decode_responses": True, "retry": Retry(NoBackoff(), 0),
        "socket_timeout": seconds, "socket_connect_timeout": seconds,
    }  # fmt: skip
    if password:
        options |= {"username": user or None, "password": password}
    if peer.trust is not None:
        options |= {"connection_class": _Named, "trust": peer.trust, "name": peer.name}
    return Redis.from_pool(ConnectionPool(**options))


async def info_of(client: Redis, *sections: str) -> dict[str, str]:
    """What a server says of itself: its lines, not the library's reading of them."""
    client.set_response_callback("INFO", as_is)
    return pairs_of(await client.execute_command("INFO", *sections))


async def has_quorum(client: Redis, group: str) -> bool:
    """Whether a sentinel finds enough others to replace the primary. Raises what asking raises."""
    client.set_response_callback("SENTINEL CKQUORUM", as_is)
    try:
        return bool(await client.execute_command("SENTINEL CKQUORUM", group))
    except NoPermissionError:
        raise
    except ResponseError:
        return False


def as_is(response: Any, **_: Any) -> Any:
    """An answer without the library's reading of it."""
    return response


def pairs_of(text: object) -> dict[str, str]:
    """Lines of names and values."""
    lines = (line.strip() for line in str(text).splitlines() if ":" in line)
    return dict(line.split(":", 1) for line in lines)


def word_of(error: Exception) -> str:
    """What went wrong, in a word."""
    match error:
        case AuthenticationError() | NoPermissionError():
            return "NotPermitted"
        case BusyLoadingError():
            return "Loading"
        case ResponseError():
            return "Refused"
    return "Unreachable"


class _Named(Connection):
    """To an address, where a certificate for a name has to be shown."""

    def __init__(self, *, trust: ssl.SSLContext, name: str, **options: Any) -> None:
        super().__init__(**options)
        self._trust, self._name = trust, name

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._trust, "server_hostname": self._name}  # fmt: skip

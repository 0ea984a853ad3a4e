"""What the application depends on: other services that it calls, stores that it looks at. Nothing of it blocks the loop.

A call is bounded as a whole, what failed at once is repeated a few times after growing gaps that vary by chance, and a POST
carries one key with all its attempts, so that repeating it does no harm.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Headers = Mapping[str, str]
Fetch = Callable[[str, str, Headers], Awaitable[int]]
UNREACHABLE, TOO_LATE = 502, 504
AGAIN = (429, 502, 503)


async def fetch(method: str, url: str, headers: Headers) -> int:
    """The status of the answer. Raises OSError or ValueError when there is none that can be read."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        told = {"Host": parts.netloc, "Connection": "close", "Content-Length": "0", **headers}
        lines = [f"{method} {parts.path or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await writer.drain()
        return int((await reader.readline()).split()[1])
    except IndexError:
        raise ValueError("no status line") from None
    finally:
        writer.close()


async def ping(host: str, port: int) -> bool:
    """Whether a Redis answers. That its port takes connections proves nothing: a frozen one does, too."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"PING\r\n")
        return await reader.read(1) != b""
    finally:
        writer.close()


def wait(attempt: int) -> float:
    """1, 2 and 4 s, each more or less by a quarter."""
    return 2.0**attempt * random.uniform(0.75, 1.25)


@dataclass(frozen=True)
class Manners:
    """How dependencies are treated. `timeout` bounds an attempt, `patience` a look at their health, in seconds."""

    timeout: float = 5.0
    attempts: int = 4
    wait: Callable[[int], float] = wait
    keyed: bool = True
    too_late: int = TOO_LATE
    unreachable: int = UNREACHABLE
    patience: float = 1.0
    fetch: Fetch = fetch
    ping: Callable[[str, int], Awaitable[bool]] = ping


async def call(manners: Manners, method: str, url: str) -> int:
    """The status that the caller is answered: the upstream's, or one that says that there was none."""
    headers = (
        {"Idempotency-Key": secrets.token_hex(8)} if method == "POST" and manners.keyed else {}
    )
    for attempt in range(manners.attempts):
        if attempt:
            await asyncio.sleep(manners.wait(attempt - 1))
        try:
            status = await asyncio.wait_for(manners.fetch(method, url, headers), manners.timeout)
        except TimeoutError:  # it may have been done: what took so long is not asked for again
            return manners.too_late
        except (OSError, ValueError):
            status = manners.unreachable
        if status not in AGAIN:
            return status
    return UNREACHABLE


async def answers(manners: Manners, url: str) -> bool:
    """Whether an upstream answers at all."""
    try:
        return await asyncio.wait_for(manners.fetch("GET", url, {}), manners.patience) < 500
    except (OSError, ValueError, TimeoutError):
        return False


async def reachable(manners: Manners, dependency: str) -> bool:
    """Whether a store with an address, `name=host:port`, answers; one without is always there."""
    host, _, port = dependency.partition("=")[2].rpartition(":")
    try:
        return not host or await asyncio.wait_for(manners.ping(host, int(port)), manners.patience)
    except (OSError, TimeoutError, ValueError):
        return False

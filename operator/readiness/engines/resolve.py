"""Name resolution beside the event loop, in daemon threads: a dead DNS server blocks no exit.

The loop's own executor would be joined at shutdown, and getaddrinfo cannot be interrupted. Knows
nothing about which names or addresses are allowed.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import Final

THREADS: Final = 8


class Resolver:
    """`await resolver(host, port)`: every address of a name, in the system's order."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(THREADS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses as text. Raises socket.gaierror."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()

        def deliver(found: list[str] | OSError) -> None:
            self._free.release()  # here, not in the awaiter: a lookup given up still holds a thread
            if future.cancelled():
                return
            if isinstance(found, OSError):
                future.set_exception(found)
            else:
                future.set_result(found)

        def work() -> None:
            found = _lookup(host, port)
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver, found)

        threading.Thread(target=work, name="resolve", daemon=True).start()
        return await future


def _lookup(host: str, port: int) -> list[str] | OSError:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        return socket.gaierror(socket.EAI_NONAME, "not a host name")
    except OSError as error:
        return error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))

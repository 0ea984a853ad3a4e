"""Data services looked at in the background: a task for each, a look every few seconds, a wake-up when it differs.

One driver module for each kind turns a Look into a Seen; its client library is imported with the
first look. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from readiness.dataservices.order import Look
from readiness.snapshot import Seen

EVERY: Final = 5.0
DEADLINE: Final = 20.0
DRIVERS: Final[Mapping[str, str]] = {
    "mongodb": "readiness.engines.stores.mongodb",
    "redis": "readiness.engines.stores.redis",
    "rabbitmq": "readiness.engines.stores.rabbitmq",
}
Key = tuple[str, str]
Driver = Callable[[Look], Awaitable[Seen]]
log = logging.getLogger(__name__)


def driver_of(kind: str) -> Driver | None:
    """`look` of the module that talks to a kind; None where there is none, or its library is not installed."""
    try:
        module = import_module(DRIVERS[kind])
    except (KeyError, ImportError) as error:
        log.warning("no %s is looked at: %s", kind, error)
        return None
    found: Driver = module.look
    return found


@dataclass(slots=True)
class _Watched:
    look: Look
    task: asyncio.Task[None]
    seen: Seen | None = None


class Stores:
    """Looks under way by policy and service; `wake(key)` says that one saw something new."""

    def __init__(
        self,
        wake: Callable[[Key], None],
        driver: Callable[[str], Driver | None] = driver_of,
        every: float = EVERY,
    ) -> None:
        self._wake, self._driver, self._every = wake, driver, every
        self._watched: dict[tuple[Key, str], _Watched] = {}

    def follow(self, key: Key, looks: Sequence[Look]) -> None:
        """Looks at these services of a policy from now on, and no longer at others."""
        wanted = {look.order.service.name: look for look in looks}
        for owner, service in list(self._watched):
            if owner == key and service not in wanted:
                self._watched.pop((owner, service)).task.cancel()
        for service, look in wanted.items():
            if (watched := self._watched.get((key, service))) is not None:
                watched.look = look
            elif (driver := self._driver(look.kind)) is not None:
                work = self._work((key, service), driver)
                task = asyncio.create_task(work, name=f"look at {key[0]}/{service}")
                self._watched[key, service] = _Watched(look, task)

    def seen(self, key: Key) -> Mapping[str, Seen]:
        """What was last seen, by service; nothing before the first look has ended."""
        found = (
            (service, watched.seen)
            for (owner, service), watched in self._watched.items()
            if owner == key
        )
        return {service: seen for service, seen in found if seen is not None}

    async def close(self) -> None:
        """Stops every look."""
        tasks = [watched.task for watched in self._watched.values()]
        for task in tasks:
            task.cancel()
        self._watched.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, place: tuple[Key, str], driver: Driver) -> None:
        while True:
            watched = self._watched[place]
            try:
                async with asyncio.timeout(DEADLINE):
                    seen = await driver(watched.look)
            except TimeoutError:
                seen = Seen(reason="Unreachable")
            before, watched.seen = watched.seen, seen
            if seen != before:
                self._wake(place[0])
            await asyncio.sleep(self._every)

"""Data services looked at in the background: a task for each, a look every few seconds, a wake-up when it differs.

And told: at most one thing at a time, and nothing more before they have been looked at since. One
driver module for each kind turns a Look into a Seen and a step into a word for what went wrong; its
client library is imported with the first look. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any, Final

from readiness.dataservices.command import Command
from readiness.dataservices.order import Look
from readiness.snapshot import Seen, Told

EVERY: Final = 5.0
DEADLINE: Final = 20.0
TELL_DEADLINE: Final = 60.0
DRIVERS: Final[Mapping[str, str]] = {
    "mongodb": "readiness.engines.stores.mongodb",
    "redis": "readiness.engines.stores.redis",
    "rabbitmq": "readiness.engines.stores.rabbitmq",
}
Key = tuple[str, str]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Driver:
    """What talks to a kind: looks, and carries out an act of that kind; a word says what went wrong."""

    look: Callable[[Look], Awaitable[Seen]]
    tell: Callable[[Look, Any], Awaitable[str]]


def driver_of(kind: str) -> Driver | None:
    """The module that talks to a kind; None where there is none, or its library is not installed."""
    try:
        module = import_module(DRIVERS[kind])
    except (KeyError, ImportError) as error:
        log.warning("no %s is looked at: %s", kind, error)
        return None
    return Driver(module.look, module.tell)


@dataclass(slots=True)
class _Watched:
    look: Look
    driver: Driver
    task: asyncio.Task[None] | None = None
    seen: Seen | None = None
    telling: asyncio.Task[None] | None = None
    told: Told | None = None
    judged: Told | None = None
    """What had been told when the last look began."""
    again: asyncio.Event = field(default_factory=asyncio.Event)

    def view(self) -> Seen | None:
        """The last look, with what was told."""
        busy = self.telling is not None or self.told is not self.judged
        return self.seen and replace(self.seen, busy=busy, told=self.told)

    def stop(self) -> list[asyncio.Task[None]]:
        """Ends both tasks."""
        tasks = [task for task in (self.task, self.telling) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks


class Stores:
    """Looks under way by policy and service; `wake(key)` says that one saw something new."""

    def __init__(
        self,
        wake: Callable[[Key], None],
        driver: Callable[[str], Driver | None] = driver_of,
        every: float = EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wake, self._driver, self._every = wake, driver, every
        self._clock = clock
        self._watched: dict[tuple[Key, str], _Watched] = {}

    def follow(self, key: Key, looks: Sequence[Look]) -> None:
        """Looks at these services of a policy from now on, and no longer at others."""
        wanted = {look.order.service.name: look for look in looks}
        for owner, service in list(self._watched):
            if owner == key and service not in wanted:
                self._watched.pop((owner, service)).stop()
        for service, look in wanted.items():
            if (watched := self._watched.get((key, service))) is not None:
                watched.look = look
            elif (driver := self._driver(look.kind)) is not None:
                self._watched[key, service] = watched = _Watched(look, driver)
                work = self._work((key, service), watched)
                watched.task = asyncio.create_task(work, name=f"look at {key[0]}/{service}")
                watched.task.add_done_callback(partial(self._failed, (key, service)))

    def order(self, key: Key, commands: Sequence[Command]) -> None:
        """Tells services what was decided, unless they are being told something already."""
        for command in commands:
            service = command.look.order.service.name
            watched = self._watched.get((key, service))
            if watched is not None and watched.telling is None:
                work = self._tell(watched, command)
                watched.telling = asyncio.create_task(work, name=f"tell {key[0]}/{service}")
                watched.telling.add_done_callback(_told)

    def seen(self, key: Key) -> Mapping[str, Seen]:
        """What was last seen, by service; nothing before the first look has ended."""
        found = (
            (service, watched.view())
            for (owner, service), watched in self._watched.items()
            if owner == key
        )
        return {service: seen for service, seen in found if seen is not None}

    async def close(self) -> None:
        """Stops everything."""
        tasks = [task for watched in self._watched.values() for task in watched.stop()]
        self._watched.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, place: tuple[Key, str], watched: _Watched) -> None:
        while True:
            watched.again.clear()
            told, before = watched.told, watched.view()
            try:
                async with asyncio.timeout(DEADLINE):
                    seen = await watched.driver.look(watched.look)
            except TimeoutError:
                seen = Seen(reason="Unreachable")
            watched.seen, watched.judged = seen, told
            if watched.view() != before:
                self._wake(place[0])
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await watched.again.wait()

    def _failed(self, place: tuple[Key, str], task: asyncio.Task[None]) -> None:
        """A look that nobody foresaw to fail: nothing is known until a later pass asks for looks anew."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
            if (watched := self._watched.pop(place, None)) is not None:
                watched.stop()

    async def _tell(self, watched: _Watched, command: Command) -> None:
        """A Lease is not a fence: every act bears being told twice."""
        act, error, last = command.tell.act, "it broke off", watched.told
        try:
            async with asyncio.timeout(TELL_DEADLINE):
                error = await watched.driver.tell(command.look, act)
        except TimeoutError:
            error = "TimedOut"
        finally:
            times = last.times + 1 if last and last.act == act else 1
            watched.told = Told(act, error, self._clock(), times)
            watched.telling = None
            watched.again.set()
            name = command.look.order.service.name
            log.info("%s: %s: %s", name, command.tell.does, error or "told")


def _told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", task.get_name(), exc_info=error)

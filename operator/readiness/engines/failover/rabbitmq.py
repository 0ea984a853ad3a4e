"""A RabbitMQ as an application sees it: publishes that are confirmed, to a quorum queue; and who leads that queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

import httpx
import pika

from readiness.dataservices.rabbitmq.reading import (
    Observed,
    disturbances,
    members_of,
    queues_of,
)
from readiness.engines.failover.amqp import Link
from readiness.engines.failover.client import AUTHORITY, KEPT_SECONDS, WAIT_SECONDS, View
from readiness.engines.stores.trust import trusting
from readiness.failover import FailoverScript, StoreSubject

BROKEN: Final = (OSError, TimeoutError)
AGAIN: Final = 0.02
DRY_SECONDS: Final = 3.0
UNSEEN: Final = "its user monitoring is not told of the queue that the drill writes to"
MONITOR: Final = "monitoring"
_NODES: Final = "/api/nodes?columns=name,running,partitions,mem_alarm,disk_free_alarm"
_QUEUES: Final = "/api/queues?disable_stats=true&enable_queue_totals=true"


@dataclass(slots=True)
class RabbitClient:
    """Implements Client. `where` says what to connect to for a name."""

    subject: StoreSubject
    queue: str
    binding: Mapping[str, str]
    where: Callable[[str], str]
    _ring: Iterator[str] = field(init=False)
    _link: Link | None = None
    _found: set[int] = field(default_factory=set)

    @property
    def _authority(self) -> str:
        return self.binding.get(AUTHORITY, "")

    def __post_init__(self) -> None:
        self._ring = cycle(dict.fromkeys((self.binding["host"], *self.subject.hosts)))

    async def look(self) -> View:
        """What the first member that answers tells."""
        for host in self.subject.hosts:
            with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
                seen = await self._read(host)
                queues = {queue.name: queue.leader for queue in seen.queues or ()}
                unseen = self._link is not None and self.queue not in queues
                words = (
                    *disturbances(seen, len(self.subject.hosts)),
                    *((UNSEEN,) if unseen else ()),
                )
                return View(queues.get(self.queue, ""), "; ".join(words))
        return View("", "no member tells of itself")

    async def write(self, number: int) -> bool:
        """Confirmed by a majority of the queue's members."""
        try:
            async with asyncio.timeout(2 * WAIT_SECONDS):
                return await (await self._open()).publish(self.queue, str(number).encode())
        except BROKEN:
            self._hang_up()
            await asyncio.sleep(AGAIN)
            return False

    async def present(self, numbers: Sequence[int]) -> set[int]:
        """Takes every message out, and remembers it: what is asked again is not there again."""
        try:
            async for body in (await self._open()).consume(self.queue, DRY_SECONDS):
                self._found.add(int(body))
        finally:
            self._hang_up()
        return self._found

    async def clear(self) -> None:
        """The queue, with what is left in it."""
        await (await self._open()).delete(self.queue)

    async def close(self) -> None:
        """The connection."""
        self._hang_up()

    async def _read(self, host: str) -> Observed:
        scheme, port = "https" if self._authority else "http", self.subject.management
        async with httpx.AsyncClient(
            base_url=httpx.URL(scheme=scheme, host=self.where(host), port=port),
            auth=(MONITOR, self.binding[MONITOR]),
            timeout=2 * WAIT_SECONDS,
            trust_env=False,
            verify=trusting(self._authority),  # httpx's own takes 20 ms to make
        ) as client:
            nodes, queues = [(await client.get(path)).raise_for_status().json() for path in (_NODES, _QUEUES)]  # fmt: skip
        return Observed(members_of(nodes), queues_of(queues))

    async def _open(self) -> Link:
        """The connection there is, or one to whichever host is next."""
        if self._link is None:
            login = pika.PlainCredentials(self.binding["username"], self.binding["password"])
            host = next(self._ring)
            given = pika.ConnectionParameters(
                self.where(host), int(self.binding["port"]), self.binding["virtual-host"], login, heartbeat=2,
                ssl_options=pika.SSLOptions(trusting(self._authority), host) if self._authority else None,
                socket_timeout=WAIT_SECONDS, stack_timeout=2 * WAIT_SECONDS, connection_attempts=1,
            )  # fmt: skip
            self._link = Link()
            await self._link.open(given)
            kept = {"x-queue-type": "quorum", "x-expires": KEPT_SECONDS * 1000}
            await self._link.declare(self.queue, **kept)
        return self._link

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None


def build(
    script: FailoverScript, binding: Mapping[str, str], where: Callable[[str], str] = str
) -> RabbitClient:
    """Logs in as applications do; looks as the user who may."""
    return RabbitClient(script.subject, f"readiness-drill-{script.run}", binding, where)

"""A Redis with Sentinels as an application sees it: the primary is the one that they name, every time anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from readiness.dataservices.redis.reading import Answer, Observed, observed_of
from readiness.engines.failover.client import AUTHORITY, KEPT_SECONDS, WAIT_SECONDS, View
from readiness.engines.resp import BROKEN, Peer, client_of, has_quorum, info_of
from readiness.engines.stores.trust import trusting
from readiness.failover import FailoverScript, StoreSubject

AGAIN: Final = 0.02
BATCH: Final = 1000
LOOK_SECONDS: Final = 3.0


@dataclass(slots=True)
class RedisClient:
    """Implements Client. `where` says what to connect to for a name."""

    subject: StoreSubject
    run: str
    binding: Mapping[str, str]
    where: Callable[[str], str]
    _primary: Redis | None = None

    async def look(self) -> View:
        """What the Sentinels agree on, and members say of themselves."""
        members = (self._ask(h, self.subject.port, _member_facts) for h in self.subject.hosts)
        sentinels = (self._ask(h, self.subject.sentinel_port, self._sentinel_facts) for h in self.subject.sentinels)  # fmt: skip
        found = await asyncio.gather(*members, *sentinels)
        count = len(self.subject.hosts)
        seen = observed_of(tuple(found[:count]), tuple(found[count:]))
        return View(seen.primary, _unwell(seen))

    async def write(self, number: int) -> bool:
        """Acknowledged by the primary; replicas get it afterwards."""
        try:
            async with asyncio.timeout(2 * WAIT_SECONDS):
                primary = await self._open()
                await primary.set(self._key(number), number, ex=KEPT_SECONDS)
        except BROKEN:
            await self.close()  # the sentinels are asked anew
            await asyncio.sleep(AGAIN)
            return False
        return True

    async def present(self, numbers: Sequence[int]) -> set[int]:
        """As the primary of now has them."""
        found: set[int] = set()
        try:
            primary = await self._open()
            for start in range(0, len(numbers), BATCH):
                part = numbers[start : start + BATCH]
                values = await primary.mget([self._key(number) for number in part])
                found |= {n for n, value in zip(part, values, strict=True) if value is not None}
        except RedisError as error:
            await self.close()
            raise OSError(type(error).__name__) from None
        return found

    async def clear(self) -> None:
        """Whatever bears the run's id, acknowledged or not."""
        try:
            primary = await self._open()
            cursor, begun = 0, False
            while cursor or not begun:
                begun = True
                cursor, found = await primary.scan(cursor, match=f"{self._prefix}*", count=BATCH)
                if found:
                    await primary.unlink(*found)
        except RedisError as error:
            raise OSError(type(error).__name__) from None

    async def close(self) -> None:
        """The connection to the primary."""
        if self._primary is not None:
            with suppress(*BROKEN):
                await self._primary.aclose()
        self._primary = None

    async def _open(self) -> Redis:
        """The primary, as the first sentinel names it that answers. Raises OSError where none does."""
        for host in () if self._primary else self.subject.sentinels:
            with suppress(*BROKEN):
                async with self._client(host, self.subject.sentinel_port) as sentinel:
                    found = await sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self.subject.group)  # fmt: skip
                    self._primary = self._client(found[0], int(found[1]))
                    break
        if self._primary is None:
            raise OSError("no sentinel names a primary")
        return self._primary

    def _client(self, host: str, port: int) -> Redis:
        """Logs in as applications do."""
        known, authority = self.binding, self.binding.get(AUTHORITY)
        trust = trusting(authority) if authority else None
        peer = Peer(self.where(host), port, host, trust)
        return client_of(peer, WAIT_SECONDS, known["username"], known["password"])

    @property
    def _prefix(self) -> str:
        return f"readiness-drill:{self.run}:"

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number}"

    async def _ask(
        self, host: str, port: int, ask: Callable[[Redis], Awaitable[dict[str, Any]]]
    ) -> Answer:
        name = host.partition(".")[0]
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._client(host, port) as client:
                return Answer(name, host, **await ask(client))
        except BROKEN:
            return Answer(name, host, error="Unreachable")

    async def _sentinel_facts(self, client: Redis) -> dict[str, Any]:
        facts = await client.execute_command("SENTINEL MASTER", self.subject.group)
        told = {str(key): str(value) for key, value in facts.items()}
        return {"facts": told, "quorum": await has_quorum(client, self.subject.group)}


def build(
    script: FailoverScript, binding: Mapping[str, str], where: Callable[[str], str] = str
) -> RedisClient:
    """`binding` is what applications are given."""
    return RedisClient(script.subject, script.run, binding, where)


async def _member_facts(client: Redis) -> dict[str, Any]:
    return {"facts": await info_of(client)}


def _unwell(seen: Observed) -> str:
    if not seen.primary:
        return "no majority of the sentinels names a primary"
    told = (f"{each.name} {', '.join(each.reasons)}" for each in seen.everyone if each.reasons)
    return "; ".join(told)

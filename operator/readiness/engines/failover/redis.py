"""A Redis with Sentinels as an application sees it: the primary is the one that they name, every time anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from readiness.dataservices.redis.reading import Answer, Observed, observed_of
from readiness.engines.failover.client import AUTHORITY, KEPT_SECONDS, WAIT_SECONDS, View
from readiness.failover import FailoverScript, StoreSubject

BROKEN: Final = (RedisError, OSError, TimeoutError)
AGAIN: Final = 0.02
BATCH: Final = 1000
LOOK_SECONDS: Final = 3.0


@dataclass(slots=True)
class RedisClient:
    """Implements Client. `where` says what to connect to for a name."""

    subject: StoreSubject
    run: str
    login: Mapping[str, Any]
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
            async for key in primary.scan_iter(match=f"{self._prefix}*", count=BATCH):
                await primary.unlink(key)
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
                sentinel = Redis(
                    host=self.where(host), port=self.subject.sentinel_port, **self.login
                )
                async with sentinel:
                    found = await sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", self.subject.group)  # fmt: skip
                    self._primary = Redis(
                        host=self.where(found[0]), port=int(found[1]), **self.login
                    )
                    break
        if self._primary is None:
            raise OSError("no sentinel names a primary")
        return self._primary

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
            client = Redis(host=self.where(host), port=port, **self.login)
            async with asyncio.timeout(LOOK_SECONDS), client:
                return Answer(name, host, **await ask(client))
        except BROKEN:
            return Answer(name, host, error="Unreachable")

    async def _sentinel_facts(self, client: Redis) -> dict[str, Any]:
        client.set_response_callback("SENTINEL CKQUORUM", _as_is)
        facts = await client.execute_command("SENTINEL MASTER", self.subject.group)
        try:
            quorum = bool(await client.execute_command("SENTINEL CKQUORUM", self.subject.group))
        except ResponseError:
            quorum = False
        return {"facts": {str(key): str(value) for key, value in facts.items()}, "quorum": quorum}


def build(
    script: FailoverScript, binding: Mapping[str, str], where: Callable[[str], str] = str
) -> RedisClient:
    """Logs in as applications do."""
    login: dict[str, Any] = {
        "username": binding["username"], "password": binding["password"], "decode_responses": True,
        "socket_timeout": WAIT_SECONDS, "socket_connect_timeout": WAIT_SECONDS, "retry": Retry(NoBackoff(), 0),
    }  # fmt: skip
    if authority := binding.get(AUTHORITY):
        login |= {"ssl": True, "ssl_ca_data": authority}
    return RedisClient(script.subject, script.run, login, where)


async def _member_facts(client: Redis) -> dict[str, Any]:
    client.set_response_callback("INFO", _as_is)  # its lines, not the library's reading of them
    lines = (line for line in (await client.execute_command("INFO")).splitlines() if ":" in line)
    return {"facts": dict(line.split(":", 1) for line in lines)}


def _as_is(response: Any, **_: Any) -> Any:
    return response


def _unwell(seen: Observed) -> str:
    if not seen.primary:
        return "no majority of the sentinels names a primary"
    told = (f"{each.name} {', '.join(each.reasons)}" for each in seen.everyone if each.reasons)
    return "; ".join(told)

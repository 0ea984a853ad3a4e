"""Jobs in Redis' lists: taken into a list of the worker's own, acknowledged when done, given back when it goes.

A worker holds a lease; when that runs out, whoever looks puts its jobs back. The effect of a job and its
acknowledgement are one script, so that a job that is done again changes nothing.
"""

import asyncio
import secrets
from collections.abc import Mapping

from worker.redis import Redis

LEASE_SECONDS = 5
DONE = """
if redis.call('hsetnx', KEYS[1], 'done', 1) == 1 then redis.call('hincrby', KEYS[1], 'effects', 1) end
redis.call('hset', KEYS[1], 'state', 'done')
redis.call('lrem', KEYS[2], 1, ARGV[1])
"""


class Jobs:
    """The queue as one worker sees it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.worker = secrets.token_hex(4)

    async def start(self, seconds: int) -> str:
        """Put a job into the queue."""
        id_ = secrets.token_hex(4)
        await self.redis("HSET", f"job:{id_}", "seconds", seconds, "state", "queued", "effects", 0)
        await self.redis("LPUSH", "queue", id_)
        return id_

    async def seen(self, id_: str) -> Mapping[str, object] | None:
        """How it is."""
        told = await self.redis("HMGET", f"job:{id_}", "state", "effects")
        return {"id": id_, "state": told[0], "effects": int(told[1])} if told[0] else None

    async def renew(self) -> None:
        """Hold the lease for another while; put back what workers without one had."""
        await self.redis("SADD", "workers", self.worker)
        await self.redis("SET", f"alive:{self.worker}", 1, "EX", LEASE_SECONDS)
        for other in await self.redis("SMEMBERS", "workers"):
            if not await self.redis("EXISTS", f"alive:{other}"):
                await self.give_back(other)
                await self.redis("SREM", "workers", other)

    async def take(self) -> tuple[str, int] | None:
        """The oldest job of the queue and its seconds, from now on this worker's."""
        id_ = await self.redis("LMOVE", "queue", f"taken:{self.worker}", "RIGHT", "LEFT")
        if id_ is None:
            return None
        await self.redis("HSET", f"job:{id_}", "state", "working")
        return id_, int(await self.redis("HGET", f"job:{id_}", "seconds"))

    async def work(self, id_: str, seconds: int) -> None:
        """What takes so long."""
        await asyncio.sleep(seconds)

    async def finish(self, id_: str) -> None:
        """Its effect, and that it is done, at once."""
        await self.redis("EVAL", DONE, 2, f"job:{id_}", f"taken:{self.worker}", id_)

    async def give_back(self, worker: str) -> None:
        """Whatever a worker has not finished is anybody's again."""
        while id_ := await self.redis("LMOVE", f"taken:{worker}", "queue", "LEFT", "RIGHT"):
            await self.redis("HSET", f"job:{id_}", "state", "queued")

    async def leave(self) -> None:
        """This worker goes."""
        await self.give_back(self.worker)
        await self.redis("DEL", f"alive:{self.worker}")
        await self.redis("SREM", "workers", self.worker)

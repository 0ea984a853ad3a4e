"""The worker over lists: starts, sets an empty store up, works until SIGTERM, and ends in order."""

import asyncio
import hashlib
import json
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from specimen.app import as_json, problem
from specimen.http import Request, Response, Server
from specimen.log import Log

from worker.jobs import Jobs
from worker.redis import Redis

IDLE_SECONDS = 0.2


@dataclass(frozen=True)
class Parts:
    """What the worker is made of: how jobs are kept, how its store is set up, how things are told."""

    jobs: type[Jobs]
    set_up: "type[Account]"
    log: Log


class Account:
    """The first account, which is there once."""

    def __init__(self, redis: Redis, tell: Log) -> None:
        self.redis = redis
        self.tell = tell

    async def __call__(self) -> None:
        """Make it, where there is none; hashing takes a while on purpose."""
        if not await self.redis("EXISTS", "account:admin"):
            await self.make()

    async def make(self) -> None:
        """Its hash, in the store."""
        salt = secrets.token_bytes(16)
        hashed = hashlib.pbkdf2_hmac("sha256", b"change-me", salt, 200_000)
        await self.redis("SET", "account:admin", f"{salt.hex()}${hashed.hex()}")
        self.tell("info", "created the first account")


class Worker:
    """One job at a time, until it is told to stop."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._stopping = asyncio.Event()
        self.active: set[str] = set()

    async def run(self) -> None:
        """Take and do jobs."""
        while not self._stopping.is_set():
            taken = await self._jobs.take()
            if taken is None:
                await asyncio.sleep(IDLE_SECONDS)
                continue
            self.active.add(taken[0])
            await self._jobs.work(*taken)
            await self._jobs.finish(taken[0])
            self.active.discard(taken[0])

    async def lease(self) -> None:
        """Stay known as alive."""
        while True:
            await self._jobs.renew()
            await asyncio.sleep(1)

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()


def routes(jobs: Jobs):
    """POST /jobs?seconds=n, GET /jobs/<id>, GET /health."""

    async def answer(request: Request) -> Response:
        if request.path == "/health":
            return as_json({"status": "ok"})
        if (request.method, request.path) == ("POST", "/jobs"):
            told = json.loads(request.body) if request.body else request.query
            return as_json({"id": await jobs.start(int(told.get("seconds", 1)))}, 202)
        if request.path.startswith("/jobs/"):
            seen = await jobs.seen(request.path.removeprefix("/jobs/"))
            return as_json(seen) if seen else problem(request, 404, "no such job")
        return problem(request, 404, "Not found")

    return answer


async def serve(environ: Mapping[str, str], parts: Parts) -> None:
    """Until SIGTERM; then what is under way gets the drain, and what is left is given back."""
    host, _, port = environ.get("QUEUE", "queue:6379").rpartition(":")
    drain = float(environ.get("DRAIN", "15"))
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    jobs = parts.jobs(Redis(host, int(port)))
    await parts.set_up(jobs.redis, parts.log)()
    worker, server = Worker(jobs), Server(routes(jobs))
    await server.listen(environ.get("HOST", ""), int(environ.get("PORT", "8080")))
    lease, working = asyncio.create_task(worker.lease()), asyncio.create_task(worker.run())
    parts.log("info", "listening")
    await stopping.wait()
    worker.stop()
    parts.log("info", "draining", jobs=len(worker.active))
    await asyncio.wait((working, asyncio.create_task(server.drain(drain))), timeout=drain, return_when=asyncio.ALL_COMPLETED)  # fmt: skip
    for task in (working, lease):
        task.cancel()
    await asyncio.gather(working, lease, return_exceptions=True)
    await jobs.leave()
    parts.log("info", "stopped")

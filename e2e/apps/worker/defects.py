"""What a worker can do wrong on purpose, as data: one defect per clause of a criterion.

Each changes one of the parts that the worker is made of; the worker knows of none.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from specimen.log import Log

from worker.jobs import Jobs
from worker.lists import Account, Parts


@dataclass(frozen=True)
class JobDefect:
    """One broken clause."""

    id: str
    clause: str
    fails: Mapping[str, str]
    plant: Callable[[Parts], Parts]
    unproven: Mapping[str, str] = field(default_factory=dict)


def prepared(parts: Parts, ids: tuple[str, ...]) -> Parts:
    """The parts with these defects. Raises KeyError for one that does not exist."""
    for id_ in ids:
        parts = DEFECTS[id_].plant(parts)
    return parts


class AcknowledgedFirst(Jobs):
    """A job leaves the queue when it is taken."""

    async def take(self) -> tuple[str, int] | None:
        taken = await super().take()
        if taken:
            await self.redis("LREM", f"taken:{self.worker}", 1, taken[0])
        return taken


class Kept(Jobs):
    """A worker that goes keeps what it has, and nobody looks."""

    async def give_back(self, worker: str) -> None:
        """Nothing."""


class EffectFirst(Jobs):
    """The effect comes when the work begins, and again when it begins again."""

    async def work(self, id_: str, seconds: int) -> None:
        await self.redis("HINCRBY", f"job:{id_}", "effects", 1)
        await super().work(id_, seconds)

    async def finish(self, id_: str) -> None:
        await self.redis("HSET", f"job:{id_}", "state", "done")
        await self.redis("LREM", f"taken:{self.worker}", 1, id_)


class EffectLater(Jobs):
    """A job that has been given back once has its effect again, a little after it is done."""

    async def give_back(self, worker: str) -> None:
        for id_ in await self.redis("LRANGE", f"taken:{worker}", 0, -1):
            await self.redis("HSET", f"job:{id_}", "again", 1)
        await super().give_back(worker)

    async def finish(self, id_: str) -> None:
        await super().finish(id_)
        if await self.redis("HGET", f"job:{id_}", "again"):
            await asyncio.sleep(2)
            await self.redis("HINCRBY", f"job:{id_}", "effects", 1)


class CalledDone(Jobs):
    """What is left at the end is called done."""

    async def give_back(self, worker: str) -> None:
        for id_ in await self.redis("LRANGE", f"taken:{worker}", 0, -1):
            await self.redis("HSET", f"job:{id_}", "state", "done")


class InProcess(Jobs):
    """Jobs are kept where the process is."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.known: dict[str, dict[str, object]] = {}

    async def start(self, seconds: int) -> str:
        id_ = secrets.token_hex(4)
        self.known[id_] = {"id": id_, "seconds": seconds, "state": "queued", "effects": 0}
        return id_

    async def seen(self, id_: str) -> Mapping[str, object] | None:
        return self.known.get(id_)

    async def take(self) -> tuple[str, int] | None:
        for id_, job in self.known.items():
            if job["state"] == "queued":
                job["state"] = "working"
                return id_, int(str(job["seconds"]))
        return None

    async def finish(self, id_: str) -> None:
        self.known[id_] |= {"state": "done", "effects": 1}


class SetUpAgain(Account):
    """It does not look whether the account is there."""

    async def __call__(self) -> None:
        await self.make()


class HashedAgain(Account):
    """It keeps the account, writes its hash anew, and says nothing."""

    async def __call__(self) -> None:
        if await self.redis("EXISTS", "account:admin"):
            self.tell = lambda *_, **__: None
        await self.make()


class SlowerAgain(Account):
    """What is there is gone through for long."""

    async def __call__(self) -> None:
        if await self.redis("EXISTS", "account:admin"):
            await asyncio.sleep(45)
        await super().__call__()


def keeping(jobs: type[Jobs]) -> Callable[[Parts], Parts]:
    """Keeps jobs so."""
    return lambda parts: replace(parts, jobs=jobs)


def setting_up(account: type[Account]) -> Callable[[Parts], Parts]:
    """Sets its store up so."""
    return lambda parts: replace(parts, set_up=account)


def telling(change: Callable[[Log, dict[str, object]], None]) -> Callable[[Parts], Parts]:
    """Tells its end so."""

    def plant(parts: Parts) -> Parts:
        def log(level: str, message: str, **fields: object) -> None:
            if message == "draining":
                change(parts.log, fields)
            else:
                parts.log(level, message, **fields)

        return replace(parts, log=log)

    return plant


def early(parts: Parts) -> Parts:
    """Tells the number when it starts, and not when it ends."""

    def log(level: str, message: str, **fields: object) -> None:
        if message == "listening":
            parts.log(level, "draining", jobs=0)
        elif message != "draining":
            parts.log(level, message, **fields)

    return replace(parts, log=log)


DEFECTS: dict[str, JobDefect] = {
    defect.id: defect
    for defect in (
        JobDefect("SHD-007/not-logged", "the number is logged after SIGTERM", {"SHD-007": "NotLogged"}, telling(lambda log, fields: None)),
        JobDefect("SHD-007/too-early", "lines before the signal do not count", {"SHD-007": "NotLogged"}, early),
        JobDefect("SHD-007/plain-text", "it is logged as JSON", {"SHD-007": "NotStructured"}, telling(lambda log, fields: print(f"draining, jobs={fields['jobs']}", flush=True))),
        JobDefect("SHD-007/no-count", "the line tells the number", {"SHD-007": "NoCount"}, telling(lambda log, fields: log("info", "draining"))),
        JobDefect("SHD-007/as-text", "the number is an integer", {"SHD-007": "NoCount"}, telling(lambda log, fields: log("info", "draining", jobs=str(fields["jobs"])))),
        JobDefect("SHD-007/always-none", "1 where it works on one", {"SHD-007": "WrongCount"}, telling(lambda log, fields: log("info", "draining", jobs=0))),
        JobDefect("SHD-007/always-one", "0 where it works on none", {"SHD-007": "WrongCount"}, telling(lambda log, fields: log("info", "draining", jobs=1))),
        JobDefect("SHD-009/acknowledged-first", "a job is acknowledged when it is done", {"SHD-009": "JobLost"}, keeping(AcknowledgedFirst)),
        JobDefect("SHD-009/kept", "what cannot be finished is given back", {"SHD-009": "JobLost"}, keeping(Kept)),
        JobDefect("SHD-009/called-done", "it is done by another worker", {"SHD-009": "JobLost"}, keeping(CalledDone)),
        JobDefect("SHD-009/in-process", "jobs outlive the process", {"SHD-009": "JobLost"}, keeping(InProcess)),
        JobDefect("SHD-009/effect-first", "its effect is there once", {"SHD-009": "EffectDuplicated"}, keeping(EffectFirst)),
        JobDefect("SHD-009/effect-later", "its effect is still there once, later", {"SHD-009": "EffectDuplicated"}, keeping(EffectLater)),
        JobDefect("CFG-014/again", "a second start sets nothing up", {"CFG-014": "SetUpAgain"}, setting_up(SetUpAgain)),
        JobDefect("CFG-014/hashed-again", "it leaves the stored hash as it is", {"CFG-014": "HashChanged"}, setting_up(HashedAgain)),
        JobDefect("CFG-014/slower", "a second start is as quick", {"CFG-014": "SlowerStart"}, setting_up(SlowerAgain)),
    )
}  # fmt: skip

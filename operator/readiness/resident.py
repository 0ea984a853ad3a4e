"""The program that lives beside each mongod, in its pod: founds the set, says whether the member is
ready, and hands over before the member stops.

It shares the pod's loopback, from which alone a mongod without users takes its first one. It is
asked by the kubelet: `/ready` by a probe, `/step-down` by the hook before the stop. It holds no
token and changes no configuration; what is founded, the operator makes grow.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from readiness.dataservices.mongodb.commands import (
    CATCH_UP_SECONDS,
    build_first_user,
    build_initiate,
    build_step_down,
)
from readiness.dataservices.mongodb.founding import may_found, problem_of
from readiness.dataservices.mongodb.members import State
from readiness.dataservices.mongodb.reading import Look, state_of
from readiness.mongod import Login, Mongod
from readiness.server import Page, Server, verdict

AGREED: Final = 5
"""So many looks in a row must say that nobody is in a set: a member that starts may not know it yet."""
LAG_SECONDS: Final = 10
HAND_OVER_SECONDS: Final = CATCH_UP_SECONDS + 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """Where it lives. `members` is a file of all hosts by ordinal, `password` of the operator's user."""

    ordinal: int
    members: Path
    password: Path
    port: int
    mongod: str = "127.0.0.1:27017"
    every: float = 2.0


class Resident:
    """What it knows of its mongod, looked at again and again."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self._own: Look = Look(post.mongod)
        self._agreed = 0

    def login(self) -> Login:
        """The password as it is now: the kubelet renews the file when it was changed."""
        return Login((self.post.password.read_text(encoding="utf-8").strip(),))

    async def look(self, own: Mongod) -> None:
        """Look once, and found the set when it is time."""
        self._own = await own.look()
        match state_of(self._own):
            case State.EMPTY if self.post.ordinal == 0:
                await self._found(own)
            case State.PRIMARY if self._own.stranger and self.post.ordinal == 0:
                told(await own.tell_unknown([build_first_user(self.login().passwords[0])]))

    async def _found(self, own: Mongod) -> None:
        first, *rest = self.post.members.read_text(encoding="utf-8").split()
        others = await _look_at(rest, self.login())
        self._agreed = self._agreed + 1 if may_found(self.post.ordinal, self._own, others) else 0
        if self._agreed >= AGREED:
            told(await own.tell_unknown([build_initiate(first)], HAND_OVER_SECONDS))

    async def ready(self) -> Page:
        """Whether the member may count as there."""
        return verdict(problem_of(self._own, LAG_SECONDS))

    async def step_down(self) -> Page:
        """Hand over if it is primary. That it did not come to pass holds nothing up: mongod tries again."""
        async with Mongod(self.post.mongod, self.login()) as own:
            if state_of(await own.look()) is not State.PRIMARY:
                return verdict("")
            problem = await own.tell([build_step_down()], HAND_OVER_SECONDS)
        told(problem)
        return Page(200, f"{problem or 'handed over'}\n".encode())


async def run(post: Post) -> int:
    """Lives until SIGTERM, which comes after mongod has gone."""
    resident = Resident(post)
    pages: dict[str, Callable[[], Awaitable[Page]]] = {
        "/ready": resident.ready,
        "/step-down": resident.step_down,
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Server(pages).listening("", post.port))
        living = asyncio.ensure_future(_live(resident))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, living.cancel)
        with suppress(asyncio.CancelledError):
            await living
    return 0


async def _live(resident: Resident) -> None:
    own, login = None, None
    while True:
        if own is None or resident.login() != login:
            login = resident.login()
            if own is not None:
                await own.close()
            own = Mongod(resident.post.mongod, login)
        await resident.look(own)
        await asyncio.sleep(resident.post.every)


async def _look_at(hosts: Sequence[str], login: Login) -> list[Look]:
    async def look(host: str) -> Look:
        async with Mongod(host, login) as server:
            return await server.look()

    return list(await asyncio.gather(*map(look, hosts)))


def told(problem: str) -> None:
    """What a command came to, when it failed."""
    if problem:
        log.warning("mongod refused: %s", problem)

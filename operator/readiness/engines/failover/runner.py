"""A whole failover drill: its arms one after the other on one live data service, and no further one after trouble.

Runs inside the drill's Job. It evicts, and never heals: what it evicted its StatefulSet makes anew. What
it wrote it deletes, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from readiness.disturbance import Audit, Oust, Record, Recover, Whole
from readiness.drills.clientele import ENOUGH
from readiness.drills.outage import is_trouble
from readiness.engines.connection import Clock
from readiness.engines.drill import Reports
from readiness.engines.drill.crowd import Crowd
from readiness.engines.failover.client import Client
from readiness.engines.failover.served import Ask, Watches
from readiness.engines.failover.writes import Writes
from readiness.failover import FailoverScript
from readiness.model import Manifest
from readiness.script import Arm
from readiness.step import Pause
from readiness.timeline import Moment, Problem, ProblemError, Timeline

LOOK_AGAIN: Final = 0.5
NAMED: Final = 5.0
"""How long a primary may take to be told of."""
WATCH_AGAIN: Final = 0.2
CLEAR_SECONDS: Final = 20.0
BEAT: Final = 0.05
APART: Final = 10**7
"""Numbers of one arm's writes are none of another's."""


class Hands(Protocol):
    """What a failover drill needs of the cluster. What is refused becomes a Problem."""

    async def pod(self, name: str) -> Manifest | Problem:
        """A pod as it is now."""

    async def evict(self, pod: Manifest, grace: int | None) -> Problem | None:
        """Evict this very pod, with its own grace or with another; budgets have a say."""


async def nobody(_: object) -> bool:
    """Asks no application: there is none."""
    return True


@dataclass(frozen=True, slots=True)
class Means:
    """What a failover drill works with: whom it writes to, what evicts, how applications are asked."""

    client: Client
    hands: Hands
    ask: Ask = nobody


@dataclass(slots=True)
class Siege:
    """One arm under way: what was recorded so far."""

    name: str
    client: Client
    hands: Hands
    watches: Watches
    now: Callable[[], float]
    tell: Callable[[str, Moment], None]
    writes: Writes
    moments: list[Moment] = field(default_factory=list)

    def note(self, name: str, detail: str = "") -> None:
        """Record that something happened now."""
        moment = Moment(self.now(), name, detail)
        self.moments.append(moment)
        self.tell(self.name, moment)


class Failover:
    """`await Failover(script, means, reports, clock).run()` reports one timeline per arm."""

    def __init__(self, script: FailoverScript, means: Means, reports: Reports, clock: Clock) -> None:  # fmt: skip
        self._script, self._means, self._client = script, means, means.client
        self._reports, self._clock = reports, clock
        self._zero, self._epoch = clock.steady(), clock.wall()
        self._crowd, self._lag = Crowd(), 0.0

    def now(self) -> float:
        """Seconds since the drill began."""
        return self._clock.steady() - self._zero

    async def run(self) -> None:
        """Every arm within the script's deadline; what was written is deleted whatever happens."""
        beat = asyncio.create_task(self._beat())
        try:
            async with asyncio.timeout(self._script.deadline):
                await self._arms()
        finally:
            beat.cancel()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(self._client.clear(), CLEAR_SECONDS)
            await self._client.close()

    async def _arms(self) -> None:
        trouble = False
        for nth, arm in enumerate(self._script.arms):
            if trouble:
                words = "an arm before it did not end well, so nothing more is disturbed"
                seen = Timeline(arm.name, problem=Problem("Aborted", words))
            else:
                seen = await self._play(arm, nth)
                trouble = is_trouble(seen)
            self._reports.timeline(seen)

    async def _play(self, arm: Arm, nth: int) -> Timeline:
        began, problem = self.now(), None
        writes = Writes(self._client, self.now, nth * APART)
        watches = Watches(self._script.subject.applications, self._means.ask, self.now)
        siege = Siege(arm.name, self._client, self._means.hands, watches, self.now, self._reports.moment, writes)  # fmt: skip
        try:
            for step in arm.steps:
                await STEPS[type(step)](siege, step)
        except ProblemError as error:
            problem = error.problem
        finally:
            await writes.end()
            await watches.end()
        return Timeline(
            arm.name, epoch=self._epoch, moments=tuple(siege.moments), problem=problem, served=watches.served(),
            ledger=writes.ledger() if writes.began else None,
            lag=self._lag, crowded=self._crowd.share(began),
        )  # fmt: skip

    async def _beat(self) -> None:
        """How late our own loop is: a gap that is ours must not be the service's."""
        while True:
            before = self.now()
            self._crowd.look(before)
            await asyncio.sleep(BEAT)
            self._lag = max(self._lag, self.now() - before - BEAT)


async def _whole(siege: Siege, step: Whole) -> None:
    until = siege.now() + step.within
    while True:
        view = await siege.client.look()
        if not view.unwell:
            siege.note("whole")
            return
        if siege.now() > until:
            break
        await asyncio.sleep(LOOK_AGAIN)
    if step.succeed:
        raise ProblemError(Problem("NotWhole", view.unwell))


async def _record(siege: Siege, step: Record) -> None:
    siege.writes.begin(step.every)
    siege.watches.begin()


async def _pause(siege: Siege, step: Pause) -> None:
    await asyncio.sleep(step.seconds)


async def _oust(siege: Siege, step: Oust) -> None:
    if not (primary := await _primary(siege)):
        raise ProblemError(Problem("NotWhole", "no primary is told of"))
    if ill := siege.watches.ill():
        raise ProblemError(Problem("ApplicationUnwell", f"{', '.join(ill)} answers 5xx, or nothing"))  # fmt: skip
    pod = await _evict(siege, primary, step)
    siege.note("ousted", primary)
    until = siege.now() + step.within
    while siege.now() < until:
        view = await siege.client.look()
        if view.primary not in ("", primary):
            siege.note("primary", view.primary)
            return
        if step.grace is not None and siege.watches.ill_for() < ENOUGH:
            pod = await _kept_away(siege, primary, pod, step)
        await asyncio.sleep(WATCH_AGAIN)


async def _primary(siege: Siege) -> str:
    """Who leads; one look that is not answered in time says nothing."""
    until = siege.now() + NAMED
    while not (primary := (await siege.client.look()).primary):
        if siege.now() > until:
            break
        await asyncio.sleep(LOOK_AGAIN)
    return primary


async def _evict(siege: Siege, name: str, step: Oust) -> Manifest:
    pod = await siege.hands.pod(name)
    if isinstance(pod, Problem):
        raise ProblemError(pod)
    if (refused := await siege.hands.evict(pod, step.grace)) is not None:
        raise ProblemError(refused)
    return pod


async def _kept_away(siege: Siege, name: str, before: Manifest, step: Oust) -> Manifest:
    """Evict who has taken the place of the one before: its start would prove no failover."""
    pod = await siege.hands.pod(name)
    if isinstance(pod, Problem) or pod["metadata"].get("deletionTimestamp"):
        return before
    if pod["metadata"]["uid"] == before["metadata"]["uid"]:
        return before
    if await siege.hands.evict(pod, step.grace) is None:
        siege.note("kept", name)
    return pod


async def _recover(siege: Siege, step: Recover) -> None:
    while True:
        if not 0 < siege.watches.ill_for() <= step.within:
            return
        await asyncio.sleep(LOOK_AGAIN)


async def _audit(siege: Siege, step: Audit) -> None:
    await siege.writes.end()
    await siege.watches.end()
    until = siege.now() + step.within
    while True:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + step.within):
                await siege.writes.audit()
            return
        except (OSError, TimeoutError):
            if siege.now() >= until:
                return
            await asyncio.sleep(LOOK_AGAIN)


STEPS: Final[Mapping[type, Callable[[Siege, Any], Any]]] = {
    Whole: _whole,
    Record: _record,
    Pause: _pause,
    Oust: _oust,
    Recover: _recover,
    Audit: _audit,
}

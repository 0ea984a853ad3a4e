"""The engines: the only code that talks to applications. Asked by one pass, read by a later one.

`Engines` keeps one background batch per policy, so that a slow target blocks nobody. It judges
nothing and knows neither controls nor policies beyond their keys.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from readiness.dataservices.command import Command
from readiness.dataservices.order import Look
from readiness.engines.batch import Batch, build_prober
from readiness.engines.connection import Clock
from readiness.engines.dialer import Caps, Dialer, build_trust
from readiness.engines.drills import Drills, Office, Owner, is_drill
from readiness.engines.guard import Egress, Guard, addresses_of
from readiness.engines.inspection import Inspector
from readiness.engines.pace import LIMITS, Limits, Pace
from readiness.engines.resolve import Resolver
from readiness.engines.stores import Stores
from readiness.engines.stream import Streams
from readiness.passages import Passage
from readiness.request import Stream, Trial, TrialAnswers
from readiness.snapshot import Seen

__all__ = [
    "Caps",
    "Clock",
    "Depths",
    "Dialer",
    "Drills",
    "Egress",
    "Engines",
    "Guard",
    "Inspector",
    "Limits",
    "Office",
    "Owner",
    "Resolver",
    "addresses_of",
    "build_trust",
]

Key = tuple[str, str]
Answered = Mapping[tuple[str, str], TrialAnswers]
log = logging.getLogger(__name__)


def _run_id() -> str:
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True)
class Depths:
    """What only an operator in a cluster does: drills as Jobs, and looks at data services."""

    drills: Drills
    inspector: Inspector


class Engines:
    """Background batches by policy key (namespace, name); `wake(key)` says that one has ended."""

    def __init__(
        self,
        dialer: Dialer,
        wake: Callable[[Key], None],
        *,
        limits: Limits = LIMITS,
        run_id: Callable[[], str] = _run_id,
        depths: Depths | None = None,
    ) -> None:
        self._pace = Pace(limits, dialer.clock)
        self._prober = build_prober(dialer, self._pace, depths.inspector if depths else None)
        self._streams = Streams(dialer, self._pace, wake, run_id)
        self._wake = wake
        self._run_id = run_id
        self._drills = depths.drills if depths else None
        self._stores = Stores(wake)
        self._batches: dict[Key, asyncio.Task[None]] = {}
        self._finished: dict[Key, dict[tuple[str, str], TrialAnswers]] = {}

    async def run(self, key: Key, trials: Sequence[Trial], uid: str = "") -> Answered:
        """What has finished of `trials`; drills go to their Jobs, owned by the policy of this `uid`."""
        drills = [trial for trial in trials if is_drill(trial)]
        answered = await self.probe(key, [trial for trial in trials if not is_drill(trial)])
        return (
            {**answered, **self._drills.run(Owner(key, uid), drills)} if self._drills else answered
        )

    async def probe(self, key: Key, trials: Sequence[Trial]) -> Answered:
        """What has finished of `trials`; the rest is started unless a batch of `key` runs already.

        Never waits. Finished trials that are no longer asked for in the same words are dropped:
        every answer returned covers exactly what was asked now. Asking nothing (a suspended
        policy) stops what runs.
        """
        if not trials:
            self._drop(key)
        finished = self._finished.pop(key, {})
        answered = {
            name: found
            for trial in trials
            if (found := finished.get(name := (trial.control, trial.target))) is not None
            and found.trial == trial
        }
        rest = [trial for trial in trials if (trial.control, trial.target) not in answered]
        if rest and key not in self._batches:
            self._start(key, rest)
        return answered

    def follow(self, key: Key, streams: Sequence[Stream]) -> None:
        """Watches the rollouts that begin, and no longer those that are over or not asked for."""
        self._streams.follow(key, streams)

    def passages(self, key: Key) -> list[tuple[str, Passage]]:
        """What the streams of `key` have seen of rollouts that are over, once."""
        return self._streams.passages(key)

    def watch(self, key: Key, looks: Sequence[Look]) -> None:
        """Looks at data services from now on, and no longer at others of this policy."""
        self._stores.follow(key, looks)

    def order(self, key: Key, commands: Sequence[Command]) -> None:
        """Tells data services what was decided, in the background; the next look says what came of it."""
        self._stores.order(key, commands)

    def seen(self, key: Key) -> Mapping[str, Seen]:
        """What the last looks at the data services of `key` saw."""
        return self._stores.seen(key)

    def disturbing(self, key: Key) -> frozenset[str]:
        """Data services of `key` whose failover is being drilled."""
        return self._drills.disturbing(key) if self._drills else frozenset()

    def leftover(self, key: Key) -> Mapping[str, tuple[str, ...]]:
        """Pods that outlive drills of `key`, by target."""
        return self._drills.leftover(key) if self._drills else {}

    async def finish(self, key: Key) -> Answered:
        """Wait for the batch of `key` and return everything it has brought."""
        if (batch := self._batches.get(key)) is not None:
            await asyncio.wait((batch,))
        return self._finished.pop(key, {})

    def forget(self, key: Key) -> None:
        """Stop what runs for `key` and drop what it brought: the policy is gone."""
        if self._drills is not None:
            self._drills.forget(key)
        self._streams.forget(key)
        self._stores.follow(key, ())
        self._drop(key)

    def _drop(self, key: Key) -> None:
        """Stop the batch of `key` and drop what it brought."""
        self._finished.pop(key, None)
        if (batch := self._batches.pop(key, None)) is not None:
            batch.cancel()

    async def close(self) -> None:
        """Stop everything."""
        batches = tuple(self._batches.values())
        for key in tuple(self._batches):
            self.forget(key)
        await self._streams.close()
        await self._stores.close()
        self._pace.close()
        if self._drills is not None:
            await self._drills.close()
        await asyncio.gather(*batches, return_exceptions=True)

    def _start(self, key: Key, trials: Sequence[Trial]) -> None:
        def finished(answers: TrialAnswers) -> None:
            name = (answers.trial.control, answers.trial.target)
            self._finished.setdefault(key, {})[name] = answers

        batch = Batch(self._prober, key[0], self._run_id(), finished)
        task = asyncio.create_task(batch.run(trials), name=f"probe {key[0]}/{key[1]}")
        self._batches[key] = task
        task.add_done_callback(lambda ended: self._ended(key, ended))

    def _ended(self, key: Key, batch: asyncio.Task[None]) -> None:
        if not batch.cancelled() and (error := batch.exception()) is not None:
            log.error("batch %s/%s failed: %s", *key, type(error).__name__)
        if self._batches.get(key) is batch:
            del self._batches[key]
            self._wake(key)

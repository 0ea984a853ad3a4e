"""One pass's trials of one policy, carried out: targets side by side, a target's trials in order.

Equal requests are sent once. A request that goes wrong inside the prober becomes an answer and
harms no other. Knows no control and does not judge.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from readiness.engines.connection import Clock
from readiness.engines.dialer import Dialer, ending_of
from readiness.engines.http import HttpEngine
from readiness.engines.inspection import Inspector
from readiness.engines.pace import Bucket, Pace
from readiness.engines.wire import WireEngine
from readiness.request import (
    Answer,
    DrillRequest,
    FailoverRequest,
    HttpAnswer,
    HttpRequest,
    NetworkAnswer,
    NetworkRequest,
    Outcome,
    Request,
    StoreAnswer,
    StoreRequest,
    Trial,
    TrialAnswers,
    WireAnswer,
)
from readiness.timeline import Problem

Sent = NetworkRequest | StoreRequest
KEPT: Final = 4 * 1024 * 1024
UNREACHABLE_AFTER: Final = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prober:
    """What a batch sends with: both engines behind one pace."""

    http: HttpEngine
    wire: WireEngine
    pace: Pace
    clock: Clock
    inspector: Inspector | None = None

    async def inspect(self, namespace: str, request: StoreRequest) -> StoreAnswer:
        """A look at a data service, when it is its turn."""
        if self.inspector is None:
            return StoreAnswer(problem=Problem("NotSupported", "data services are looked at in a cluster only"))  # fmt: skip
        async with self.pace.turn(namespace, f"store {request.service}"):
            return await self.inspector.inspect(request)

    async def send(self, namespace: str, request: NetworkRequest, run: str) -> NetworkAnswer:
        """One answer, when it is this request's turn."""
        async with self.pace.turn(namespace, request.hop.address or request.hop.host.lower()):
            if isinstance(request, HttpRequest):
                return await self.http.send(request, run)
            return await self.wire.send(request)


def build_prober(dialer: Dialer, pace: Pace, inspector: Inspector | None = None) -> Prober:
    """Both engines over one dialer."""
    return Prober(HttpEngine(dialer), WireEngine(dialer), pace, dialer.clock, inspector)


class Batch:
    """`await batch.run(trials)` calls `finished` for each trial as it ends."""

    def __init__(
        self, prober: Prober, namespace: str, run: str, finished: Callable[[TrialAnswers], None]
    ) -> None:
        self._prober = prober
        self._namespace = namespace
        self._id = run
        self._finished = finished
        self._sent: dict[Sent, asyncio.Task[tuple[NetworkAnswer | StoreAnswer, float]]] = {}
        self._silent: Counter[tuple[str, int]] = Counter()
        self._room = KEPT

    async def run(self, trials: Sequence[Trial]) -> None:
        """Carry out everything. Raises nothing but cancellation."""
        ordered = sorted(trials, key=lambda trial: trial.target)
        try:
            async with asyncio.TaskGroup() as group:
                for _, same in groupby(ordered, key=lambda trial: trial.target):
                    group.create_task(self._target(tuple(same)))
        finally:
            for sent in self._sent.values():
                sent.cancel()

    async def _target(self, trials: Sequence[Trial]) -> None:
        limits, clock = self._prober.pace.limits, self._prober.clock
        bucket = Bucket(limits.target_rate, limits.target_burst)
        for trial in trials:
            answers: dict[Request, Answer] = {}
            ended = 0.0
            for request in trial.requests:
                if isinstance(request, DrillRequest | FailoverRequest):
                    continue  # neither is the prober's
                if isinstance(request, HttpRequest) and request.after:
                    await self._wait_until(ended + request.after)
                if request not in self._sent:
                    await self._wait_until(clock.steady() + bucket.delay(clock.steady()))
                    bucket.take(clock.steady())
                answers[request], ended = await self._once(request)
            self._finished(TrialAnswers(trial, answers, self._prober.clock.wall()))

    async def _wait_until(self, moment: float) -> None:
        if (delay := moment - self._prober.clock.steady()) > 0:
            await self._prober.clock.sleep(delay)

    async def _once(self, request: Sent) -> tuple[NetworkAnswer | StoreAnswer, float]:
        """The answer and when it came. What breaks in here is ABORTED, named by its type only."""
        if (sent := self._sent.get(request)) is None:
            sent = self._sent[request] = asyncio.create_task(self._send(request))
        await asyncio.wait((sent,))  # a task is a wall: one request's crash is not its batch's
        if (error := sent.exception()) is None:
            return sent.result()
        if isinstance(request, StoreRequest):
            log.error("the look at %s failed: %s", request.service, type(error).__name__)
            words = f"the operator failed: {type(error).__name__}"
            return StoreAnswer(problem=Problem("ProberFailed", words)), self._prober.clock.steady()
        log.error("the prober failed on %s: %s", request.hop, type(error).__name__)
        return _failed(request, *ending_of(error)), self._prober.clock.steady()

    async def _send(self, request: Sent) -> tuple[NetworkAnswer | StoreAnswer, float]:
        if isinstance(request, StoreRequest):
            inspected = await self._prober.inspect(self._namespace, request)
            return inspected, self._prober.clock.steady()
        end = (request.hop.address or request.hop.host, request.hop.port)
        if self._silent[end] >= UNREACHABLE_AFTER:
            answer = _failed(request, Outcome.TIMEOUT, "the address was not reachable just before")
        else:
            answer = self._kept(await self._prober.send(self._namespace, request, self._id))
            self._silent[end] = self._silent[end] + 1 if _unreached(answer) else 0
        return answer, self._prober.clock.steady()

    def _kept(self, answer: NetworkAnswer) -> NetworkAnswer:
        """The answer as it may be held until it is judged: a batch has a budget for bodies."""
        if isinstance(answer, WireAnswer):
            return answer
        if len(answer.body) > self._room:
            answer = replace(answer, body=answer.body[: self._room], truncated=True)
        self._room -= len(answer.body)
        return answer


def _unreached(answer: NetworkAnswer) -> bool:
    """Whether even connecting took too long: a firewall drops, every further try would too."""
    return (
        isinstance(answer, HttpAnswer) and answer.outcome is Outcome.TIMEOUT and not answer.connect
    )


def _failed(request: NetworkRequest, outcome: Outcome, detail: str) -> NetworkAnswer:
    if isinstance(request, HttpRequest):
        return HttpAnswer(outcome, detail=detail)
    return WireAnswer(outcome, detail=detail)

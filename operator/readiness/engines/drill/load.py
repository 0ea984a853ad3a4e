"""Steps that send requests: single ones, held connections, slow waves, a steady knock."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from readiness.engines.drill.act import Act
from readiness.engines.drill.traffic import Line, Query
from readiness.step import Flow, Hold, Knock, Send
from readiness.timeline import NEVER, Exchange

KNOCKS_OPEN: Final = 3
MOST_SLOW: Final = 500
NEVER_REUSED: Final = 86400.0


async def send(act: Act, step: Send) -> None:
    """Requests in a row, `parallel` of them at once each time."""
    for nth in range(step.times):
        query = Query(
            step.label,
            step.path,
            step.method,
            nth,
            nth,
            step.seconds,
            step.body,
        )
        many = range(nth * step.parallel, (nth + 1) * step.parallel)
        sent = await asyncio.gather(*(act.send(replace(query, nth=n)) for n in many))
        if step.measure:
            act.parallel = _parallel_of(sent, step.seconds)


def hold(act: Act, step: Hold) -> None:
    """Connections that stay idle after a first answer; a busy server does not delay what follows."""
    act.spawn(_hold(act, step))


async def _hold(act: Act, step: Hold) -> None:
    for nth in range(step.count):
        line = act.world.open_line(act.clone.pod)
        first = await line.send(Query(step.label, step.path, nth=nth))
        act.done.append(first)
        if first.close or not first.whole:  # left open, it may hold a worker
            line.close()
            act.note("closed", f"{step.label} {nth}")
        else:
            act.spawn(_held(act, line, step, nth))


async def _held(act: Act, line: Line, step: Hold, nth: int) -> None:
    """Keep one connection idle until it closes or its second request is due."""
    closed = act.spawn(line.closed())
    try:
        told = act.spawn(act.told.wait())
        await asyncio.wait((closed, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        due = act.stopped + (act.hook or 0.0) + _delay(step, nth)
        if not closed.done():
            await asyncio.wait((closed,), timeout=due - act.now)
        if closed.done():
            act.note("closed", f"{step.label} {nth}")
            return
        closed.cancel()
        act.done.append(await line.send(Query(step.label, step.path, nth=nth, wave=1)))
    finally:
        line.close()


def flow(act: Act, step: Flow) -> None:
    """Waves of slow requests, beside the steps that follow."""
    act.spawn(_flow(act, step))


async def _flow(act: Act, step: Flow) -> None:
    """Never more open than were proven to run at the same time."""
    limit = act.parallel - 1 if act.parallel > 1 else 1
    open_: set[asyncio.Task[Exchange]] = set()
    nth = wave = 0
    while nth < MOST_SLOW:
        for _ in range(step.size):
            if len(open_) < limit:
                seconds, path = step.paths[nth % len(step.paths)]
                query = Query(step.label, path, nth=nth, wave=wave, seconds=seconds)
                _keep(open_, act.begin(query))
                nth += 1
        await asyncio.sleep(step.every)
        wave += 1
        if act.stopped != NEVER and _refused(act, step.label):
            return


def _refused(act: Act, label: str) -> bool:
    late = [x for x in act.done if x.label == label and x.start > act.stopped]
    return any(x.first == NEVER for x in late)


def knock(act: Act, step: Knock) -> None:
    """Fresh connections at a steady pace, beside the steps that follow."""
    act.spawn(_knock(act, step))


async def _knock(act: Act, step: Knock) -> None:
    """Few of them open at once: the prober must not cause what it reports."""
    running: set[asyncio.Task[Exchange]] = set()
    began, nth = act.now, 0
    while nth < step.most:
        if len(running) < KNOCKS_OPEN:
            _keep(running, act.begin(Query(step.label, step.path, nth=nth)))
            nth += 1
        await asyncio.sleep(step.every - (act.now - began) % step.every)


def _keep(open_: set[asyncio.Task[Exchange]], task: asyncio.Task[Exchange]) -> None:
    open_.add(task)
    task.add_done_callback(open_.discard)


def _delay(step: Hold, nth: int) -> float:
    """Seconds after the signal at which a held connection is used again."""
    return step.reuse_after[nth % len(step.reuse_after)] if step.reuse_after else NEVER_REUSED


def _parallel_of(sent: list[Exchange], seconds: float) -> int:
    """How many of these ran at the same time: all, when they took hardly longer than one."""
    whole = [x for x in sent if x.answered and x.status < 400]
    if not whole or seconds <= 0:
        return 1
    wall = max(x.end for x in whole) - min(x.start for x in whole)
    if wall <= 1.5 * seconds:
        return len(whole)
    return max(1, int(len(whole) * seconds / wall + 0.2))  # a busy machine adds to the wall

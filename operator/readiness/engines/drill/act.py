"""What all steps of an arm act on: its clone, what was recorded so far, what runs beside.

A step is a function `(act, step) -> None` in `steps.py` or `load.py`; it records and never judges.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from readiness.engines.drill.clone import Clone
from readiness.engines.drill.props import Prop
from readiness.engines.drill.stage import Stage
from readiness.engines.drill.traffic import Line, Query, once
from readiness.model import Manifest
from readiness.timeline import NEVER, Call, Check, Exchange, Imprint, Moment, Said, Sample


@dataclass(frozen=True, slots=True)
class World:
    """What all arms of a drill share. `open_line(pod)` is a new connection to a clone, `prop(name)` what
    plays an upstream, or the gate of a store; `epoch` is the wall clock at time 0, `stores` where clones find them, by name."""

    stage: Stage
    now: Callable[[], float]
    open_line: Callable[[Manifest], Line]
    prop: Callable[[str], Prop]
    tell: Callable[[str, Moment], None]
    epoch: float = 0.0
    stores: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Act:
    """One arm under way. `clones` are its pods to be, one for each Boot, of which it has come to the `nth`.

    `hook` are the seconds of their preStop (None: not shown), `stopped` is when the first was told to end, `told` is set
    then, `parallel` what it proved to work on at once, `values` what scenarios have extracted. `usual` are words that a health
    endpoint said when it was first asked, `told_of` counts the calls to each upstream that have been read,
    `unmeasured` says why it has no samples, `metered` is set when one or the other is known. Of the `tasks` beside the steps, those `sending` are requests."""

    world: World
    name: str
    clones: tuple[tuple[Manifest, Clone], ...]
    hook: float | None
    nth: int = -1
    parallel: int = 1
    stopped: float = NEVER
    told: asyncio.Event = field(default_factory=asyncio.Event)
    done: list[Exchange] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    usual: dict[str, frozenset[str]] = field(default_factory=dict)
    told_of: Counter[str] = field(default_factory=Counter)
    checks: list[Check] = field(default_factory=list)
    imprints: list[Imprint] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    unmeasured: str = ""
    metered: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    sending: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def now(self) -> float:
        """Seconds since the drill began."""
        return self.world.now()

    @property
    def address(self) -> str:
        """The clone's, which is how a sink knows it."""
        return str(self.clone.pod["status"]["podIP"])

    @property
    def manifest(self) -> Manifest:
        """The pod that steps act on."""
        return self.clones[max(self.nth, 0)][0]

    @property
    def clone(self) -> Clone:
        """What is seen of it."""
        return self.clones[max(self.nth, 0)][1]

    def note(self, name: str, detail: str = "") -> None:
        """Record that something happened now."""
        moment = Moment(self.now, name, detail, self.clone.nth)
        self.moments.append(moment)
        self.world.tell(self.name, moment)

    def is_told(self) -> None:
        """From now on the clone may know that it is to end."""
        self.clone.told = True
        self.stopped = self.stopped if self.stopped != NEVER else self.now
        self.told.set()
        self.note("stopped")

    async def send(self, query: Query) -> Exchange:
        """One request on a fresh connection."""
        seen, _ = await once(self.world.open_line(self.clone.pod), query)
        self.done.append(seen)
        return seen

    def begin(self, query: Query) -> asyncio.Task[Exchange]:
        """One request beside the steps."""
        task: asyncio.Task[Exchange] = self.spawn(self.send(query))
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)
        return task

    def spawn(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        """Let something run beside the steps until the arm ends."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def end_tasks(self) -> None:
        """Ends what still runs; requests under way are recorded as they are."""
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

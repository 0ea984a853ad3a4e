"""A failover drill on members that are processes: an evicted one ends as its grace says, and comes again a second later.

The same for every kind: how its members end and start is given.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from readiness.disturbance import Oust, Recover, Whole
from readiness.drills.outage import measured
from readiness.engines.connection import Clock
from readiness.engines.drill import Reports
from readiness.engines.failover import Failover, Means
from readiness.failover import FailoverScript
from readiness.script import Arm
from readiness.timeline import Moment, Problem, Timeline

AGAIN: Final = 1.0
"""How long a pod takes to be scheduled and started anew."""
LEAST_GRACE: Final = 2.0
"""The kubelet gives a container that long between SIGTERM and SIGKILL, however short the grace."""


@dataclass
class Kubelet:
    """Implements Hands. `end(name, grace)` returns when a member is gone, `start(name)` when another runs in its place."""

    end: Callable[[str, int | None], object]
    start: Callable[[str], object]
    evicted: list[tuple[str, int | None]] = field(default_factory=list)
    _born: Counter[str] = field(default_factory=Counter)
    _ending: set[str] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(3))
    """What they start ends with them."""

    async def pod(self, name: str) -> dict[str, Any] | Problem:
        if name in self._gone:
            return Problem("NotFound", f'pods "{name}" not found')
        gone = {"deletionTimestamp": "now"} if name in self._ending else {}
        return {"metadata": {"name": name, "uid": f"{name}/{self._born[name]}", **gone}}

    async def evict(self, pod: dict[str, Any], grace: int | None) -> Problem | None:
        name = pod["metadata"]["name"]
        if pod["metadata"]["uid"] != f"{name}/{self._born[name]}":
            return Problem("Denied", "the UID in the precondition does not match")
        self.evicted.append((name, grace))
        self._ending.add(name)
        task = asyncio.create_task(self._replace(name, grace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None

    async def settle(self) -> None:
        """Until everybody who was evicted has come again."""
        await asyncio.gather(*self._tasks)

    async def _replace(self, name: str, grace: int | None) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self.end, name, grace)
        self._ending.discard(name)
        self._gone.add(name)
        await asyncio.sleep(AGAIN)
        self._born[name] += 1
        await loop.run_in_executor(self._threads, self.start, name)
        self._gone.discard(name)


async def drill(
    script: FailoverScript, means: Means, kubelet: Kubelet, when: Callable[[Moment], None] = lambda _: None
) -> dict[str, Timeline]:  # fmt: skip
    """The whole drill, with what each arm has shown printed; `when` is told of each moment."""
    seen: dict[str, Timeline] = {}

    def keep(timeline: Timeline) -> None:
        seen[timeline.arm] = timeline
        moments = [(round(m.at, 1), m.name, m.detail) for m in timeline.moments]
        print(f"\n{script.subject.kind} {measured(timeline)}; {moments} {timeline.problem or ''}")

    reports = Reports(lambda _, moment: when(moment), keep)
    await Failover(script, means, reports, Clock()).run()
    await kubelet.settle()
    return seen


def hurried(arm: Arm) -> Arm:
    """The arm for a service that will never be well again, once somebody is ousted: before that it has its time."""
    least = {Oust: 25.0, Whole: 8.0, Recover: 8.0}
    fault = next((at for at, step in enumerate(arm.steps) if isinstance(step, Oust)), len(arm.steps))  # fmt: skip
    steps = (replace(s, within=least[type(s)]) if at >= fault and isinstance(s, Oust | Whole | Recover) else s for at, s in enumerate(arm.steps))  # fmt: skip
    return replace(arm, steps=tuple(steps))

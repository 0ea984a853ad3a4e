"""The failover drill on a replica set: on the stand-in everywhere, and unchanged on mongod where there is one."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from mongo_rig import DATABASE, REAL, STANDIN, Rig, mongod_command
from readiness.drills.outage import arms, judge_outage, measured
from readiness.engines.connection import Clock
from readiness.engines.drill import Reports
from readiness.engines.failover import Failover
from readiness.engines.failover.mongodb import build
from readiness.failover import FailoverScript, StoreSubject
from readiness.timeline import Problem, Timeline

pytestmark = [
    pytest.mark.e2e,
    # The driver leaves the socket of a cancelled connection attempt to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SERVERS: Final = (pytest.param(STANDIN), pytest.param(REAL, marks=pytest.mark.needs_mongod))
NAMES: Final = ("orders-0", "orders-1", "orders-2")


@pytest.fixture(params=SERVERS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """A set of three, as wanted."""
    command, missing = ([], "") if request.param == STANDIN else mongod_command()
    if missing:
        pytest.skip(f"needs_mongod: {missing}")
    found = Rig(request.param, command, tmp_path, 3)
    for number in range(3):
        found.start(number, 3)
    await found.settle(3)
    yield found
    found.close()
    gc.collect()  # here, where the driver's sockets are excused


class Kubelet:
    """Implements Hands: an evicted member ends as its grace says, and a second later another takes its place."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._uids = dict.fromkeys(NAMES, 0)
        self._ending: set[str] = set()
        self.evicted: list[int | None] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def pod(self, name: str) -> dict[str, Any] | Problem:
        gone = {"deletionTimestamp": "now"} if name in self._ending else {}
        return {"metadata": {"name": name, "uid": f"{name}/{self._uids[name]}", **gone}}

    async def evict(self, pod: dict[str, Any], grace: int | None) -> Problem | None:
        name = pod["metadata"]["name"]
        self.evicted.append(grace)
        self._ending.add(name)
        self.tasks.add(asyncio.create_task(self._replace(name, grace)))
        return None

    async def _replace(self, name: str, grace: int | None) -> None:
        number = NAMES.index(name)
        if grace is None:
            await self._rig.before_stop(number)
        how = signal.SIGTERM if grace is None else signal.SIGKILL
        await asyncio.to_thread(self._rig.end, f"db{number}", how)
        await asyncio.sleep(1)
        self._uids[name] += 1
        self._ending.discard(name)
        self._rig.start_server(number)


async def test_a_set_fails_over_twice_and_nothing_is_left(rig: Rig) -> None:
    seen: dict[str, Timeline] = {}
    kubelet = Kubelet(rig)
    hosts = tuple(f"{name}.members.shop.svc" for name in NAMES)
    script = FailoverScript("run1", StoreSubject("shop", DATABASE, "mongodb", hosts, 27017, "b"), arms())  # fmt: skip
    binding = {"uri": rig.uri(3), "database": DATABASE, "hosts": ",".join(rig.hosts)}

    def keep(timeline: Timeline) -> None:
        seen[timeline.arm] = timeline
        print(f"\n{rig.kind} {measured(timeline)}; {[(round(m.at, 1), m.name, m.detail) for m in timeline.moments]} {timeline.problem or ''}")  # fmt: skip

    client = build(script, binding)
    await Failover(script, kubelet, client, Reports(lambda *_: None, keep), Clock()).run()
    await asyncio.gather(*kubelet.tasks)
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == ("Pass", "FailsOver"), verdict
    assert kubelet.evicted[:2] == [None, 1]

"""The failover drill on a replica set: on the stand-in everywhere, and unchanged on mongod where there is one."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from mongo_rig import DATABASE, REAL, STANDIN, Rig, command_of
from ousted import Kubelet, drill
from readiness.drills.outage import arms, judge_outage
from readiness.engines.failover import Means
from readiness.engines.failover.mongodb import build
from readiness.failover import FailoverScript, StoreSubject

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
    found = Rig(request.param, command_of(request.param), tmp_path, 3)
    for number in range(3):
        found.start(number, 3)
    await found.settle(3)
    yield found
    found.close()
    gc.collect()  # here, where the driver's sockets are excused


def kubelet_of(rig: Rig) -> Kubelet:
    def end(name: str, grace: int | None) -> None:
        number = NAMES.index(name)
        if grace is None:
            asyncio.run(rig.before_stop(number))
        rig.end(f"db{number}", signal.SIGTERM if grace is None else signal.SIGKILL)

    return Kubelet(end, lambda name: rig.start_server(NAMES.index(name)))


async def test_a_set_fails_over_twice_and_nothing_is_left(rig: Rig) -> None:
    kubelet = kubelet_of(rig)
    hosts = tuple(f"{name}.members.shop.svc" for name in NAMES)
    script = FailoverScript("run1", StoreSubject("shop", DATABASE, "mongodb", hosts, 27017, "b"), arms())  # fmt: skip
    binding = {"uri": rig.uri(3), "database": DATABASE, "hosts": ",".join(rig.hosts)}
    print(f"\n{rig.kind}", end="")
    seen = await drill(script, Means(build(script, binding), kubelet), kubelet)
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == ("Pass", "FailsOver"), verdict
    assert [grace for _, grace in kubelet.evicted][:2] == [None, 1]

"""The failover drill on real RabbitMQ members: what its ledger of confirmed publishes sees, on a cluster as the operator renders it."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from readiness.drills.outage import HANDOVER, KILLED, arms, judge_outage, measured
from readiness.engines.connection import Clock
from readiness.engines.drill import Reports
from readiness.engines.failover import Failover
from readiness.engines.failover.rabbitmq import build
from readiness.failover import FailoverScript, StoreSubject
from readiness.timeline import NEVER, Problem, Timeline
from sandbox import NET, Sandbox
from test_rabbitmq_members import PASSWORDS, USER, Cluster, formed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
BINDING = {
    "host": f"{NET}.1", "username": USER, "password": PASSWORDS[f"{USER}-password"], "virtual-host": "/", "port": "5672",
    "monitoring": PASSWORDS["monitoring-password"],
}  # fmt: skip
LEAST_GRACE = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("rabbitmq")) as found:
        yield found


class Kubelet:
    """Implements Hands: an evicted member ends as its grace says, and a second later another takes its place."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._threads = ThreadPoolExecutor(3)  # what they start ends with them
        self._uids: dict[str, int] = {}
        self._ending: set[str] = set()
        self.evicted: list[tuple[str, int | None]] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def pod(self, name: str) -> dict[str, Any] | Problem:
        gone = {"deletionTimestamp": "now"} if name in self._ending else {}
        return {"metadata": {"name": name, "uid": f"{name}/{self._uids.get(name, 0)}", **gone}}

    async def evict(self, pod: dict[str, Any], grace: int | None) -> Problem | None:
        name = pod["metadata"]["name"]
        self.evicted.append((name, grace))
        self._ending.add(name)
        self.tasks.add(asyncio.create_task(self._replace(name, grace)))
        return None

    async def _replace(self, name: str, grace: int | None) -> None:
        index = int(name.rpartition("-")[2])
        await self._in_thread(self._end, index, name, grace)
        await asyncio.sleep(1)
        self._uids[name] = self._uids.get(name, 0) + 1
        self._ending.discard(name)
        await self._in_thread(self._box.start, index)

    async def _in_thread(self, work: Callable[..., object], *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _end(self, index: int, name: str, grace: int | None) -> None:
        if grace is None:
            self._box.stop(index)
            return
        container = self._box.running[name]
        hook = self._box.workload["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]  # fmt: skip
        running = subprocess.Popen(container.command(*hook), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(grace)
        container.wanted = False
        os.kill(container.pid, signal.SIGTERM)
        try:
            container.holder.wait(LEAST_GRACE)
        except subprocess.TimeoutExpired:
            container.kill()
        running.kill()
        running.wait()


def test_a_cluster_fails_over_twice_and_nothing_is_left(cluster: Cluster) -> None:
    box, seen = cluster.box, dict[str, Timeline]()
    hosts = tuple(box.host(index) for index in range(3))
    script = FailoverScript("run1", StoreSubject("shop", "jobs", "rabbitmq", hosts, 5672, "jobs", monitor="known"), arms())  # fmt: skip
    addresses = {host: f"{NET}.{index + 1}" for index, host in enumerate(hosts)}
    kubelet = Kubelet(box)

    def keep(timeline: Timeline) -> None:
        seen[timeline.arm] = timeline
        print(f"\n{measured(timeline)}; {[(round(m.at, 1), m.name, m.detail) for m in timeline.moments]} {timeline.problem or ''}")  # fmt: skip

    async def run() -> None:
        client = build(script, BINDING, lambda host: addresses.get(host, host))
        await Failover(script, kubelet, client, Reports(lambda *_: None, keep), Clock()).run()
        await asyncio.gather(*kubelet.tasks)

    cluster.inside(run())
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == ("Pass", "FailsOver"), verdict
    assert [grace for _, grace in kubelet.evicted][:2] == [None, 1]
    assert all(seen[arm].moment("primary") != NEVER for arm in (HANDOVER, KILLED))
    assert [q.name for q in cluster.look(0).queues or ()] == []

"""The failover drill on real RabbitMQ members: what its ledger of confirmed publishes sees, on a cluster as the operator
renders it, and what an application goes through that publishes to it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final

import pytest

from ousted import LEAST_GRACE, Kubelet, drill, hurried
from readiness.drills.outage import HANDOVER, KILLED, arms, judge_outage
from readiness.engines.failover import Means
from readiness.engines.failover.rabbitmq import RabbitClient, build
from readiness.failover import Application, FailoverScript, StoreSubject
from readiness.timeline import NEVER, Moment, Timeline
from sandbox import NET, Sandbox
from test_rabbitmq_members import PASSWORDS, USER, Cluster, formed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
BINDING: Final = {
    "host": f"{NET}.1", "username": USER, "password": PASSWORDS[f"{USER}-password"], "virtual-host": "/", "port": "5672",
    "monitoring": PASSWORDS["monitoring-password"],
}  # fmt: skip
API: Final = Application("api", "api.shop.svc", "10.0.0.9", 80, "/deep")


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("rabbitmq")) as found:
        yield found


def end(box: Sandbox, name: str, grace: int | None) -> None:
    index = int(name.rpartition("-")[2])
    if grace is None:
        box.stop(index)
        return
    container = box.running[name]
    hook = box.workload["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]  # fmt: skip
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


def kubelet_of(box: Sandbox) -> Kubelet:
    return Kubelet(
        lambda name, grace: end(box, name, grace),
        lambda name: box.start(int(name.rpartition("-")[2])),
    )


def drilled(cluster: Cluster, kubelet: Kubelet, *, hurry: bool = False, kill: int | None = None) -> dict[str, Timeline]:  # fmt: skip
    """The drill, with an application that publishes once a second. `kill`: a member that dies when the leader has gone."""
    hosts = tuple(cluster.box.host(index) for index in range(3))
    addresses = {host: f"{NET}.{index + 1}" for index, host in enumerate(hosts)}
    subject = StoreSubject("shop", "jobs", "rabbitmq", hosts, 5672, "jobs", monitor="known", applications=(API,))  # fmt: skip
    played = tuple(map(hurried, arms())) if hurry else arms()
    script = FailoverScript("run1", subject, played)

    def client(run: str) -> RabbitClient:
        return build(replace(script, run=run), BINDING, lambda host: addresses.get(host, host))

    application, orders = client("of-the-application"), count()

    async def ask(_: Application) -> bool:
        return await application.write(next(orders))

    def when(moment: Moment) -> None:
        if moment.name == "ousted" and kill is not None:
            left = [name for name in cluster.box.running if name != moment.detail]
            cluster.box.running[left[kill]].kill()

    async def run() -> dict[str, Timeline]:
        try:
            return await drill(script, Means(client("run1"), kubelet, ask), kubelet, when)
        finally:
            if kill is None:
                await application.clear()
            await application.close()

    seen: dict[str, Timeline] = cluster.inside(run())
    return seen


def test_a_cluster_fails_over_twice_its_application_gets_over_it_and_nothing_is_left(cluster: Cluster) -> None:  # fmt: skip
    kubelet = kubelet_of(cluster.box)
    seen = drilled(cluster, kubelet)
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == ("Pass", "FailsOver"), verdict
    assert [grace for _, grace in kubelet.evicted][:2] == [None, 1]
    assert all(seen[arm].moment("primary") != NEVER for arm in (HANDOVER, KILLED))
    assert all(served.asked for timeline in seen.values() for served in timeline.served)
    assert [q.name for q in cluster.look(0).queues or ()] == []


def test_a_second_member_that_dies_meanwhile_is_a_failure_and_the_last_thing_that_is_done(cluster: Cluster) -> None:  # fmt: skip
    kubelet = kubelet_of(cluster.box)
    seen = drilled(cluster, kubelet, hurry=True, kill=0)
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert verdict.result == "Fail", verdict
    assert verdict.reason in ("NoFailover", "FailoverTooSlow", "NotWholeAgain"), verdict
    assert len(kubelet.evicted) == 1
    assert seen[KILLED].problem is not None
    assert seen[KILLED].problem.reason == "Aborted"
    assert not seen[HANDOVER].served[0].well

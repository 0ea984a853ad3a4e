"""The failover drill on real Redis servers: what its ledger sees, and what the verdict is where the Sentinels cannot agree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from ousted import Kubelet, drill, hurried
from readiness.dataservices.redis.build import group_of, members_of, sentinels_of
from readiness.drills.outage import HANDOVER, KILLED, arms, judge_outage
from readiness.engines.failover import Means
from readiness.engines.failover.redis import RedisClient, build
from readiness.failover import FailoverScript, StoreSubject
from readiness.model import Result
from readiness.timeline import NEVER, Moment, Timeline

from .orders import PASSWORDS, manifests_of, order_of
from .rig import Pod, Rig, image_root
from .test_processes import ready

pytestmark = pytest.mark.slow
ORDER = order_of()
NETWORKS = (f"127.{100 + os.getpid() % 100}.{number}" for number in count(100))
SCRIPT = FailoverScript(
    "run1",
    StoreSubject(
        "shop", "cache", "redis", members_of(ORDER).hosts, 6379, ORDER.name(),
        sentinels_of(ORDER).hosts, group=group_of(ORDER),
    ),
    arms(),
)  # fmt: skip
Seen = dict[str, Timeline]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = Rig(image_root("trixie"), tmp_path, next(NETWORKS), manifests_of(ORDER))
    found.start()
    try:
        ready(found)
        found.form()
        yield found
    finally:
        found.stop()


def client_of(rig: Rig) -> RedisClient:
    return build(SCRIPT, rig.secret(ORDER.name()), rig.address_of)


def drilled(
    rig: Rig, when: Callable[[Moment], None] = lambda _: None, script: FailoverScript = SCRIPT
) -> tuple[Seen, Kubelet]:
    """The whole drill; `when` is told of each moment."""
    kubelet = Kubelet(lambda name, grace: rig.pods[name].evicted(grace), lambda name: rig.pods[name].start())  # fmt: skip
    return asyncio.run(drill(script, Means(client_of(rig), kubelet), kubelet, when)), kubelet


def keys(pod: Pod) -> list[str]:
    with Redis(pod.address, 6379, username="admin", password=PASSWORDS["admin"], decode_responses=True) as client:  # fmt: skip
        return [str(key) for key in client.scan_iter()]


def test_a_healthy_set_fails_over_twice_and_nothing_is_left(rig: Rig):
    seen, kubelet = drilled(rig)
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == (Result.PASS, "FailsOver"), verdict
    assert [grace for _, grace in kubelet.evicted][:2] == [None, 1]
    assert all(seen[arm].moment("primary") != NEVER for arm in (HANDOVER, KILLED))
    assert [key for pod in rig.members for key in keys(pod)] == []


def test_sentinels_without_a_majority_are_seen_before_anything_is_disturbed(rig: Rig):
    for each in rig.sentinels[:2]:
        each.kill()
    seen, kubelet = drilled(rig, script=replace(SCRIPT, arms=tuple(map(hurried, arms()))))
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == (Result.UNKNOWN, "NotWhole"), verdict
    assert "majority" in verdict.message
    assert kubelet.evicted == []


def test_sentinels_that_leave_meanwhile_are_a_failure_and_the_last_thing_that_is_done(rig: Rig):
    def leave(moment: Moment) -> None:
        if moment.name == "ousted":
            for each in rig.sentinels[:2]:
                each.kill()

    seen, kubelet = drilled(rig, leave, replace(SCRIPT, arms=tuple(map(hurried, arms()))))
    verdict = judge_outage(seen, most_seconds=30, most_lost=0)

    assert (verdict.result, verdict.reason) == (Result.FAIL, "NoFailover"), verdict
    assert len(kubelet.evicted) == 1

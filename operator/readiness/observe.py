"""What the process tells about itself: the pages of its server, and when it calls itself unwell.

Alive means that work gets done, not that a port answers: a pass or a key that is stuck, or a loop
that was, is told. Composition of metrics, queue and cluster; it changes none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from readiness.cluster import Cluster
from readiness.metrics import CONTENT_TYPE, Metrics
from readiness.reconcile import Key
from readiness.scheduler import Load, Queue
from readiness.server import Page, Pages, verdict
from readiness.settings import Settings
from readiness.waivers import epoch

BEAT_SECONDS: Final = 0.5
STUCK: Final = 2.0


def pages_of(
    metrics: Metrics,
    cluster: Cluster,
    queue: Queue[Key],
    leads: Callable[[], bool],
    settings: Settings,
) -> Pages:
    """/metrics, /healthz and /readyz."""
    load = queue.load()
    _describe(metrics, cluster, lambda: load)

    async def exposition() -> Page:
        nonlocal load  # the thread that renders has no loop to ask for the time
        load = queue.load()
        metrics.led(leads=leads())
        return Page(200, await asyncio.to_thread(metrics.exposition), CONTENT_TYPE)

    async def healthz() -> Page:
        return verdict(problem_of(queue.load(), settings.key_deadline))

    async def readyz() -> Page:
        waiting = cluster.waiting_for() if leads() and not cluster.ready else []
        return verdict(f"not listed yet: {', '.join(waiting)}" if waiting else "")

    return {"/metrics": exposition, "/healthz": healthz, "/readyz": readyz}


def problem_of(load: Load, deadline: float) -> str:
    """Why the queue counts as stuck, or nothing."""
    if load.longest > STUCK * deadline:
        return f"a pass has been running for {load.longest:.0f} s, its deadline is {deadline:g} s"
    if load.waiting and load.silence > STUCK * deadline:
        return f"{load.waiting} keys wait, and no pass has ended for {load.silence:.0f} s"
    return ""


async def measure_lag(metrics: Metrics) -> None:
    """Notes how late the event loop is, until cancelled."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + BEAT_SECONDS
        await asyncio.sleep(BEAT_SECONDS)
        metrics.lagged(max(0.0, clock() - due))


def _describe(metrics: Metrics, cluster: Cluster, load: Callable[[], Load]) -> None:
    """Gauges that are read when somebody asks."""
    name = "readiness_reconcile_queue"
    metrics.watch(f"{name}_depth", "Policies that wait for a worker.", lambda: load().waiting)
    metrics.watch(f"{name}_scheduled", "Policies with a time.", lambda: load().scheduled)
    metrics.watch(f"{name}_oldest_seconds", "How long the first waits.", lambda: load().oldest)
    metrics.watch("readiness_reconcile_running", "Passes under way.", lambda: load().working)
    metrics.watch_rows(
        "readiness_namespace_uncovered",
        "Workloads of a namespace that has no policy.",
        ("namespace",),
        lambda: {(namespace,): count for namespace, count in cluster.uncovered().items()},
    )
    metrics.watch_rows(
        "readiness_waiver_expiry_timestamp_seconds",
        "When a waiver ends.",
        ("namespace", "waiver", "policy"),
        lambda: {
            (w["metadata"]["namespace"], w["metadata"]["name"], w["spec"]["policyRef"]): epoch(
                w["spec"]["expires"]
            )
            for w in cluster.waivers()
        },
    )

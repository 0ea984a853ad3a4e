"""The operator process: puts the parts together, starts them in order, stops them in order.

The composition root of `readiness run`: connect, serve, lead, list everything, work. It holds no
rule: what is judged is in `plan`, when is in `scheduler`, what is written is in `cluster`.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Final

from readiness import __version__, api, logs, naming, rules
from readiness.backups.standing import stores_of
from readiness.cluster import (
    ApiError,
    Cluster,
    Connection,
    Frame,
    NotLeadingError,
    Pace,
    Rim,
    connect,
)
from readiness.cluster.jobs import Jobs
from readiness.drills.job import build_job
from readiness.engines import (
    Depths,
    Dialer,
    Drills,
    Egress,
    Engines,
    Guard,
    Inspector,
    Office,
    Owner,
    Resolver,
    addresses_of,
    build_trust,
)
from readiness.engines.dialer import Trust
from readiness.engines.promql import Prometheus
from readiness.failover import AnyScript
from readiness.handlers import Scope, watch_own
from readiness.incidents import Incidents
from readiness.lease import Api, Elector, Terms
from readiness.metrics import Metrics
from readiness.model import Manifest
from readiness.observe import measure_lag, pages_of
from readiness.reconcile import Key, Reconciler
from readiness.redact import Redactor
from readiness.scheduler import Queue
from readiness.script import Script
from readiness.server import Server
from readiness.settings import Settings
from readiness.snapshot import Provided, Scraping
from readiness.timeline import Problem, ProblemError

STOPPED, FAILED = 0, 1
DRAIN_SECONDS: Final = 5.0
log = logging.getLogger("readiness")


async def run_operator(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT (0), or until leadership is lost or a part fails (1)."""
    redactor = Redactor()
    logs.setup(settings.log_level, settings.log_format, redactor)
    log.info("readiness operator %s starts as %s", __version__, settings.identity)
    api.load()
    gc.set_threshold(20_000, 20, 20)  # the default looks through every cached object far too often
    stop, metrics = _stop_on_signals(), Metrics(time.time)
    async with AsyncExitStack() as stack:
        lease = await connect(settings.kubeconfig, metrics.called, settings.lease_retry * 2)
        stack.push_async_callback(lease.close)
        connection = await connect(settings.kubeconfig, metrics.called)
        stack.push_async_callback(connection.close)
        elector = Elector(_lease_api(lease), _terms(settings), time.time)
        operator = build_operator(settings, connection, elector, (metrics, redactor))
        pages = pages_of(metrics, operator.cluster, operator.queue, elector.leads, settings)
        server = Server(pages).listening(settings.http_host, settings.http_port)
        log.info("serving metrics and health on port %d", await stack.enter_async_context(server))
        lag = asyncio.create_task(measure_lag(metrics), name="measure lag")
        stack.callback(lag.cancel)
        return await _lead(operator, elector, stop)


async def _lead(operator: Operator, elector: Elector, stop: asyncio.Event) -> int:
    stopping = asyncio.create_task(stop.wait(), name="stop signal")
    acquiring = asyncio.create_task(elector.acquire(), name="acquire the Lease")
    tasks, code = [stopping, acquiring], STOPPED
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        acquiring.result()
        holding = asyncio.create_task(elector.hold(), name="hold the Lease")
        working = asyncio.create_task(operator.work(), name="work")
        tasks += [holding, working]
        await asyncio.wait((stopping, holding, working), return_when=asyncio.FIRST_COMPLETED)
        code = STOPPED if stop.is_set() else FAILED
        if working.done() and not working.cancelled() and (error := working.exception()):
            log.error("a part of the operator failed", exc_info=error)
        await operator.stop(gently=stop.is_set())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(TimeoutError, ApiError):
        await elector.release()
    log.info("stopped")
    return code


@dataclass(slots=True)
class Operator:
    """The parts that work while this replica leads."""

    settings: Settings
    connection: Connection
    cluster: Cluster
    queue: Queue[Key]
    engines: Engines
    reconciler: Reconciler
    elector: Elector
    metrics: Metrics
    prometheus: Prometheus | None = None

    async def work(self) -> None:
        """Lists everything, then works until cancelled; raises when a part fails."""
        async with asyncio.TaskGroup() as group:
            await self.cluster.start(group, self._watch)
            gc.collect()
            gc.freeze()  # what was listed mostly stays; no need to look through it again
            self.cluster.begin()
            await self._sweep()
            if self.prometheus:
                group.create_task(self.prometheus.watch(), name="ask Prometheus")
            log.info("every kind is listed, work begins")
            await self.queue.run()

    async def _sweep(self) -> None:
        """Deletes drills that another life of the operator left behind, before this one starts any."""
        for namespace in self.cluster.drilled_in():
            try:
                if swept := await Jobs(self.connection, namespace).sweep():
                    log.info("%d drills of an earlier run deleted in %s", swept, namespace)
            except ApiError as error:  # their own deadline ends them
                log.warning("drills of an earlier run stay in %s: %s", namespace, error)

    async def stop(self, *, gently: bool) -> None:
        """Takes no more work; gently, lets passes under way end first."""
        await self.queue.drain(DRAIN_SECONDS if gently else 0.0)
        await self.engines.close()

    async def one_pass(self, key: Key) -> None:
        """One pass, with a run id for its log records, and what it leaves in metrics and clock."""
        logs.run.set(uuid.uuid4().hex[:12])
        if not self.elector.leads():
            raise NotLeadingError("the Lease was not renewed in time")
        decided = await self.reconciler.reconcile(key)
        if decided is None:
            self.metrics.verdicts.forget(key)
            self.queue.forget(key)
            return
        if decided.status is not None:
            log.info("%s/%s: wrote the status and %d reports", *key, len(decided.reports))
        policy = self.cluster.policy(key) or {}
        status = policy.get("status") or {}
        self.metrics.verdicts.record(key, decided.findings, status, decided.memory)
        self.metrics.verdicts.record_stores(key, stores_of(policy))
        self.metrics.looked(decided.looks)
        self.queue.add_after(key, min(decided.next_at - time.time(), self.settings.resync))

    async def _watch(self, plurals: Iterable[str]) -> None:
        await self.connection.refresh()
        scope = Scope(self.settings.namespaces, self.settings.watch_inactivity)
        await watch_own(plurals, scope, self.connection.credentials, self.cluster.saw_own)


def build_operator(
    settings: Settings, connection: Connection, elector: Elector, rest: tuple[Metrics, Redactor]
) -> Operator:
    """All parts, not started. The queue comes first: everything else wakes keys in it."""
    metrics, redactor = rest
    rng = random.Random(settings.seed or None)

    async def work(key: Key) -> None:
        await operator.one_pass(key)

    queue: Queue[Key] = Queue(
        work, workers=settings.workers, deadline=settings.key_deadline, observer=metrics, rng=rng
    )
    frame = Frame(
        namespaces=settings.namespaces,
        egress=settings.egress_allow,
        drill_settle=settings.drills_settle,
        operator_namespace=settings.operator_namespace,
        identity=settings.identity,
        provided=_provided(settings),
        pace=Pace(resync=settings.resync, inactivity=settings.watch_inactivity),
    )
    cluster = Cluster(connection, frame, Rim(time.time, elector.leads, redactor, queue.add_after))
    denied = Denied(cluster, settings.denied_addresses)
    guard = Guard(Egress(settings.egress_allow), Resolver(), lambda: denied)
    drills = Drills(
        build_office(settings, connection, metrics), queue.add, settings.drills_parallel
    )
    trust = build_trust()
    depths = Depths(drills, Inspector(guard, cluster.secrets.find))
    engines = Engines(Dialer(guard, trust), queue.add, depths=depths)
    prometheus = build_prometheus(settings, trust, cluster.wake_drilled)
    incidents = (lambda: prometheus.known) if prometheus else Incidents
    reconciler = Reconciler(rules.load(), cluster, engines, time.time, incidents)
    operator = Operator(
        settings, connection, cluster, queue, engines, reconciler, elector, metrics, prometheus
    )
    return operator


def build_prometheus(
    settings: Settings, trust: Trust, changed: Callable[[], None]
) -> Prometheus | None:
    """Who says whether an incident goes on; nobody, where no setting names one."""
    url, matchers = settings.prometheus, settings.prometheus_matchers
    return Prometheus(url, matchers, trust.edge, changed) if url else None


def _provided(settings: Settings) -> Provided:
    kinds = ("redis", "mongodb", "rabbitmq", "resident", "redis_exporter", "mongodb_exporter")
    images = {kind: getattr(settings, f"stores_{kind}_image") for kind in kinds}
    scraping = Scraping(settings.prometheus_namespaces, dict(settings.prometheus_labels))
    return Provided(images=images, operator_image=settings.image, preview=settings.stores_preview, scraping=scraping)  # fmt: skip


def build_office(settings: Settings, connection: Connection, metrics: Metrics) -> Office:
    """How this operator orders drills: as Jobs of its own image, owned by the policy."""
    images = {
        "redis": settings.drills_redis_image,
        "mongodb": settings.drills_mongodb_image,
        "rabbitmq": settings.drills_rabbitmq_image,
    }

    def job(script: AnyScript, owner: Owner) -> Manifest:
        if not settings.image:
            raise ProblemError(Problem("Refused", "the operator was not told its own image", "set READINESS_IMAGE, as the chart does"))  # fmt: skip
        own = naming.labels(owner.key[1], script.subject.target)
        whole = replace(script, labels=tuple(own.items()))
        if isinstance(whole, Script):
            whole = replace(whole, images=tuple(images.items()))
        return build_job(whole, settings.image, naming.owner(owner.key[1], owner.uid))

    return Office(lambda namespace: Jobs(connection, namespace), job, metrics)


class Denied:
    """Addresses that no probe may reach: nodes, API servers, and what the settings add."""

    def __init__(self, cluster: Cluster, networks: Iterable[str]) -> None:
        self._cluster = cluster
        self._networks = tuple(ipaddress.ip_network(text) for text in networks)

    def __contains__(self, address: object) -> bool:
        return address in addresses_of(self._cluster.infrastructure()) or any(
            address in network for network in self._networks
        )


def _terms(settings: Settings) -> Terms:
    return Terms(
        namespace=settings.operator_namespace,
        name=settings.lease_name,
        identity=f"{settings.identity}_{uuid.uuid4().hex[:8]}",
        duration=settings.lease_duration,
        renew_deadline=settings.lease_renew_deadline,
        retry=settings.lease_retry,
    )


def _lease_api(connection: Connection) -> Api:
    async def ask(method: str, path: str, body: Manifest | None) -> tuple[int, Manifest]:
        try:
            return 200, await connection.request(method, path, body)
        except ApiError as error:
            log.info("Lease: %s", error)
            return error.status, {}

    return ask


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop

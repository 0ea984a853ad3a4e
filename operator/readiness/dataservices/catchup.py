"""Schedules of backups that came to nothing, found for each data service, and the Job that makes up for one.

Whether there is one is decided in `backups/catchup.py`; here it is gathered what is known and written what follows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.backups.catchup import UNSEEN_SECONDS, Known, Missed, Step, catch_up
from readiness.backups.named import holds_up
from readiness.dataservices.backed import job_of, rows_of
from readiness.dataservices.order import Order
from readiness.dataservices.provision import Act, Provision, Service, Write
from readiness.dataservices.runs import build_listing
from readiness.dataservices.wish import Wish, kind_of, order_of
from readiness.model import Manifest
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.snapshot import Snapshot

_OVER: Final = frozenset({"Succeeded", "Failed"})


def caught_up(
    wish: Wish, snapshot: Snapshot, decided: Provision, kept: Mapping[str, Order]
) -> Provision:
    """The same with what has to be made up for: at most one Job for each service. `kept` are orders of what we do not run."""
    if wish.spec.backups is None or holds_up(snapshot.provided.absent):
        return decided
    rows = rows_of(wish.policy, snapshot.provided.runs)
    orders = {s.name: order_of(wish, snapshot, s) for s in wish.spec.data_services if kind_of(s)}
    orders |= kept
    services, writes = [], list(decided.writes)
    for service in decided.services:
        order, runs = orders.get(service.name), snapshot.provided.runs.get(service.name, ())
        cron = _cron_job(order, snapshot) if order and order.backups else None
        missed = (
            _missed(service, cron, rows.get(service.name, {}), runs, wish.now) if cron else None
        )
        services.append(replace(service, missed=missed))
        if order is not None and cron is not None and missed is not None and missed.step:
            writes.append(_start(order, cron, missed, wish.now))
    return replace(decided, services=tuple(services), writes=tuple(writes))


def _cron_job(order: Order, snapshot: Snapshot) -> Manifest | None:
    return snapshot.provided.children.get(("CronJob", order.name(naming.BACKUP)))


def _missed(
    service: Service, cron: Manifest, row: Manifest, runs: Iterable[Manifest], now: float
) -> Missed | None:
    """Nothing of a CronJob that somebody suspended, and nothing while no member could be dumped."""
    if cron["spec"].get("suspend") or service.obstacles:
        return None
    if service.runs and not any(ready for _, ready in service.members):
        return None
    known = _known(cron, row, tuple(runs), now)
    return catch_up(cron["spec"]["schedule"], cron["spec"].get("timeZone") or "Etc/UTC", known, now)


def _known(cron: Manifest, row: Manifest, runs: tuple[Manifest, ...], now: float) -> Known:
    tried = row.get("catchUp") or {}
    at, step = stamp_of(tried.get("at")), tried.get("step", "")
    jobs = {job_of(pod) for pod in runs}
    ended = max(row.get(key, "") for key in ("lastSuccess", "lastFailure", "listed"))
    seen = stamp_of(ended or None) >= at or _name(cron, step, at) in jobs
    return Known(
        since=stamp_of(cron["metadata"].get("creationTimestamp")),
        newest=max(stamp_of(row.get("newest")), stamp_of(row.get("lastSuccess"))),
        listed=stamp_of(row.get("listed")),
        tried=at,
        step=step,
        seen=seen or now - at >= UNSEEN_SECONDS,
        running=any(_runs(pod) for pod in runs),
    )


def _runs(pod: Manifest) -> bool:
    part = (pod["metadata"].get("labels") or {}).get(naming.PART_LABEL)
    return (
        part in (naming.BACKUP, naming.LISTING)
        and (pod.get("status") or {}).get("phase") not in _OVER
    )


def _start(order: Order, cron: Manifest, missed: Missed, now: float) -> Write:
    """The CronJob's own Job, or one that lists. The minute in its name makes it one and the same however often it is decided."""
    saves, meta = missed.step is Step.SAVE, cron["metadata"]
    template = cron["spec"]["jobTemplate"] if saves else build_listing(order)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": meta["name"], "uid": meta["uid"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": _name(cron, str(missed.step), missed.at),
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }
    due = datetime.fromtimestamp(missed.due, UTC).strftime("%Y-%m-%d %H:%M UTC")
    first = saves and missed.at == now
    words = f"the repository has nothing of {due}: Job/{job['metadata']['name']} makes up for it"
    return Write(Act.START, order.service.name, job, does=words if first else "")


def _name(cron: Manifest, step: str, at: float) -> str:
    stem = str(cron["metadata"]["name"]).removesuffix(naming.BACKUP)
    return f"{stem}{step}-{int(at) // 60}"

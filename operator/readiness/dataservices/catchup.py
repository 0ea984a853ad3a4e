"""Schedules of backups and restore drills that came to nothing, found for each data service, and the Job that makes up for one.

Whether there is one is decided in `backups/catchup.py`; here it is gathered what is known and written what follows. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.backups.catchup import (
    UNSEEN_SECONDS,
    Known,
    Missed,
    Step,
    catch_up,
    drill_again,
)
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
        order = orders.get(service.name)
        if order is None or order.backups is None:
            services.append(service)
            continue
        case = _Case(order, snapshot, rows.get(service.name, {}), wish.now)
        missed = _missed(case, service)
        undrilled = _undrilled(case, service)
        services.append(replace(service, missed=missed, undrilled=undrilled))
        writes += case.started(naming.BACKUP, missed)
        writes += case.started(naming.RESTORE_DRILL, undrilled)
    return replace(decided, services=tuple(services), writes=tuple(writes))


@dataclass(frozen=True, slots=True)
class _Case:
    """One service: what was seen, and the row of its backups."""

    order: Order
    snapshot: Snapshot
    row: Manifest
    now: float

    @property
    def runs(self) -> tuple[Manifest, ...]:
        """Pods of its Jobs."""
        return tuple(self.snapshot.provided.runs.get(self.order.service.name, ()))

    def cron(self, part: str) -> Manifest | None:
        """A CronJob; None of one that is not there, or that somebody suspended."""
        found = self.snapshot.provided.children.get(("CronJob", self.order.name(part)))
        return None if found is None or found["spec"].get("suspend") else found

    def runs_of(self, *parts: str) -> bool:
        """Whether a Job of these is under way."""
        return any(_part(pod) in parts and (pod.get("status") or {}).get("phase") not in _OVER for pod in self.runs)  # fmt: skip

    def known(self, row: Manifest, cron: Manifest, ended: str) -> Known:
        """What all have in common; `ended` is when the last run of it did."""
        tried = row.get("catchUp") or {}
        at, step = stamp_of(tried.get("at")), tried.get("step", "")
        seen = stamp_of(ended or None) >= at or _name(self.order, step, at) in map(job_of, self.runs)  # fmt: skip
        since = stamp_of(cron["metadata"].get("creationTimestamp"))
        return Known(since, tried=at, step=step, seen=seen or self.now - at >= UNSEEN_SECONDS)

    def started(self, part: str, missed: Missed | None) -> tuple[Write, ...]:
        """The Job that makes up for it, if one is to be started."""
        cron = self.cron(part)
        return () if cron is None or missed is None or missed.step is None else (_start(self.order, cron, missed, self.now),)  # fmt: skip


def _missed(case: _Case, service: Service) -> Missed | None:
    """A backup; nothing while no member could be dumped."""
    cron, row = case.cron(naming.BACKUP), case.row
    if cron is None or service.obstacles:
        return None
    if service.runs and not any(ready for _, ready in service.members):
        return None
    ended = max(row.get(key, "") for key in ("lastSuccess", "lastFailure", "listed"))
    known = replace(
        case.known(row, cron, ended),
        newest=max(stamp_of(row.get("newest")), stamp_of(row.get("lastSuccess"))),
        listed=stamp_of(row.get("listed")),
        running=case.runs_of(naming.BACKUP, naming.LISTING),
    )
    return catch_up(cron["spec"]["schedule"], _zone(cron), known, case.now)


def _undrilled(case: _Case, service: Service) -> Missed | None:
    """A restore drill; nothing before there is something to restore."""
    cron, row = case.cron(naming.RESTORE_DRILL), case.row.get("restoreDrill") or {}
    if cron is None or service.obstacles or not case.row.get("lastSuccess"):
        return None
    ended = max(row.get(key, "") for key in ("lastSuccess", "lastFailure"))
    known = replace(
        case.known(row, cron, ended),
        newest=stamp_of(ended or None),
        running=case.runs_of(naming.RESTORE_DRILL),
    )
    return drill_again(cron["spec"]["schedule"], _zone(cron), known, case.now)


def _zone(cron: Manifest) -> str:
    return str(cron["spec"].get("timeZone") or "Etc/UTC")


def _part(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(naming.PART_LABEL))


def _start(order: Order, cron: Manifest, missed: Missed, now: float) -> Write:
    """The CronJob's own Job, or one that lists. The minute in its name makes it one and the same however often it is decided."""
    saves, meta = missed.step is Step.SAVE, cron["metadata"]
    template = build_listing(order) if missed.step is Step.LIST else cron["spec"]["jobTemplate"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": meta["name"], "uid": meta["uid"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": _name(order, str(missed.step), missed.at),
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


def _name(order: Order, step: str, at: float) -> str:
    return f"{order.name(step)}-{int(at) // 60}"

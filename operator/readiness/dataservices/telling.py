"""What is told of data services: their rows in the status, and the condition Provisioned.

Pure. The condition's reason is the first obstacle's: one word for programs, all of them in words.
"""

from __future__ import annotations

from typing import Final

from readiness.backups.manifest import LEFT_OUT
from readiness.dataservices.backed import backup_row
from readiness.dataservices.failover import drilled_row, failover_rows
from readiness.dataservices.provision import Provision, Service
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Provided

PROVISIONING: Final = "Provisioning"
PASSING: Final = frozenset(
    {
        PROVISIONING,
        "Crashing",
        "Unschedulable",
        "RemovalPending",
        "TerminationBlocked",
        "StepFailed",
    }
)
"""What may end without a change of the spec, so that nobody calls the policy stalled."""
MEMBERS: Final = 16
MAX_LAG: Final = 10
"""Seconds. More is told than whether a replica is within them by nobody: it moves by itself."""


def service_row(service: Service, old: Manifest, provided: Provided, now: str) -> Manifest:
    """The row of `status.dataServices`. `old` is the row as it was: it knows the primary before this one."""
    reason = service.obstacles[0].reason if service.obstacles else ""
    pods = provided.pods.get(service.name, ())
    sets = (child for (kind, _), child in provided.children.items() if kind == "StatefulSet")
    drilled = provided.switched.get(service.name)
    row = {
        "name": service.name,
        "kind": service.kind,
        "ready": service.ready,
        "reason": reason or (PROVISIONING if service.waiting else service.reason),
        "secretName": service.secret,
        **failover_rows(service.seen, old, pods, sets, now),
        **({"lastFailover": drilled_row(drilled, now)} if drilled else {}),
        "lag": old.get("lag", "") if _unanswered(service) else _lag(service),
        "backup": _saved(service, old.get("backup") or {}, provided),
        "members": [
            {"name": name, "ready": ready, **_member(service, name, old)}
            for name, ready in service.members[:MEMBERS]
        ],
    }
    return {key: value for key, value in row.items() if value not in ("", [], {})}


def _saved(service: Service, old: Manifest, provided: Provided) -> Manifest:
    """What runs have told, and what no run saves."""
    row = backup_row(old, provided.runs.get(service.name, ()), service.missed, service.undrilled)
    absent = LEFT_OUT.get(service.kind)
    return row | {"leavesOut": absent} if row and absent else row


def _unanswered(service: Service) -> bool:
    """An operator that has just started asks first: what was said before stands until servers answer, or each start would write twice."""
    return service.seen is None and service.look is not None


def _lag(service: Service) -> str:
    lag = service.seen.lag if service.seen else None
    return "" if lag is None else f"{'>' if lag > MAX_LAG else '<='}{MAX_LAG}s"


def _member(service: Service, name: str, old: Manifest) -> Manifest:
    if _unanswered(service):
        before: Manifest = next((m for m in old.get("members") or () if m["name"] == name), {})
        return {key: before[key] for key in ("role", "reason") if key in before}
    seen = next((m for m in service.seen.members if m.name == name), None) if service.seen else None
    told = {"role": seen.role, "reason": ", ".join(seen.reasons)} if seen else {}
    return {key: value for key, value in told.items() if value}


def provisioned_of(provision: Provision) -> tuple[str, str, str]:
    """Status, reason and message."""
    if not provision.services:
        return "True", "NothingDeclared", "the policy declares nothing to provision"
    met = [(service.name, each) for service in provision.services for each in service.obstacles]
    if met:
        return "False", met[0][1].reason, "; ".join(_words(name, each) for name, each in met[:5])
    waiting = [f"{s.name}: {s.waiting}" for s in provision.services if s.waiting]
    if waiting:
        return "False", PROVISIONING, "; ".join(waiting)
    names = ", ".join(service.name for service in provision.services)
    doing = "".join(f"; {s.name}: {s.doing}" for s in provision.services if s.doing)
    return "True", "Provisioned", f"every member is Ready: {names}{doing}"


def _words(name: str, obstacle: Obstacle) -> str:
    fix = f" ({obstacle.fix})" if obstacle.fix else ""
    return f"{name}: {obstacle.message}{fix}"

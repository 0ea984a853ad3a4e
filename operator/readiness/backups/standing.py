"""The metrics of one store's backups, from what the policy's status keeps of its runs.

Nothing is made up: what nobody has told has no sample, and an alert for that. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from readiness.backups import alerts
from readiness.model import Manifest
from readiness.workload import stamp_of

SUSPICIOUS: Final = "Suspicious"


def samples_of(backup: Manifest) -> Mapping[str, float]:
    """Samples by metric, of the row `status.dataServices[].backup`. That backups are expected is always told."""
    return {
        alerts.EXPECTED: 1.0,
        **dict(_backups(backup)),
        **dict(_drills(backup.get("restoreDrill") or {})),
    }


def stores_of(policy: Manifest) -> Mapping[str, Mapping[str, float]]:
    """The samples of every store that a policy wants backed up, by its name; also of one nobody has told anything of."""
    spec, status = policy.get("spec") or {}, policy.get("status") or {}
    if not spec.get("backups"):
        return {}
    told = {row["name"]: row.get("backup") or {} for row in status.get("dataServices") or ()}
    wanted = (s["name"] for s in spec.get("dataServices") or () if (s.get("backup") or {}).get("enabled", True))  # fmt: skip
    kept = (volume["name"] for volume in spec["backups"].get("volumes") or ())
    return {name: samples_of(told.get(name, {})) for name in (*wanted, *kept)}


def _backups(row: Manifest) -> Iterator[tuple[str, float]]:
    if row.get("lastSuccess"):
        yield alerts.SUCCESS, stamp_of(row["lastSuccess"])
        yield alerts.SIZE, row.get("size", 0)
        yield alerts.SNAPSHOTS, row.get("snapshots", 0)
    odd = row.get("reason") == SUSPICIOUS
    if row.get("lastSuccess") or odd:
        yield alerts.SUSPICIOUS, float(odd)
    if row.get("lastFailure") and not odd:
        yield alerts.FAILURE, stamp_of(row["lastFailure"])
    if "retentionHeld" in row:
        yield alerts.HELD, float(row["retentionHeld"])


def _drills(row: Manifest) -> Iterator[tuple[str, float]]:
    if row.get("lastSuccess"):
        yield alerts.DRILLED, stamp_of(row["lastSuccess"])
        yield alerts.RTO, row.get("rtoSeconds", 0)
        if "previousRtoSeconds" in row:
            yield alerts.PREVIOUS_RTO, row["previousRtoSeconds"]
    if row.get("lastFailure"):
        yield alerts.DRILL_FAILURE, stamp_of(row["lastFailure"])

"""What is missing for somebody to rely on a store's backups: by what the policy's status keeps of its runs.

The one place that says how old a success may be. Pure; texts name times that have been, never how long ago they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness.model import Manifest
from readiness.workload import stamp_of

FRESH_HOURS: Final = 26
DRILL_FRESH_DAYS: Final = 8


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing. `open`: nothing has been tried yet, so that nobody knows."""

    reason: str
    words: str
    open: bool = False


def remedy_of(service: str) -> str:
    """What to do about any of it."""
    return (
        f"see status.dataServices; what kubectl get cronjobs -l readiness.dev/data-service={service} names can be started by hand: "
        "kubectl create job now --from=cronjob/NAME"
    )


def unsaved(backup: Manifest, now: float, hours: float = FRESH_HOURS) -> Lack | None:
    """Why the row of a store shows no backup that is young enough; None where it does."""
    if last := backup.get("lastSuccess"):
        if now - stamp_of(last) <= hours * 3600:
            return None
        words = f"the last success is of {last}, more than {hours:g} h ago: see why its Jobs do not start"
        return Lack("Overdue", words)
    if reason := backup.get("reason"):
        return Lack("NeverSaved", f"no backup has succeeded: {reason}: {backup.get('message', '')}")
    return Lack("NoBackupYet", "nothing has been saved yet", open=True)


def unrestored(backup: Manifest, now: float) -> Lack | None:
    """Why the row of a store shows no restore drill that has passed lately; None where it does."""
    drill = backup.get("restoreDrill") or {}
    if reason := drill.get("reason"):
        words = f"its restore drill: {reason}: {drill.get('message', '')}"
        return Lack("RestoreFailed", words)
    last, first = drill.get("lastSuccess"), backup.get("firstSuccess")
    if (since := last or first) and now - stamp_of(since) > DRILL_FRESH_DAYS * 86400:
        words = f"no snapshot has been restored successfully since {since}, more than {DRILL_FRESH_DAYS} days ago"
        return Lack("RestoreOverdue", words)
    return None if last else Lack("NoRestoreYet", "nothing has been restored yet", open=True)

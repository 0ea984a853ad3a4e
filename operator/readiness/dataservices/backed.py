"""What is told of backups: the row `backup` of each data service, kept from run to run, and the condition BackupsHealthy.

A run's pod goes after two days, and what its last word said stays in the row. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.model import Manifest
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.backups.outcome import Outcome

FRESH_SECONDS: Final = 26 * 3600
DRILL_FRESH_SECONDS: Final = 8 * 24 * 3600
LONGEST: Final = 300
_REASON: Final = re.compile(r"[A-Z][A-Za-z]{1,40}")


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run's pod ended: with an outcome of ours, or before it could have one."""

    at: float
    reason: str
    message: str
    outcome: Outcome | None = None


def backup_row(old: Manifest, pods: Iterable[Manifest]) -> Manifest:
    """The row after what these pods said; what is older than the row changes nothing."""
    row, said = dict(old), tuple(pods)
    for ended in sorted(filter(None, map(ended_of, said)), key=lambda each: each.at):
        row = _after(row, ended)
    drill = dict(row.get("restoreDrill") or {})
    for ended in sorted(
        filter(None, (_ended(pod, naming.RESTORE_DRILL) for pod in said)), key=lambda each: each.at
    ):
        drill = _after_drill(drill, ended)
    for ended in sorted(
        filter(None, (_ended(pod, naming.RETENTION) for pod in said)), key=lambda each: each.at
    ):
        if ended.outcome is not None and ended.outcome.task == "retention":
            row["retentionHeld"] = ended.outcome.reason == "Held"
    return row | ({"restoreDrill": drill} if drill else {})


def is_run(pod: Manifest) -> bool:
    """Whether a pod belongs to a Job."""
    return bool(_job_of(pod))


def ended_of(pod: Manifest) -> Ended | None:
    """How a pod of a backup's Job ended; nothing while it runs, or where it says nothing of its own Job."""
    status, labels = pod.get("status") or {}, pod["metadata"].get("labels") or {}
    if labels.get(naming.PART_LABEL) != naming.BACKUP:
        return None
    for init in status.get("initContainerStatuses") or ():
        ended = _terminated(init)
        if ended and ended.get("exitCode"):
            return _without_outcome(init["name"], ended)
    ended = next(filter(None, map(_terminated, status.get("containerStatuses") or ())), None)
    return _with_outcome(ended, _job_of(pod)) if ended else None


def _ended(pod: Manifest, part: str) -> Ended | None:
    """How our container in a pod of that part ended; how a server beside it ends is nobody's affair."""
    status, labels = pod.get("status") or {}, pod["metadata"].get("labels") or {}
    if labels.get(naming.PART_LABEL) != part:
        return None
    ended = next(filter(None, map(_terminated, status.get("containerStatuses") or ())), None)
    return _with_outcome(ended, _job_of(pod)) if ended else None


def backups_of(spec: PolicySpec, rows: Sequence[Manifest], now: float) -> tuple[str, str, str]:
    """Status, reason and message of BackupsHealthy."""
    wanted = {s.name for s in spec.data_services if s.backup is None or s.backup.enabled}
    told = [row for row in rows if row["name"] in wanted]
    if spec.backups is None or not told:
        return "Unknown", "NothingDeclared", "the policy declares no backups"
    bad = list(_problems(told, now))
    if bad:
        return "False", bad[0][1], "; ".join(f"{name}: {words}" for name, _, words in bad)
    waiting = [row["name"] for row in told if not row.get("backup", {}).get("lastSuccess")]
    if waiting:
        return "Unknown", "NoBackupYet", f"not saved yet: {', '.join(waiting)}"
    return "True", "BackedUp", f"saved within 26 h: {', '.join(row['name'] for row in told)}"


def _problems(rows: Iterable[Manifest], now: float) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        backup = row.get("backup") or {}
        if backup.get("reason"):
            yield row["name"], backup["reason"], backup.get("message", "")
        elif backup.get("lastSuccess") and now - stamp_of(backup["lastSuccess"]) > FRESH_SECONDS:
            words = f"the last success is of {backup['lastSuccess']}, more than 26 h ago: see why its Jobs do not start"
            yield row["name"], "Overdue", words
        yield from _undrilled(row["name"], backup.get("restoreDrill") or {}, now)


def _undrilled(name: str, drill: Manifest, now: float) -> Iterator[tuple[str, str, str]]:
    if drill.get("reason"):
        yield (
            name,
            "RestoreFailed",
            f"its restore drill: {drill['reason']}: {drill.get('message', '')}",
        )
    elif drill.get("lastSuccess") and now - stamp_of(drill["lastSuccess"]) > DRILL_FRESH_SECONDS:
        words = f"no snapshot has been restored successfully since {drill['lastSuccess']}, more than 8 days ago"
        yield name, "RestoreOverdue", words


def _after(row: Manifest, ended: Ended) -> Manifest:
    at = datetime.fromtimestamp(ended.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    last = max(row.get("lastSuccess", ""), row.get("lastFailure", ""))
    if at <= last:
        return row
    plain = {key: value for key, value in row.items() if key not in ("reason", "message")}
    if ended.reason:
        return {**plain, "lastFailure": at, "reason": ended.reason, "message": ended.message}
    told = ended.outcome
    if told is None or told.result == "Left":
        return row
    found = {"lastSuccess": at, "backupSet": told.backup_set, "snapshot": told.snapshot[:8], "size": told.size}  # fmt: skip
    return {**plain, **found, "snapshots": len(told.snapshots)}


def _after_drill(row: Manifest, ended: Ended) -> Manifest:
    at = datetime.fromtimestamp(ended.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if at <= max(row.get("lastSuccess", ""), row.get("lastFailure", "")):
        return row
    plain = {key: value for key, value in row.items() if key not in ("reason", "message")}
    told = ended.outcome
    if ended.reason or told is None:
        return {**plain, "lastFailure": at, "reason": ended.reason, "message": ended.message}
    before = {"previousRtoSeconds": row["rtoSeconds"]} if "rtoSeconds" in row else {}
    return {
        **plain,
        **before,
        "lastSuccess": at,
        "snapshot": told.snapshot[:8],
        "rtoSeconds": round(told.rto),
    }


def _with_outcome(ended: Manifest, run: str) -> Ended | None:
    """A message of another run, or none at all, is not believed."""
    from readiness.backups.codec import load_outcome  # pydantic, only where there are backups

    try:
        told = load_outcome(ended.get("message") or "")
    except ValueError:
        return _without_outcome("save", ended) if ended.get("exitCode") else None
    if told.run != run:
        return None
    good = told.result != "Failed" and told.reason != "Suspicious"
    return Ended(told.ended, "" if good else told.reason, _line(told.message), told)


def _without_outcome(container: str, ended: Manifest) -> Ended:
    """The vendor's containers leave a reason of their own; who was killed leaves none."""
    at = stamp_of(ended.get("finishedAt"))
    try:
        said = json.loads(ended.get("message") or "")
        reason, message = str(said["reason"]), _line(str(said["message"]))
    except (ValueError, TypeError, KeyError):
        reason, message = "", ""
    if not _REASON.fullmatch(reason):
        how = ended.get("reason") or "Error"
        words = f"its container {container} ended with {ended.get('exitCode')} ({how}); see its log"
        reason, message = "RunFailed", words
    return Ended(at, reason, message)


def _terminated(container: Manifest) -> Manifest | None:
    found = (container.get("state") or {}).get("terminated")
    return dict(found) if found else None


def _job_of(pod: Manifest) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(each["name"]) for each in owners if each.get("kind") == "Job"), "")


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST]

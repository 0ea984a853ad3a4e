"""What is told of backups: the row `backup` of each data service, kept from run to run, and the condition BackupsHealthy.

A run's pod goes after two days, and what its last word said stays in the row. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.backups.catchup import SKEW_SECONDS, Missed
from readiness.backups.proof import unrestored, unsaved
from readiness.model import Manifest
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.backups.outcome import Outcome

LONGEST: Final = 300
_REASON: Final = re.compile(r"[A-Z][A-Za-z]{1,40}")


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run's pod ended: with an outcome of ours, or before it could have one."""

    at: float
    reason: str
    message: str
    outcome: Outcome | None = None


def backup_row(
    old: Manifest,
    pods: Iterable[Manifest],
    missed: Missed | None = None,
    undrilled: Missed | None = None,
) -> Manifest:
    """The row after what these pods said; what is older than the row changes nothing."""
    row, said = dict(old), tuple(pods)
    for ended in sorted(filter(None, map(ended_of, said)), key=lambda each: each.at):
        row = _listed(_after(row, ended), ended)
    for ended in _of_part(said, naming.LISTING):
        row = _listed(_after(row, ended) if ended.reason else row, ended)
    drill = dict(row.get("restoreDrill") or {})
    for ended in _of_part(said, naming.RESTORE_DRILL):
        drill = _after_drill(drill, ended)
    drill = _with_missed(drill, undrilled)
    kept = dict(row.get("retention") or {})
    for ended in _of_part(said, naming.RETENTION):
        if ended.outcome is not None and ended.outcome.task == "retention":
            row = _listed(row, ended) | {"retentionHeld": ended.outcome.reason == "Held"}
        kept = _after_retention(kept, ended)
    parts = {"restoreDrill": drill, "retention": kept}
    return _with_missed(row | {key: part for key, part in parts.items() if part}, missed)


def rows_of(policy: Manifest, runs: Mapping[str, Iterable[Manifest]]) -> dict[str, Manifest]:
    """The rows of every data service, by name, as the status has them and after what these pods said."""
    rows = (policy.get("status") or {}).get("dataServices") or ()
    old = {row["name"]: row.get("backup") or {} for row in rows}
    return {name: backup_row(old.get(name, {}), runs.get(name, ())) for name in {*old, *runs}}


def is_run(pod: Manifest) -> bool:
    """Whether a pod belongs to a Job."""
    return bool(job_of(pod))


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
    return _with_outcome(ended, job_of(pod)) if ended else None


def _of_part(pods: Iterable[Manifest], part: str) -> list[Ended]:
    """How the runs of a part ended, the oldest first."""
    return sorted(filter(None, (_ended(pod, part) for pod in pods)), key=lambda each: each.at)


def _ended(pod: Manifest, part: str) -> Ended | None:
    """How our container in a pod of that part ended; how a server beside it ends is nobody's affair."""
    status, labels = pod.get("status") or {}, pod["metadata"].get("labels") or {}
    if labels.get(naming.PART_LABEL) != part:
        return None
    ended = next(filter(None, map(_terminated, status.get("containerStatuses") or ())), None)
    return _with_outcome(ended, job_of(pod)) if ended else None


def backups_of(
    spec: PolicySpec, rows: Sequence[Manifest], now: float, absent: Iterable[str] = ()
) -> tuple[str, str, str]:
    """Status, reason and message of BackupsHealthy; `absent` says which Secrets are not there."""
    wanted = {s.name for s in spec.data_services if s.backup is None or s.backup.enabled}
    wanted |= {volume.name for volume in spec.backups.volumes} if spec.backups else set()
    told = [row for row in rows if row["name"] in wanted]
    if spec.backups is None or not told:
        return "Unknown", "NothingDeclared", "the policy declares no backups"
    if lacking := "; ".join(absent):
        return "False", "SecretNotFound", lacking
    bad = list(_problems(told, now))
    if bad:
        return "False", bad[0][1], "; ".join(f"{name}: {words}" for name, _, words in bad)
    waiting = [row["name"] for row in told if not row.get("backup", {}).get("lastSuccess")]
    if waiting:
        return "Unknown", "NoBackupYet", f"not saved yet: {', '.join(waiting)}"
    return "True", "BackedUp", f"saved within 26 h: {', '.join(map(_saved, told))}"


def _saved(row: Manifest) -> str:
    absent = (row.get("backup") or {}).get("leavesOut")
    return f"{row['name']} (without {absent})" if absent else str(row["name"])


def _problems(rows: Iterable[Manifest], now: float) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        name, backup = row["name"], row.get("backup") or {}
        if backup.get("reason"):
            yield name, backup["reason"], backup.get("message", "")
        elif (old := unsaved(backup, now)) and not old.open:
            yield name, old.reason, old.words
        yield from _unkept(name, backup.get("retention") or {})
        if (lost := unrestored(backup, now)) and not lost.open:
            yield name, lost.reason, lost.words


def _unkept(name: str, retention: Manifest) -> Iterator[tuple[str, str, str]]:
    if retention.get("reason"):
        words = f"its retention: {retention['reason']}: {retention.get('message', '')}"
        yield name, "RetentionFailed", words


def _after(row: Manifest, ended: Ended) -> Manifest:
    at = _stamp(ended.at)
    last = max(row.get("lastSuccess", ""), row.get("lastFailure", ""))
    if at <= last:
        return row
    plain = {key: value for key, value in row.items() if key not in ("reason", "message")}
    if ended.reason:
        return {**plain, "lastFailure": at, "reason": ended.reason, "message": ended.message}
    told = ended.outcome
    if told is None or told.result == "Left":
        return row
    first = row.get("firstSuccess", at)
    found = {"firstSuccess": first, "lastSuccess": at, "backupSet": told.backup_set, "snapshot": told.snapshot[:8], "size": told.size}  # fmt: skip
    return {**plain, **found, "snapshots": len(told.snapshots)}


def _listed(row: Manifest, ended: Ended) -> Manifest:
    """What the repository held when this run looked; a snapshot from the future says nothing of today."""
    told, at = ended.outcome, _stamp(ended.at)
    if told is None or told.result == "Failed" or at <= row.get("listed", ""):
        return row
    newest = max((each for each in told.snapshots if each <= told.ended + SKEW_SECONDS), default=0)
    row = {key: value for key, value in row.items() if key != "newest"}
    return {**row, "listed": at, **({"newest": _stamp(newest)} if newest else {})}


def _with_missed(row: Manifest, missed: Missed | None) -> Manifest:
    row = {key: value for key, value in row.items() if key != "missed"}
    if missed is None:
        return row
    told = {"missed": _stamp(missed.due)} if missed.proved else {}
    tried = {"catchUp": {"at": _stamp(missed.at), "step": str(missed.step)}} if missed.step else {}
    return {**row, **told, **tried}


def _after_drill(row: Manifest, ended: Ended) -> Manifest:
    told = ended.outcome
    if told is None:
        return _turned(row, ended, {})
    before = {"previousRtoSeconds": row["rtoSeconds"]} if "rtoSeconds" in row else {}
    return _turned(row, ended, {**before, "snapshot": told.snapshot[:8], "rtoSeconds": round(told.rto)})  # fmt: skip


def _after_retention(row: Manifest, ended: Ended) -> Manifest:
    """A run of an earlier version counted nothing; that is no success that anything could be judged by."""
    census = ended.outcome.census if ended.outcome else None
    if census is None:
        return _turned(row, ended, {}) if ended.reason else row
    counted = {"days": census.days, "months": census.months, "surplus": census.surplus}
    return _turned(row, ended, counted | ({"oldest": _stamp(census.oldest)} if census.oldest else {}))  # fmt: skip


def _turned(row: Manifest, ended: Ended, told: Manifest) -> Manifest:
    """The row after one more run, which succeeded and told this, or failed."""
    at = _stamp(ended.at)
    if at <= max(row.get("lastSuccess", ""), row.get("lastFailure", "")):
        return row
    plain = {key: value for key, value in row.items() if key not in ("reason", "message")}
    if ended.reason or not told:
        return {**plain, "lastFailure": at, "reason": ended.reason, "message": ended.message}
    return {**plain, "lastSuccess": at, **told}


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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


def job_of(pod: Manifest) -> str:
    """The Job that a pod belongs to; empty for none."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(each["name"]) for each in owners if each.get("kind") == "Job"), "")


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST]

"""Snapshots as restic lists them, and the names by which ours are known in a repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from readiness.backups.manifest import BackupManifest, Kind

DIRECTORY: Final = "/backup"
"""The volume that the containers of a run share. A snapshot has its files at the root: `restic restore ID --target DIR`."""
OURS: Final = "readiness"
SUSPICIOUS: Final = "suspicious"
_SET: Final = "%Y%m%dT%H%MZ"
_SCHEDULED: Final = re.compile(r"-([0-9]{8})$")
"""How the CronJob controller ends the names of Jobs: minutes since 1970."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot. `at` is epoch seconds; `complete`: it holds as many bytes as it was meant to."""

    id: str
    at: int
    run: str = ""
    backup_set: str = ""
    kind: str = ""
    size: int = 0
    complete: bool = False
    suspicious: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """Whose snapshots something is to be done with, by the run of this name."""

    kind: Kind
    namespace: str
    policy: str
    service: str
    run: str

    @property
    def host(self) -> str:
        """The host of its snapshots."""
        return host_of(self.namespace, self.policy, self.service)


def host_of(namespace: str, policy: str, service: str) -> str:
    """The host that snapshots of a store carry."""
    return f"{service}.{policy}.{namespace}"


def tags_of(manifest: BackupManifest, size: int, *, suspicious: bool = False) -> tuple[str, ...]:
    """The tags of a snapshot that is to hold `size` bytes, the manifest's own among them."""
    said = (f"set={manifest.backup_set}", f"run={manifest.run}", f"kind={manifest.kind}", f"bytes={size}")  # fmt: skip
    return (OURS, *said, *((SUSPICIOUS,) if suspicious else ()))


def set_of(run: str, now: float) -> str:
    """The backup set of a run: the minute for which its Job was scheduled, else this one."""
    found = _SCHEDULED.search(run)
    at = int(found[1]) * 60 if found else now
    return datetime.fromtimestamp(at, UTC).strftime(_SET)


def load_snapshots(text: str, host: str) -> tuple[Snapshot, ...]:
    """Ours of that host in `restic snapshots --json`, the newest first. Raises ValueError."""
    found: Iterable[dict[str, Any]] = json.loads(text) or ()
    ours = [each for each in found if OURS in (each.get("tags") or ()) and each["hostname"] == host]
    return tuple(sorted(map(_snapshot, ours), key=lambda each: (-each.at, each.id)))


def _snapshot(row: dict[str, Any]) -> Snapshot:
    tags = dict(tag.split("=", 1) for tag in row["tags"] if "=" in tag)
    held = (row.get("summary") or {}).get("total_bytes_processed")
    return Snapshot(
        id=row["id"],
        at=int(datetime.fromisoformat(row["time"]).timestamp()),
        run=tags.get("run", ""),
        backup_set=tags.get("set", ""),
        kind=tags.get("kind", ""),
        size=held or 0,
        complete=held is not None and str(held) == tags.get("bytes"),
        suspicious=SUSPICIOUS in row["tags"],
    )

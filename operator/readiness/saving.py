"""The process of a backup's Job: a verified dump becomes a complete snapshot, or none, and it says how that ended.

The composition root of `readiness backup run`. It deletes nothing: what a kill leaves behind, the next run and retention cope with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from readiness.backups.codec import dump_manifest, load_source, load_verified
from readiness.backups.manifest import (
    DUMPS,
    MANIFEST,
    SOURCE,
    VERIFY,
    BackupManifest,
)
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.backups.sanity import suspicion_of
from readiness.backups.snapshots import Order, Snapshot, host_of, set_of, tags_of
from readiness.engines.repository import (
    Rim,
    file_of,
    list_snapshots,
    open_repository,
    patiently,
    read_manifest,
    read_snapshot,
    write_snapshot,
)
from readiness.engines.restic import Restic, ResticError

AHEAD_SECONDS: Final = 300
"""A snapshot from further in the future than this says that a clock is wrong."""


class SavingError(Exception):
    """There is nothing that could be saved, or what was saved is not what it should be."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def save(order: Order, directory: Path, restic: Restic, rim: Rim) -> Outcome:
    """Saves the files of a directory, and tells how that ended, whatever came."""
    began = rim.clock()
    plain = Outcome(
        order.run, Task.BACKUP, Result.FAILED, Reason.RESTIC, "", 0,
        backup_set=set_of(order.run, began),
    )  # fmt: skip
    try:
        told = _save(order, directory, restic, rim, plain)
    except (ResticError, SavingError) as error:
        told = replace(plain, reason=error.reason, message=str(error))
    return replace(told, ended=int(rim.clock()), seconds=round(rim.clock() - began, 1))


def _save(order: Order, directory: Path, restic: Restic, rim: Rim, plain: Outcome) -> Outcome:
    manifest = manifest_of(order, directory, plain.backup_set)
    open_repository(restic, order.run, rim)
    listed = list_snapshots(restic, order.host)
    now = rim.clock() + AHEAD_SECONDS
    if any(each.complete and manifest.source.began <= each.at <= now for each in listed):
        words = "another run saved a dump that is younger than this one"
        return replace(
            plain,
            result=Result.LEFT,
            reason=Reason.ALREADY_SAVED,
            message=words,
            snapshots=_times(listed),
        )
    odd = suspicion_of(manifest, listed, _previous(restic, listed))
    text = dump_manifest(manifest).encode()
    (directory / MANIFEST).write_bytes(text)
    sizes = {each.name: each.size for each in manifest.files} | {MANIFEST: len(text)}
    names = (order.host, *tags_of(manifest, sum(sizes.values()), suspicious=bool(odd)))
    written = patiently(restic, rim, lambda: write_snapshot(restic, directory, tuple(sizes), names, rim))  # fmt: skip
    saved = _read_back(restic, written.snapshot, sizes, manifest)
    return replace(
        plain,
        result=Result.SUCCEEDED,
        reason=Reason.SUSPICIOUS if odd else Reason.CLOCK if _ahead(listed, now) else Reason.SAVED,
        message=odd or f"saved {manifest.size} bytes of {order.service}",
        snapshot=written.snapshot,
        size=manifest.size,
        added=written.added,
        snapshots=_times((*saved, *listed)),
    )


def manifest_of(order: Order, directory: Path, backup_set: str) -> BackupManifest:
    """What the directory holds, as the containers before this one left it. Raises SavingError."""
    names = (DUMPS[order.kind], SOURCE, VERIFY)
    for name in names:
        path = directory / name
        if not path.is_file() or not path.stat().st_size:
            words = f"{name} is missing or empty: the container before this one did not end well"
            raise SavingError(Reason.DUMP_MISSING, words)
    try:
        source = load_source((directory / SOURCE).read_bytes())
        verified = load_verified((directory / VERIFY).read_bytes())
    except ValueError:
        words = f"{SOURCE} or {VERIFY} does not say what was dumped and found"
        raise SavingError(Reason.DUMP_UNVERIFIED, words) from None
    return BackupManifest(
        order.kind, order.namespace, order.policy, order.service, order.run, backup_set,
        source, verified, tuple(file_of(directory / name) for name in names),
    )  # fmt: skip


def _previous(restic: Restic, listed: Sequence[Snapshot]) -> BackupManifest | None:
    """Of the newest complete snapshot, as far as it can still be read: that it can is the drill's to prove."""
    newest = next((each.id for each in listed if each.complete), "")
    try:
        return read_manifest(restic, newest) if newest else None
    except (ResticError, ValueError):
        return None


def _read_back(
    restic: Restic, snapshot: str, sizes: dict[str, int], manifest: BackupManifest
) -> tuple[Snapshot, ...]:
    """The repository has every file in its size, and the manifest word by word; so it lists it. Raises SavingError."""
    host = host_of(manifest.namespace, manifest.policy, manifest.service)
    try:
        listed, found = read_snapshot(restic, snapshot, host)
        read = read_manifest(restic, snapshot)
    except (ResticError, ValueError) as error:
        raise SavingError(Reason.READ_BACK, f"snapshot {snapshot[:8]} cannot be read: {error}") from None  # fmt: skip
    if found != sizes or read != manifest:
        lost = sorted(name for name, size in sizes.items() if found.get(name) != size)
        words = f"snapshot {snapshot[:8]} holds something else: {', '.join(lost) or MANIFEST}"
        raise SavingError(Reason.READ_BACK, words)
    return listed


def _times(listed: Sequence[Snapshot]) -> tuple[int, ...]:
    return tuple(each.at for each in listed if each.complete)


def _ahead(listed: Sequence[Snapshot], now: float) -> bool:
    return any(each.at > now for each in listed)

"""A snapshot restored into a throw-away server and held against its manifest: a drill ends there, a restore goes on from there.

The composition root of `readiness restore-drill` and `readiness restore`. The throw-away server must be on loopback, and
nobody may answer there before it is let go; a restore fills a target only that holds nothing. Nothing is written into the
repository but a lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from readiness.backups.choice import drilled_of, wanted_of
from readiness.backups.codec import load_manifest
from readiness.backups.manifest import MANIFEST, BackupManifest, Kind
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.backups.restored import Mismatch, judge_files, judge_restored, sentence_of
from readiness.backups.snapshots import Order, Snapshot
from readiness.engines.repository import file_of, list_snapshots, restore_snapshot
from readiness.engines.restic import Restic, ResticError
from readiness.engines.restores import DRIVERS, Driver, LoadError, Place, Target
from readiness.engines.restores.place import answers, is_loopback

UNREADABLE: Final = frozenset({Reason.RESTIC})
"""Of restic while it restores what it has listed: the repository is open, and what it holds is not whole."""


class DrillError(Exception):
    """It went wrong at some step; the text says what it means."""

    def __init__(self, reason: Reason, message: str, mismatches: int = 0) -> None:
        super().__init__(message)
        self.reason, self.mismatches = reason, mismatches


class StoppedError(DrillError):
    """Somebody asked this process to stop."""

    def __init__(self) -> None:
        super().__init__(Reason.INTERRUPTED, "stopped before its end; nothing was proved")


def drill(order: Order, restic: Restic, place: Place) -> Outcome:
    """Drills, clears away, and tells how that ended, whatever came."""
    clock = place.rim.clock
    began = clock()
    told = Outcome(order.run, Task.RESTORE_DRILL, Result.FAILED, Reason.RESTIC, "", 0)
    try:
        told = _drill(order, restic, place, told)
    except DrillError as error:
        told = replace(told, reason=error.reason, message=str(error), mismatches=error.mismatches)
    except (ResticError, LoadError) as error:
        reason = error.reason if isinstance(error, ResticError) else Reason.NOT_LOADED
        told = replace(told, reason=reason, message=str(error))
    finally:
        clear(place)
    return replace(told, ended=int(clock()), seconds=round(clock() - began, 1))


def _drill(order: Order, restic: Restic, place: Place, plain: Outcome) -> Outcome:
    refuse_others(place)
    clock = place.rim.clock
    chosen = _choose(order, restic, clock())
    began = clock()
    manifest = fetch(order, restic, chosen, place)
    driver = DRIVERS[order.kind]
    _prove(driver, place, manifest, driver.load)
    rto = clock() - began
    if driver.again:
        _prove(driver, place, manifest, driver.again)
    counted = sum(each.count for each in manifest.verified.tallies)
    return replace(
        plain,
        result=Result.SUCCEEDED,
        reason=Reason.RESTORED,
        message=f"snapshot {chosen.id[:8]} of backup set {chosen.backup_set} holds all of {counted}",
        snapshot=chosen.id,
        size=manifest.size,
        rto=round(rto, 1),
    )


def find(order: Order, restic: Restic, wanted: str) -> tuple[Snapshot, ...]:
    """The snapshots that a person may mean. Raises ResticError."""
    return wanted_of(list_snapshots(restic, order.host), wanted)


def room_of(kind: Kind, target: Target) -> int:
    """How much a target holds already. Raises LoadError."""
    held = DRIVERS[kind].held
    if held is None:
        raise LoadError(f"a {kind} is not filled over the network: see the runbook")
    return held(target)


def restore(
    order: Order, restic: Restic, chosen: Snapshot, place: Place, target: Target
) -> BackupManifest:
    """Fills an empty target, and returns what it holds now. Raises DrillError, ResticError and LoadError."""
    driver, say = DRIVERS[order.kind], place.rim.say
    refuse_others(place)
    if room_of(order.kind, target) or driver.copy is None:
        raise DrillError(
            Reason.NOT_THROW_AWAY, f"{target} holds data: only an empty instance is filled"
        )
    try:
        say(f"fetching snapshot {chosen.id[:8]}")
        manifest = fetch(order, restic, chosen, place)
        say("loading it into a throw-away server")
        _prove(driver, place, manifest, driver.load)
        say(f"it is as it was saved; copying it into {target}")
        deviations = driver.copy(place, target, manifest)
    finally:
        clear(place)
    if deviations:
        raise DrillError(Reason.DIFFERS, f"{target}: {sentence_of(deviations)}", len(deviations))
    return manifest


def clear(place: Place) -> None:
    """Takes away what was restored."""
    for path in (place.files, place.served):
        shutil.rmtree(path, ignore_errors=True)


def refuse_others(place: Place) -> None:
    """Only a server that does not run yet, in this very pod. Raises DrillError."""
    if not is_loopback(place.host):
        words = f"a drill restores on loopback only, and {place.host} is not"
        raise DrillError(Reason.NOT_THROW_AWAY, words)
    if answers(place.host, place.port):
        words = f"somebody answers on port {place.port} before anything was restored: this is no throw-away server"
        raise DrillError(Reason.NOT_THROW_AWAY, words)


def fetch(order: Order, restic: Restic, chosen: Snapshot, place: Place) -> BackupManifest:
    """Restores a snapshot's files and proves that they are those that were saved. Raises DrillError and ResticError."""
    try:
        restore_snapshot(restic, chosen.id, place.files, place.rim)
    except ResticError as error:
        if error.reason not in UNREADABLE:
            raise
        words = f"snapshot {chosen.id[:8]} cannot be restored: the repository is damaged; see `restic check --read-data`"
        raise DrillError(Reason.DAMAGED, words) from None
    try:
        manifest = load_manifest((place.files / MANIFEST).read_bytes())
    except (OSError, ValueError):
        words = f"snapshot {chosen.id[:8]} has no {MANIFEST} that says what it holds"
        raise DrillError(Reason.DAMAGED, words) from None
    deviations = (
        *_owner(order, manifest),
        *judge_files(manifest, map(file_of, place.files.iterdir())),
    )
    if deviations:
        words = f"snapshot {chosen.id[:8]}: {sentence_of(deviations)}"
        raise DrillError(Reason.DAMAGED, words, len(deviations))
    return manifest


def _choose(order: Order, restic: Restic, now: float) -> Snapshot:
    chosen = drilled_of(list_snapshots(restic, order.host), order.run, now)
    if chosen is None:
        words = (
            f"the repository has no complete snapshot of {order.service}: no backup has ended well"
        )
        raise DrillError(Reason.NO_SNAPSHOT, words)
    return chosen


def _prove(
    driver: Driver, place: Place, manifest: BackupManifest, step: Callable[[Place], None]
) -> None:
    step(place)
    deviations = judge_restored(manifest, driver.count(place, manifest))
    if deviations:
        raise DrillError(Reason.DIFFERS, sentence_of(deviations), len(deviations))


def _owner(order: Order, manifest: BackupManifest) -> tuple[Mismatch, ...]:
    saved = (manifest.kind, manifest.namespace, manifest.policy, manifest.service)
    asked = (order.kind, order.namespace, order.policy, order.service)
    return () if saved == asked else (Mismatch("manifest", " ".join(asked), " ".join(saved)),)

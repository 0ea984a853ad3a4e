"""What is done in one restic repository: opened, waited for, listed, written, read back.

Built on `restic.py`; it decides nothing but whether a lock's owner is still there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from readiness.backups.codec import load_manifest
from readiness.backups.manifest import MANIFEST, BackupManifest, File
from readiness.backups.outcome import Reason
from readiness.backups.snapshots import Snapshot, load_snapshots
from readiness.engines.restic import Restic, ResticError

WAIT_SECONDS: Final = 2700.0
"""For another's lock: longer than the 30 minutes after which restic calls one stale that nobody refreshes."""
PAUSE_SECONDS: Final = 10.0
SAY_EVERY: Final = 10.0
LOCKS: Final = ("list", "locks", "-q")
"""Stale ones, not refreshed for 30 minutes, too."""
_NUMBERS: Final = re.compile(r"-[0-9]+$")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rim:
    """Time, and somebody who reads along."""

    clock: Callable[[], float]
    pause: Callable[[float], None]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """A snapshot just written, and by how many bytes the repository grew."""

    snapshot: str
    added: int


def open_repository(restic: Restic, run: str, rim: Rim) -> None:
    """Makes it where there is none; where there are locks, takes stale ones away and waits for other runs."""
    locks = restic.contact(*LOCKS)
    if locks is None:
        rim.say("there is no repository yet: it is made")
        restic.call("init")
    elif locks:
        restic.call("unlock")
        wait_for_others(restic, run, rim)


def wait_for_others(restic: Restic, run: str, rim: Rim) -> None:
    """Until no other run of the same CronJob holds a lock; restores and lists do not count."""
    family = f"{_NUMBERS.sub('', run)}-"
    deadline = rim.clock() + WAIT_SECONDS
    while others := [
        name for name in _holders(restic) if name.startswith(family) and not name.startswith(run)
    ]:
        if rim.clock() > deadline:
            raise ResticError(Reason.LOCKED, "backup")
        rim.say(f"waiting for {', '.join(others)}")
        rim.pause(PAUSE_SECONDS)
        restic.call("unlock")


def patiently(restic: Restic, rim: Rim, what: Callable[[], T]) -> T:
    """What a locked repository would refuse, as soon as its lock is gone or stale."""
    deadline = rim.clock() + WAIT_SECONDS
    while True:
        try:
            return what()
        except ResticError as error:
            if error.reason is not Reason.LOCKED or rim.clock() > deadline:
                raise
        rim.say("waiting for the repository's lock")
        rim.pause(PAUSE_SECONDS)
        restic.call("unlock")


def list_snapshots(restic: Restic, host: str) -> tuple[Snapshot, ...]:
    """Ours, the newest first."""
    return load_snapshots(restic.call("snapshots", "--json", "--no-lock").decode(), host)


def read_manifest(restic: Restic, snapshot: str) -> BackupManifest:
    """What a snapshot says it holds. Raises ResticError, and ValueError when it says nothing of the kind."""
    return load_manifest(restic.call("dump", "--no-lock", snapshot, f"/{MANIFEST}"))


def write_snapshot(
    restic: Restic, directory: Path, files: Sequence[str], names: Sequence[str], rim: Rim
) -> Written:
    """One snapshot of these files; `names` are its host and its tags."""
    host, *tags = names
    words = [word for tag in tags for word in ("--tag", tag)]
    last, said = {}, rim.clock()
    for line in restic.lines("backup", "--json", "--host", host, *words, *files, at=directory):
        last = line
        if line.get("message_type") == "status" and rim.clock() - said >= SAY_EVERY:
            said = rim.clock()
            rim.say(
                f"saved {line.get('percent_done', 0):.0%} of {line.get('total_bytes', 0)} bytes"
            )
    return Written(str(last["snapshot_id"]), int(last["data_added_packed"]))


def forget(restic: Restic, snapshots: Sequence[str]) -> None:
    """Deletes these snapshots, and what only they held. Killed in between, what is left over goes with the next prune."""
    restic.call("forget", *snapshots, "--prune")


def read_snapshot(
    restic: Restic, snapshot: str, host: str
) -> tuple[tuple[Snapshot, ...], dict[str, int]]:
    """A snapshot as it is listed, and its files by name with their sizes, as the repository has them."""
    rows = [*restic.lines("ls", "--json", "--no-lock", snapshot)]
    listed = [row for row in rows if row.get("message_type") == "snapshot"]
    return load_snapshots(json.dumps(listed), host), {
        row["name"]: row.get("size", 0) for row in rows if row.get("type") == "file"
    }


def file_of(path: Path) -> File:
    """A file as a manifest tells of it."""
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256")
    return File(path.name, path.stat().st_size, digest.hexdigest())


def _holders(restic: Restic) -> Iterator[str]:
    """The pods that hold a lock; one that lets go meanwhile holds none."""
    for lock in restic.call(*LOCKS, "--no-lock").decode().split():
        try:
            found: dict[str, Any] = json.loads(restic.call("cat", "lock", lock, "--no-lock"))
        except ResticError:
            continue
        yield str(found.get("hostname", ""))


def restore_snapshot(restic: Restic, snapshot: str, to: Path, rim: Rim) -> None:
    """The files of a snapshot in a new directory. Who may write no lock reads without one."""
    for words in (("--retry-lock", "45m"), ("--no-lock",)):
        try:
            said = rim.clock()
            for line in restic.lines("restore", "--json", *words, snapshot, "--target", str(to)):
                if line.get("message_type") == "status" and rim.clock() - said >= SAY_EVERY:
                    said = rim.clock()
                    done, size = line.get("percent_done", 0), line.get("total_bytes", 0)
                    rim.say(f"restored {done:.0%} of {size} bytes")
        except ResticError as error:
            if words[0] == "--no-lock" or error.reason not in {Reason.DENIED, Reason.READ_ONLY}:
                raise
        else:
            return

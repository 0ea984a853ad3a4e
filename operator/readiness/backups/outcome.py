"""How a run ended: what its pod's termination message says, and the operator believes.

At most 4 KiB, the kubelet's limit. It holds no log text and no secret: reasons are a closed set, messages are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from readiness.backups.census import Census


class Task(StrEnum):
    """What a run is for."""

    BACKUP = "backup"
    RETENTION = "retention"
    RESTORE_DRILL = "restore-drill"
    LISTING = "listing"


class Result(StrEnum):
    """Whether it did it. LEFT: it was not needed, another run had done it."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    LEFT = "Left"


class Reason(StrEnum):
    """Why, in one word."""

    SAVED = "Saved"
    SUSPICIOUS = "Suspicious"
    ALREADY_SAVED = "AlreadySaved"
    KEPT = "Kept"
    PRUNED = "Pruned"
    HELD = "Held"
    LISTED = "Listed"
    DUMP_MISSING = "DumpMissing"
    DUMP_UNVERIFIED = "DumpUnverified"
    READ_BACK = "ReadBackFailed"
    INTERRUPTED = "Interrupted"
    NO_REPOSITORY = "NoRepository"
    WRONG_PASSWORD = "WrongPassword"
    CREDENTIALS = "CredentialsMissing"
    LOCKED = "Locked"
    DENIED = "Denied"
    UNREACHABLE = "Unreachable"
    UNTRUSTED = "CertificateNotTrusted"
    CLOCK = "ClockOff"
    FULL = "DestinationFull"
    READ_ONLY = "DestinationReadOnly"
    RESTIC = "ResticFailed"
    RESTORED = "Restored"
    DIFFERS = "RestoredDiffers"
    NO_SNAPSHOT = "NoSnapshot"
    DAMAGED = "SnapshotDamaged"
    NOT_LOADED = "NotLoaded"
    NOT_THROW_AWAY = "TargetNotThrowAway"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. Times are epoch seconds; `size` is of what was dumped, `added` of what the repository grew by.

    Of a restore, `rto` is how many seconds passed until the server had everything, and `mismatches` what it had otherwise.
    `snapshots` are the times of every complete snapshot that the repository lists, the newest first; `census` is what
    retention counted in that list when it had done.
    """

    run: str
    task: Task
    result: Result
    reason: Reason
    message: str
    ended: int
    seconds: float = 0.0
    backup_set: str = ""
    snapshot: str = ""
    size: int = 0
    added: int = 0
    rto: float = 0.0
    mismatches: int = 0
    snapshots: tuple[int, ...] = ()
    census: Census | None = None

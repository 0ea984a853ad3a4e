"""Which snapshot a restore takes. Pure: time and the run's name are arguments, the latter also stands in for chance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from readiness.backups.snapshots import Snapshot


def drilled_of(snapshots: Sequence[Snapshot], run: str, now: float) -> Snapshot | None:
    """The newest, or in the first seven days of a month an older one: a weekly drill then takes one a month.

    `snapshots` are in any order; incomplete ones never count, suspicious ones only where there is nothing else.
    """
    good = sound_of(snapshots)
    older = good[1:] if datetime.fromtimestamp(now, UTC).day <= 7 else ()
    if older:
        return older[int.from_bytes(hashlib.sha256(run.encode()).digest()[:8]) % len(older)]
    return good[0] if good else None


def sound_of(snapshots: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """Complete ones, the newest first; those that are not suspicious when there are any."""
    complete = sorted((s for s in snapshots if s.complete), key=lambda s: (-s.at, s.id))
    return tuple(s for s in complete if not s.suspicious) or tuple(complete)


def wanted_of(snapshots: Sequence[Snapshot], wanted: str) -> tuple[Snapshot, ...]:
    """What a person means by `latest`, the beginning of an id, a backup set, or a time (the last one not after it).

    Suspicious ones can be meant. One is the answer; none or several are a question back.
    """
    complete = sorted((s for s in snapshots if s.complete), key=lambda s: (-s.at, s.id))
    if wanted == "latest":
        return sound_of(complete)[:1]
    named = tuple(s for s in complete if s.id.startswith(wanted) or s.backup_set == wanted)
    if named:
        return named
    try:
        at = datetime.fromisoformat(wanted)
    except ValueError:
        return ()
    limit = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return tuple(s for s in complete if s.at <= limit)[:1]

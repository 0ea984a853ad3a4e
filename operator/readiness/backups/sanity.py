"""Whether a dump looks like those before it: one that lost half of its size may be complete, and useless all the same."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Final

from readiness.backups.manifest import BackupManifest
from readiness.backups.snapshots import Snapshot

LAST: Final = 7
"""Suspicious ones among them: a store that stays small is usual after four days."""
DEVIATION: Final = 0.5
LOSS: Final = 0.2
LEAST_BYTES: Final = 1 << 20
LEAST_COUNT: Final = 100
"""Below these, a store may halve or double on any day."""


def suspicion_of(
    manifest: BackupManifest, listed: Iterable[Snapshot], previous: BackupManifest | None
) -> str:
    """What is odd about a dump, in words; empty when nothing is. `listed` has the newest first."""
    sizes = [each.size for each in listed if each.complete][:LAST]
    usual = statistics.median(sizes) if sizes else manifest.size
    if max(usual, manifest.size) > LEAST_BYTES and abs(manifest.size - usual) > DEVIATION * usual:
        return f"{manifest.size} bytes, where the median of the last {len(sizes)} is {usual:.0f}"
    before, now = (_lasting(each) for each in (previous or manifest, manifest))
    if before >= LEAST_COUNT and now < (1 - LOSS) * before:
        return f"{now} lasting entries, where the one before had {before}"
    return ""


def _lasting(manifest: BackupManifest) -> int:
    return sum(each.count - each.volatile for each in manifest.verified.tallies)

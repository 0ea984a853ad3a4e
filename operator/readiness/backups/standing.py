"""What is known of one store's backups, from what its runs have told, and the metrics that follow from it.

Nothing is made up: what nobody has told has no sample, and an alert for that. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from readiness.backups import alerts
from readiness.backups.outcome import Outcome, Reason, Result, Task


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest end of each sort. A run that left because another had done it is neither success nor failure."""

    success: Outcome | None = None
    failure: Outcome | None = None
    retention: Outcome | None = None
    drilled: Outcome | None = None
    drill_failure: Outcome | None = None


def with_outcome(known: Standing, told: Outcome) -> Standing:
    """What is known once a run has told how it ended; older news change nothing."""
    if told.result is Result.LEFT and told.task is not Task.RETENTION:
        return known
    field = _field(told)
    before: Outcome | None = getattr(known, field)
    if before is not None and before.ended >= told.ended:
        return known
    return replace(known, **{field: told})


def samples_of(known: Standing) -> Mapping[str, float]:
    """Metrics by name. That backups are expected is always told: whoever asks has a policy that wants them."""
    return {alerts.EXPECTED: 1.0, **dict(_backups(known)), **dict(_drills(known))}


def _field(told: Outcome) -> str:
    if told.task is Task.RETENTION:
        return "retention"
    failed = told.result is Result.FAILED
    if told.task is Task.RESTORE_DRILL:
        return "drill_failure" if failed else "drilled"
    return "failure" if failed else "success"


def _backups(known: Standing) -> Iterator[tuple[str, float]]:
    if (good := known.success) is not None:
        yield alerts.SUCCESS, good.ended
        yield alerts.SIZE, good.size
        yield alerts.SECONDS, good.seconds
        yield alerts.SNAPSHOTS, len(good.snapshots)
        yield alerts.SUSPICIOUS, float(good.reason is Reason.SUSPICIOUS)
    if known.failure is not None:
        yield alerts.FAILURE, known.failure.ended
    if known.retention is not None:
        yield alerts.HELD, float(known.retention.reason is Reason.HELD)


def _drills(known: Standing) -> Iterator[tuple[str, float]]:
    if (good := known.drilled) is not None:
        yield alerts.DRILLED, good.ended
        yield alerts.RTO, good.rto
    if known.drill_failure is not None:
        yield alerts.DRILL_FAILURE, known.drill_failure.ended
        yield alerts.MISMATCHES, known.drill_failure.mismatches

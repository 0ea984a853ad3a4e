"""Whether a schedule was missed, and what is done about it: one run is started, of a backup once the repository has been asked.

Everything is decided from what Jobs have told and what the status keeps of it; a pass that is repeated decides the same.
Pure: times are arguments, and epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from readiness.schedule import due_by

LATE_SECONDS: Final = 3600.0
"""How late a CronJob still starts what was due (its startingDeadlineSeconds). Later than that nobody does."""
PAUSE_SECONDS: Final = 6 * 3600.0
SKEW_SECONDS: Final = 300.0
"""By how much the clock of a node may be behind ours."""
UNSEEN_SECONDS: Final = 600.0
"""For how long a Job that was to be started, and has not been seen, is started again: it is the same one."""


class Step(StrEnum):
    """What is to be done."""

    LIST = "listing"
    SAVE = "backup"
    DRILL = "restore-drill"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one store's backups, or of its restore drills; a time of 0 has never been.

    `since`: they are scheduled. `newest` complete snapshot that the repository has `listed`, and when; of drills the newest that
    ended. `tried` is when the last Job of `step` was started to catch up, and `seen` whether anything was ever seen of it.
    `running`: a Job is.
    """

    since: float
    newest: float = 0.0
    listed: float = 0.0
    tried: float = 0.0
    step: str = ""
    seen: bool = True
    running: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """A schedule that came to nothing: when it was due, what is done now, and since when that is decided.

    Without a step there is nothing to be done but to wait.
    """

    due: float
    step: Step | None = None
    at: float = 0.0

    @property
    def proved(self) -> bool:
        """Whether the repository itself has said that there is nothing; until then it may be that nobody was told."""
        return self.step is not Step.LIST


def catch_up(schedule: str, zone: str, known: Known, now: float) -> Missed | None:
    """What follows from the last schedule that nobody will start any more; None: all is well, or it is not yet known."""
    due = _missed(schedule, zone, known, now)
    if due is None:
        return None
    if same := _unseen(due, known, now):
        return same
    asked = known.listed >= due + LATE_SECONDS
    told = known.step == Step.LIST and known.listed >= known.tried
    if known.running or (_paused(known, now) and not (asked and told)):
        return Missed(due) if asked else None
    return Missed(due, Step.SAVE if asked else Step.LIST, now)


def drill_again(schedule: str, zone: str, known: Known, now: float) -> Missed | None:
    """The same of a restore drill: whether one has ended is known without asking anybody."""
    due = _missed(schedule, zone, known, now)
    if due is None:
        return None
    waits = known.running or _paused(known, now)
    return _unseen(due, known, now) or (Missed(due) if waits else Missed(due, Step.DRILL, now))


def _missed(schedule: str, zone: str, known: Known, now: float) -> float | None:
    """When the last schedule was due that nobody starts any more, and that nothing has come of."""
    due = due_by(schedule, zone, now - LATE_SECONDS)
    return None if due < known.since or known.newest >= due - SKEW_SECONDS else due


def _unseen(due: float, known: Known, now: float) -> Missed | None:
    """A Job that was to be started, and of which nobody has seen anything: the same one again."""
    young = 0 <= now - known.tried < UNSEEN_SECONDS
    return Missed(due, Step(known.step), known.tried) if young and not known.seen else None


def _paused(known: Known, now: float) -> bool:
    return abs(now - known.tried) < PAUSE_SECONDS

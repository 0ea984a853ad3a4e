"""Whether a schedule was missed, and what is done about it: the repository is asked first, then one run is started.

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


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one store's backups; a time of 0 has never been.

    `since`: backups are scheduled. `newest` complete snapshot that the repository has `listed`, and when. `tried` is when the
    last Job of `step` was started to catch up, and `seen` whether anything was ever seen of it. `running`: a Job is.
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
    due = due_by(schedule, zone, now - LATE_SECONDS)
    if due < known.since or known.newest >= due - SKEW_SECONDS:
        return None
    asked = known.listed >= due + LATE_SECONDS
    since = now - known.tried
    if not known.seen and 0 <= since < UNSEEN_SECONDS:
        return Missed(due, Step(known.step), known.tried)
    told = known.step == Step.LIST and known.listed >= known.tried
    if known.running or (abs(since) < PAUSE_SECONDS and not (asked and told)):
        return Missed(due) if asked else None
    return Missed(due, Step.SAVE if asked else Step.LIST, now)

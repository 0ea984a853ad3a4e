"""What of an arm's time is the application's own need, and what the drill adds."""

from __future__ import annotations

import pytest

from readiness.drills.added import added_of
from readiness.model import Outcome
from readiness.timeline import NEVER, Check, Ending, Exchange, Moment, Problem, Timeline

START = (Moment(10.0, "created"), Moment(13.0, "ready"))
STOP = Moment(20.0, "stopped")
AGAIN = (Moment(40.0, "created", clone=1), Moment(42.0, "ready", clone=1))


def asked(start: float, end: float, seconds: float = 0.0) -> Exchange:
    return Exchange("slow", 0, 0, start, start, end, end, Outcome.RESPONSE, 200, seconds=seconds)


@pytest.mark.parametrize(
    ("seen", "added"),
    [
        (Timeline("a", problem=Problem("Quota", "exceeded quota")), 0.0),
        (Timeline("a", moments=START, exchanges=(asked(13.0, 15.0),)), 2.0),
        (Timeline("a", container="app", moments=(*START, STOP), endings=(Ending(35.0, "app", 0),)), 7.0),
        (Timeline("a", container="app", moments=(*START, STOP), endings=(Ending(35.0, "app", 0), Ending(50.0, "mesh", 0))), 22.0),
        (Timeline("a", container="app", moments=(*START, STOP), endings=(Ending(35.0, "app", 0),), exchanges=(asked(36.0, 36.5),)), 8.5),
        (Timeline("a", container="app", moments=(*START, STOP), endings=(Ending(35.0, "app", 0),), exchanges=(asked(15.0, 19.0, 4.0), asked(16.0, 28.0, 12.0))), 2.0),
        (Timeline("a", container="app", moments=START[:1], endings=(Ending(12.0, "app", 1),)), 0.0),
        (Timeline("a", moments=START, checks=(Check("job", "done", 14.0, 19.0),)), 1.0),
        (Timeline("a", container="app", moments=(*START, STOP, *AGAIN), endings=(Ending(35.0, "app", 0),), exchanges=(asked(42.0, 42.5),)), 12.5),
        (Timeline("a", moments=START, exchanges=(Exchange("slow", 0, 0, 14.0, NEVER, NEVER, NEVER, Outcome.ABORTED, seconds=9.0), asked(14.0, 15.0))), 2.0),
    ],
    ids=[
        "never began", "quick requests", "settling", "another container lasts longer", "what comes after the end",
        "slow requests", "ended instead of becoming Ready", "a scenario", "two clones", "a request without an end",
    ],
)  # fmt: skip
def test_what_is_nobodys_need_is_added(seen: Timeline, added: float) -> None:
    assert added_of(seen) == added

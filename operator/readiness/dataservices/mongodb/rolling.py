"""In which order the members of a set are replaced by what they should be now: the primary last.

Pure. It rolls only a set that is as it should be, so that never more than one member is away.
"""

from __future__ import annotations

from collections.abc import Collection

from readiness.dataservices.mongodb import steps
from readiness.dataservices.mongodb.members import Observed
from readiness.dataservices.mongodb.reconfigure import Wanted, plan_of
from readiness.dataservices.mongodb.steps import Held, Replace, StepDown


def roll_of(wanted: Wanted, seen: Observed, outdated: Collection[str]) -> Replace | StepDown | Held | None:  # fmt: skip
    """What to do next about members whose pods are outdated; nothing when none is."""
    waiting = [host for host in wanted.hosts if host in outdated]
    if not waiting:
        return None
    late = [host for host in wanted.hosts if not seen.is_close(host, wanted.lag)]
    if (unfinished := plan_of(wanted, seen)) is not None or late:
        if isinstance(unfinished, Held):
            return unfinished
        return Held(steps.LAGGING, "the set is not as it should be yet: no member is replaced")
    secondaries = [host for host in reversed(waiting) if host != seen.primary]
    if secondaries:
        return Replace(secondaries[0])
    if len(wanted.voters) == 1:
        return Replace(seen.primary)  # nobody could take over
    return StepDown(seen.primary, "its pod is to be replaced")

"""What comes next of a replica set that runs: its configuration first, then members that leave, then passwords.

Pure. A password is put beside the one in use; a user has it when a login with it succeeds, and only
then does the Secret call it the current one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from readiness.dataservices.command import Amend, Resize, Step, Task, Tell, Wait
from readiness.dataservices.mongodb import steps
from readiness.dataservices.mongodb.build import wanted_of
from readiness.dataservices.mongodb.members import Observed
from readiness.dataservices.mongodb.reconfigure import plan_of
from readiness.dataservices.mongodb.users import (
    NEXT,
    OPERATED,
    Promote,
    rotation_of,
)
from readiness.dataservices.rotation import BEGUN, begin_rotation


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look brings: the set, which new passwords are let in already, and whose sessions there are.

    Positions move by themselves, so two looks differ by what is left to do.
    """

    observed: Observed = field(compare=False)
    left: object = None
    accepted: frozenset[str] = frozenset()
    busy: frozenset[str] | None = None


def next_step(task: Task) -> Step | None:
    """The first thing to do, or what holds it up."""
    facts = task.seen.facts
    if not isinstance(facts, Facts):
        return None
    left = plan_of(wanted_of(task.order.resized(task.replicas)), facts.observed)
    if isinstance(left, steps.Held):
        return Wait(left.message, left.reason, left.fix, lacks=True)
    if left is not None:
        return Tell(left, _words(left), "Reconfiguring", lacks=True)
    if task.order.replicas > task.replicas:
        return Resize(task.replicas)
    return next(_rotation(task, facts), None)


def _rotation(task: Task, facts: Facts) -> Iterator[Step]:
    known, wanted = task.order.credentials, wanted_of(task.order)
    there = [user.name for user in facts.observed.users or ()]
    found = rotation_of(wanted.users, known, there, facts.busy or ())
    if isinstance(found, tuple):
        first, then = found
        if first.key in facts.accepted:
            yield _promoted(then, known)
        else:
            yield Tell(first, f"{first.user.name} is let in with the next password")
    elif found is not None and facts.busy is None:
        yield Wait(f"nobody tells whether {found.name} is still connected", "Rotating")
    elif found is not None:
        yield Tell(found, f"user {found.name}, whom nobody uses any more, is gone")
    elif task.rotation and task.rotation != known.get(BEGUN):
        yield begin_rotation(task.rotation, OPERATED, NEXT)


def _promoted(then: Promote, known: Mapping[str, str]) -> Amend:
    gone = tuple(key for key in known if key not in then.credentials)
    put = {key: text for key, text in then.credentials.items() if known.get(key) != text}
    return Amend(f"a new password is in use: {', '.join(sorted(put))}", put=put, drop=gone)


def _words(step: steps.Step) -> str:
    match step:
        case steps.Reconfigure(why=why) | steps.StepDown(why=why):
            return why
        case steps.WaitForMajority():
            return "writes wait for a majority"
        case steps.Enrol():
            return "users have what they need"

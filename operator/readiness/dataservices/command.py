"""What may be ordered of a running data service: the words in which a kind says what comes next.

Values only. A kind decides one step from what its servers said; `ordering.py` says whether it is
taken in this pass, and only the next look says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from readiness.dataservices.order import Look, Order
from readiness.snapshot import Seen


@dataclass(frozen=True, slots=True)
class Task:
    """What a kind decides on.

    `order` has as many members as there are, `replicas` is how many are declared. `rotation` is the
    request for new passwords as the policy has it, or nothing. `calm`: every pod is Ready and stays.
    """

    order: Order
    seen: Seen
    replicas: int
    rotation: str = ""
    now: float = 0.0
    calm: bool = True


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell servers. `act` is the kind's own value, for its driver, `does` what is true once it is done.

    `lacks`: the service is not what was declared before. Whatever is told may be told again: an operator that died does not know whether it was.
    """

    act: object
    does: str
    reason: str = "Rotating"
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class Amend:
    """Change the credentials Secret: values to make anew, to put and to drop, by key.

    Written only onto the very version that was decided on.
    """

    does: str
    renew: tuple[str, ...] = ()
    put: Mapping[str, str] = field(default_factory=dict, repr=False)
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resize:
    """Let the main StatefulSet have so many members: those that go are no longer needed."""

    replicas: int


@dataclass(frozen=True, slots=True)
class Replace:
    """Evict the pod of a member: its hook hands over."""

    pod: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now. With a `fix` it is told as an obstacle: it does not end by itself.

    `lacks`: the service is not what was declared meanwhile.
    """

    why: str
    reason: str
    fix: str = ""
    lacks: bool = False


Step = Tell | Amend | Resize | Replace | Wait


def first_of(steps: Iterable[Step]) -> Step | None:
    """The first that can be taken; else the first that waits: nobody waits for what another step waits for."""
    found = tuple(steps)
    return next((each for each in found if not isinstance(each, Wait)), next(iter(found), None))


@dataclass(frozen=True, slots=True)
class Command:
    """One step that servers are told: by the driver of `look.kind`, on what `look` names."""

    look: Look
    tell: Tell

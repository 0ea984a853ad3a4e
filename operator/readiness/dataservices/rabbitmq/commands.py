"""What to do next about a running RabbitMQ: one step, decided from what is there and nothing else.

Pure. Nothing is remembered between passes but what stands in the cluster, in the StatefulSet and in
the credentials Secret, so an operator that dies in the middle goes on where it was. A lost member
is forgotten by its own start, and pods are replaced as those of every kind are (`roll.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from readiness.dataservices.rabbitmq.reading import Observed, disturbances
from readiness.dataservices.rabbitmq.users import (
    ACTIVE,
    APPLICATION,
    USERS,
    User,
    active_user,
    password_hash,
)

STARTED: Final = "rotation-started"
FROM: Final = "rotation-from"
DONE: Final = "rotation-done"
"""Keys of the credentials Secret that say how far a rotation has got."""


@dataclass(frozen=True, slots=True)
class SetUser:
    """Give a user the password of the credentials Secret."""

    user: User


@dataclass(frozen=True, slots=True)
class Credentials:
    """Change the credentials Secret: passwords to be made anew, and values to be put."""

    renew: tuple[str, ...] = ()
    put: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grow:
    """Give queues that have too few a member on this pod."""

    pod: str


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Spread the leaders of quorum queues over the members."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is to be done and cannot yet: why not."""

    why: str


Step = SetUser | Credentials | Grow | Rebalance | Wait


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted: how many members, and the last rotation that was asked for, by a name of its own."""

    replicas: int
    rotation: str = ""


def next_step(aim: Aim, observed: Observed, known: Mapping[str, str]) -> Step | None:
    """The first thing to do. Who may log in comes first: everything else logs in."""
    return next(_steps(aim, observed, known), None)


def _steps(aim: Aim, observed: Observed, known: Mapping[str, str]) -> Iterator[Step]:
    if observed.users is None:
        yield Wait("no member tells of its users")
        return
    yield from _outdated_users(observed.users, known)
    yield from _rotation(aim.rotation, observed, known)
    yield from _growth(aim, observed)
    if _is_lopsided(aim, observed):
        yield Rebalance()


def _outdated_users(users: Mapping[str, str], known: Mapping[str, str]) -> Iterator[Step]:
    for user in USERS:
        if users.get(user.name) != password_hash(user.name, known[user.key]):
            yield SetUser(user)


def _rotation(asked: str, observed: Observed, known: Mapping[str, str]) -> Iterator[Step]:
    """The idle user gets a new password, then the binding, and the old one's is thrown away when nobody uses it."""
    if not asked or known.get(DONE) == asked:
        return
    active = active_user(known)
    if known.get(STARTED) != asked:
        yield Credentials((f"{_other(active)}-password",), {STARTED: asked, FROM: active})
    elif known.get(FROM) == active:
        yield Credentials(put={ACTIVE: _other(active)})
    elif observed.connected is None:
        yield Wait("no member tells who is connected")
    elif _other(active) in observed.connected:
        yield Wait(f"applications are still connected as {_other(active)}: restart them")
    else:
        yield Credentials((f"{_other(active)}-password",), {DONE: asked})


def _other(user: str) -> str:
    return next(name for name in APPLICATION if name != user)


def _growth(aim: Aim, observed: Observed) -> Iterator[Step]:
    """Only among members that all run: one that is away has its place kept."""
    running = {member.pod for member in observed.members if member.running}
    if len(running) < aim.replicas:
        return
    thin = [q for q in observed.queues or () if q.members and len(q.members) < min(3, aim.replicas)]
    for pod in sorted(running):
        if any(pod not in queue.members for queue in thin):
            yield Grow(pod)


def _is_lopsided(aim: Aim, observed: Observed) -> bool:
    """Whether one member leads more than two queues above another, while nothing else is wrong."""
    if disturbances(observed, aim.replicas):
        return False
    led = Counter(queue.leader for queue in observed.queues or () if queue.members)
    counts = [led[member.pod] for member in observed.members]
    return bool(counts) and max(counts) - min(counts) > 2

"""What to do next about a running RabbitMQ: one step, decided from what is there and nothing else.

Pure. Nothing is remembered between passes but what stands in the cluster, in the StatefulSet and in
the credentials Secret, so an operator that dies in the middle goes on where it was. A lost member
is forgotten by its own start, and pods are replaced as those of every kind are (`roll.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from readiness.dataservices.command import Amend, Step, Task, Tell, Wait, first_of
from readiness.dataservices.order import NEXT, NOTE, PREVIOUS
from readiness.dataservices.rabbitmq.leaving import Grow, Mark, Shrink, growth_of, leaving
from readiness.dataservices.rabbitmq.reading import Observed, disturbances
from readiness.dataservices.rabbitmq.users import (
    ACTIVE,
    APPLICATION,
    COOKIE,
    OPERATOR,
    USERS,
    User,
    active_user,
    password_hash,
    wanted_password,
)
from readiness.dataservices.rotation import BEGUN, unknown_user, user_of

FROM: Final = f"{NOTE}from"
DONE: Final = f"{NOTE}done"
"""Keys of the credentials Secret that say, with BEGUN, how far a rotation has got."""
INNER: Final = ("monitoring", "definitions")
"""Users that no application logs in as."""
_STAYS: Final = "readiness.dev/rotate: members whose cookies differ refuse each other, so another one needs a full stop; declare another service and move"


@dataclass(frozen=True, slots=True)
class SetUser:
    """Give a user the password of the credentials Secret."""

    user: User


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Spread the leaders of quorum queues over the members."""


Act = SetUser | Grow | Rebalance | Shrink | Mark


def next_step(task: Task) -> Step | None:
    """The first thing to do. Who may log in comes first: everything else logs in."""
    facts = task.seen.facts
    return first_of(_steps(task, facts)) if isinstance(facts, Observed) else None


def _steps(task: Task, observed: Observed) -> Iterator[Step]:
    if observed.users is None:
        return
    known = task.order.credentials
    yield from _outdated_users(observed.users, known)
    if task.rotation and task.rotation not in (known.get(DONE), known.get(BEGUN)):
        yield _begin(task.rotation, active_user(known))
    yield from _rotation(observed, known)
    yield from growth_of(task.replicas, observed)
    yield from leaving(task, observed)
    if _is_lopsided(task.replicas, observed):
        yield Tell(Rebalance(), "leaders of queues are spread over the members", "Balancing")


def _outdated_users(users: Mapping[str, str], known: Mapping[str, str]) -> Iterator[Step]:
    for user in USERS:
        if users.get(user.name) != password_hash(user.name, wanted_password(user, known)):
            does = f"user {user.name} has the password of the credentials Secret"
            yield Tell(SetUser(user), does)
    key = f"{OPERATOR}-password"
    if key + NEXT in known:
        put = {key: known[key + NEXT], key + PREVIOUS: known[key]}
        yield Amend(f"{OPERATOR} logs in with its new password", put=put, drop=(key + NEXT,))


def _begin(asked: str, active: str) -> Step:
    """The idle one of the application's two users gets a new password, and others whom nobody waits for."""
    user, single = user_of(asked), (*INNER, OPERATOR)
    if user == COOKIE:
        return Wait(_STAYS, "NeedsStop")
    if user not in ("", "app", *single):
        return unknown_user(user, ("app", *single))
    renew = tuple(f"{name}-password" for name in INNER if user in ("", name))
    renew += (f"{OPERATOR}-password{NEXT}",) if user in ("", OPERATOR) else ()
    if user in single:
        return Amend(f"a new password: {user}", renew, {BEGUN: asked, DONE: asked})
    renew = (f"{_other(active)}-password", *renew)
    return Amend(f"new passwords, and {_other(active)} for applications", renew, {BEGUN: asked, FROM: active})  # fmt: skip


def _rotation(observed: Observed, known: Mapping[str, str]) -> Iterator[Step]:
    """The binding turns to the user with the new password; the old one's is thrown away when nobody uses it."""
    started, active = known.get(BEGUN), active_user(known)
    if started is None or known.get(DONE) == started:
        return
    if known.get(FROM) == active:
        yield Amend(f"the binding names {_other(active)}", put={ACTIVE: _other(active)})
    elif observed.connected is None or _other(active) in observed.connected:
        yield Wait(f"applications are still connected as {_other(active)}: restart them", "Rotating")  # fmt: skip
    else:
        yield Amend(f"nobody knows the password of {_other(active)} any more", (f"{_other(active)}-password",), {DONE: started})  # fmt: skip


def _other(user: str) -> str:
    return next(name for name in APPLICATION if name != user)


def _is_lopsided(replicas: int, observed: Observed) -> bool:
    """Whether one member leads more than two queues above another, while nothing else is wrong."""
    if disturbances(observed, replicas):
        return False
    led = Counter(queue.leader for queue in observed.queues or () if queue.members)
    counts = [led[member.pod] for member in observed.members]
    return bool(counts) and max(counts) - min(counts) > 2

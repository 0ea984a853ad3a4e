"""What comes next of a Redis that runs: how passwords are replaced, and how members leave. Pure.

Every server accepts both, applications are given the new one, servers use it, the old one is dropped.
Who is to leave cannot be promoted any more, hands over, goes, and is forgotten by one Sentinel after
the other. How far that has got is derived from what is seen, so an operator that died goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from readiness.dataservices.command import Amend, Replace, Resize, Step, Task, Tell, Wait, first_of
from readiness.dataservices.order import NEXT, NOTE, PREVIOUS
from readiness.dataservices.redis.access import CREDENTIALS, hash_of
from readiness.dataservices.redis.build import members_of
from readiness.dataservices.redis.reading import Answer
from readiness.dataservices.roll import is_well
from readiness.dataservices.rotation import BEGUN, begin_rotation

SINCE: Final = f"{NOTE}since"
"""Key of the credentials Secret: when applications were given the new passwords, as epoch seconds."""
OVERLAP_SECONDS: Final = 3600.0
USUAL_RANK: Final = 100
"""Redis' own `replica-priority`, which no policy may set."""
USERS: Final = tuple(credential.key for credential in CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Accept:
    """Every server lets these users in with every password that the credentials Secret has of them."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """Every server uses the current passwords of these users, and accepts no other."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rank:
    """How readily these members are promoted; 0: never."""

    members: tuple[str, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class Forget:
    """This Sentinel finds out anew who is there."""

    sentinel: str


Act = Accept | Retire | Rank | Forget


def next_step(task: Task) -> Step | None:
    """The next step, what holds it up, or nothing."""
    facts = task.seen.facts
    if not isinstance(facts, tuple):
        return None
    away = [answer.name for answer in facts if answer.error]
    step = first_of((*_replaced_passwords(task, facts), *_leaving(task, facts)))
    if away and step is not None and not isinstance(step, Wait):
        return Wait(f"{', '.join(away)} does not answer, and has to be told too", "Rotating")
    return step


def _leaving(task: Task, servers: Sequence[Answer]) -> Iterator[Step]:
    """Members that are not declared any more; and those that are, in case they were."""
    hosts = members_of(task.order).hosts
    stay, leave = hosts[: task.replicas], hosts[task.replicas :]
    ranks = {host: rank for s in servers for host, rank in s.ranks.items() if host == s.host}
    for some, rank in ((leave, 0), (stay, USUAL_RANK)):
        wrong = tuple(_pod(host) for host in some if ranks.get(host, rank) != rank)
        if wrong:
            yield Tell(Rank(wrong, rank), f"{'no' if leave else 'every'} one of {', '.join(wrong)} can be promoted", "Scaling")  # fmt: skip
    sentinels = [s for s in servers if s.host not in hosts]
    if leave and any(s.ranks.get(host) for s in sentinels for host in leave):
        yield Wait("the sentinels have to see who cannot be promoted", "Scaling")
    elif (leave or _strangers(sentinels, hosts)) and not is_well(task.seen):
        yield Wait("members leave once all are well", "Scaling")
    elif leave:
        first = task.seen.primary
        yield Replace(first) if first in map(_pod, leave) else Resize(task.replicas)
    elif name := _strangers(sentinels, hosts):
        yield Tell(Forget(name), f"{name} forgets members that left", "Scaling")


def _strangers(sentinels: Sequence[Answer], hosts: Sequence[str]) -> str:
    """The first sentinel that knows a replica which is no member."""
    return next((s.name for s in sentinels if not s.ranks.keys() <= set(hosts)), "")


def _pod(host: str) -> str:
    return host.partition(".")[0]


def _replaced_passwords(task: Task, servers: Sequence[Answer]) -> Iterator[Step]:
    known = task.order.credentials
    fresh, former = ([u for u in USERS if u + suffix in known] for suffix in (NEXT, PREVIOUS))
    asked = task.rotation if task.rotation != known.get(BEGUN) else ""
    if missing := _refused(task, servers):
        yield Tell(Accept(missing), "every server accepts the passwords of the credentials Secret")
    if fresh:
        yield _present(task, fresh)
    elif former and not asked and task.now < float(known.get(SINCE, 0)) + OVERLAP_SECONDS:
        yield Wait("new passwords are in use; those from before are accepted for an hour", "Rotating")  # fmt: skip
    elif former and _others(task, servers, former):
        yield Tell(Retire(tuple(former)), "no server accepts the passwords from before")
    elif former:
        yield Amend("the passwords from before are gone", drop=tuple(u + PREVIOUS for u in former))
    elif asked:
        yield begin_rotation(asked, USERS, NEXT)


def _refused(task: Task, servers: Sequence[Answer]) -> tuple[str, ...]:
    """Users whom some server would not let in with the current password, or with the next."""
    known = task.order.credentials
    wanted = {u: {hash_of(known[k]) for k in (u, u + NEXT) if k in known} for u in USERS}
    return tuple(
        u for u in USERS if any(u in s.accepts and not wanted[u] <= s.accepts[u] for s in servers)
    )


def _others(task: Task, servers: Sequence[Answer], users: Sequence[str]) -> bool:
    """Whether any server accepts more than the current password of one of the users."""
    current = {user: {hash_of(task.order.credentials[user])} for user in users}
    return any(s.accepts.get(user, current[user]) != current[user] for s in servers for user in users)  # fmt: skip


def _present(task: Task, users: Sequence[str]) -> Amend:
    known = task.order.credentials
    put = {SINCE: str(int(task.now))}
    for user in users:
        put |= {user: known[user + NEXT], user + PREVIOUS: known[user]}
    return Amend("applications are given the new passwords", put=put, drop=tuple(u + NEXT for u in users))  # fmt: skip

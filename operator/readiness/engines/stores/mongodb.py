"""A replica set as a whole: every member looked at, one step carried out at its primary.

What follows from a look is decided in `dataservices/mongodb`; here it is only asked and told. An
outcome is judged by the next look, so what a step returns is for the log alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pymongo.errors import PyMongoError

from readiness.dataservices import order
from readiness.dataservices.mongodb.build import wanted_of
from readiness.dataservices.mongodb.commands import (
    CATCH_UP_SECONDS,
    LIMIT_MILLIS,
    Told,
    commands_of,
)
from readiness.dataservices.mongodb.members import Observed
from readiness.dataservices.mongodb.planning import Facts
from readiness.dataservices.mongodb.reading import Look, config_of, observed_of
from readiness.dataservices.mongodb.reconfigure import plan_of
from readiness.dataservices.mongodb.settings import PORT
from readiness.dataservices.mongodb.steps import SetPassword
from readiness.dataservices.mongodb.telling import seen_of
from readiness.dataservices.mongodb.users import passwords_of, rotation_of
from readiness.mongod import Login, Mongod
from readiness.snapshot import Seen

_NOWHERE: Final[Mapping[str, str]] = {}
MARGIN: Final = 5.0
"""Seconds that a command may take beyond what it was given itself."""


async def look(asked: order.Look) -> Seen:
    """One look at a whole set, understood."""
    hosts, where = _places(asked)
    wanted, known = wanted_of(asked.order), asked.order.credentials
    observed = await read_set(hosts, known, where)
    left, accepted, busy = plan_of(wanted, observed), frozenset[str](), None
    there = [user.name for user in observed.users or ()]
    pending = rotation_of(wanted.users, known, there, ()) if left is None else None
    if isinstance(pending, tuple):
        accepted = await _accepted(where.get(observed.primary, observed.primary), pending[0], known)
    elif pending is not None:
        busy = await read_sessions([where.get(host, host) for host in hosts], known)
    return replace(seen_of(wanted, observed), facts=Facts(observed, left, accepted, busy))


async def tell(asked: order.Look, act: Told) -> str:
    """Carries out an act at the primary of now; what went wrong, in the server's word."""
    hosts, where = _places(asked)
    seen = await read_set(hosts, asked.order.credentials, where)
    if not seen.primary:
        return "NoPrimary"
    return await apply_step(act, where.get(seen.primary, seen.primary), asked.order.credentials)


async def read_set(
    hosts: Sequence[str], credentials: Mapping[str, str], where: Mapping[str, str] = _NOWHERE
) -> Observed:
    """Every wanted host, and every other that a configuration names; `where` leads to hosts otherwise than by name."""
    login = Login(passwords_of(credentials))
    looks = await _look_at(hosts, login, where)
    named = {m.host for look in looks if look.config for m in config_of(look.config).members}
    return observed_of(looks + await _look_at(sorted(named - set(hosts)), login, where))


async def apply_step(step: Told, primary: str, credentials: Mapping[str, str]) -> str:
    """Carry out a step at the primary; what went wrong, in the server's word."""
    within = max(CATCH_UP_SECONDS, LIMIT_MILLIS / 1000) + MARGIN
    async with Mongod(primary, Login(passwords_of(credentials))) as server:
        return await server.tell(commands_of(step, credentials), within)


async def read_sessions(hosts: Sequence[str], credentials: Mapping[str, str]) -> frozenset[str] | None:  # fmt: skip
    """The users who have a session at any member; None when one member does not tell."""
    found: set[str] = set()
    for host in hosts:
        async with Mongod(host, Login(passwords_of(credentials))) as server:
            try:
                found |= await server.sessions()
            except PyMongoError:
                return None
    return frozenset(found)


async def _accepted(primary: str, pending: SetPassword, known: Mapping[str, str]) -> frozenset[str]:
    """The key of the password that is to be set, if it has been."""
    async with Mongod(primary, Login(())) as server:
        done = await server.lets_in(pending.user.name, known[pending.key])
    return frozenset({pending.key} if done else ())


async def _look_at(hosts: Sequence[str], login: Login, where: Mapping[str, str]) -> list[Look]:
    async def look_at(host: str) -> Look:
        async with Mongod(where.get(host, host), login) as server:
            return replace(await server.look(deep=True), host=host)

    return await asyncio.gather(*map(look_at, hosts))


def _places(asked: order.Look) -> tuple[Sequence[str], Mapping[str, str]]:
    """The hosts of a set, and where its pods are."""
    hosts = wanted_of(asked.order).hosts
    pods = {host: asked.addresses.get(host.partition(".")[0], "") for host in hosts}
    return hosts, {host: _at(address) for host, address in pods.items() if address}


def _at(address: str) -> str:
    return f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"

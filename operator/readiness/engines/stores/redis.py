"""Asks members and sentinels of a Redis what they are, and carries out the acts that change servers.

Every connection is short and bounded. A password goes out as an argument of a command to the server, never into an
error or a log. It decides nothing: `dataservices/redis/reading.py` understands, `commands.py` says what comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from readiness.dataservices.order import PREVIOUS, Look
from readiness.dataservices.parts import Part
from readiness.dataservices.redis.access import (
    MEMBER_USERS,
    SENTINEL_USERS,
    hash_of,
    hashes_of,
)
from readiness.dataservices.redis.build import group_of, members_of, sentinels_of
from readiness.dataservices.redis.commands import Accept, Act, Forget, Rank, Retire
from readiness.dataservices.redis.reading import Answer, observed_of, seen_of
from readiness.dataservices.tls import AUTHORITY, authority_of
from readiness.engines.resp import BROKEN, Peer, as_is, client_of, has_quorum, info_of, word_of
from readiness.engines.stores.trust import trusting
from readiness.snapshot import Seen

SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is. `name` is its pod's, `host` what the set calls it, `address` what is connected to."""

    name: str
    host: str
    address: str
    port: int = 6379


@dataclass(frozen=True, slots=True)
class Group:
    """All servers of a set, what sentinels call it, the passwords of its users, and who vouches for servers with TLS."""

    name: str
    members: tuple[Server, ...]
    sentinels: tuple[Server, ...]
    credentials: Mapping[str, str]
    authority: str = ""


Change = Callable[[Redis, Server, Group], Awaitable[None]]


async def look(asked: Look) -> Seen:
    """One look at a whole set, understood."""
    members, sentinels = await read_group(group_at(asked))
    return seen_of(observed_of(members, sentinels), (*members, *sentinels))


async def tell(asked: Look, act: Act) -> str:
    """Carries out an act; what went wrong with the first server that failed, in a word."""
    group = group_at(asked)
    for change in _changes(act):
        told = (_told(each, group, change) for each in (*group.members, *group.sentinels))
        if word := next(filter(None, await asyncio.gather(*told)), ""):
            return word
    return ""


def _changes(act: Act) -> tuple[Change, ...]:
    """What each server is told, in this order: all of them the first before any the second."""
    match act:
        case Accept(users):
            return (partial(_accept, users=users),)
        case Retire(users):
            return partial(_use, users=users), partial(_drop, users=users)
        case Rank(members, rank):
            return (partial(_rank, members=members, rank=rank),)
        case Forget(sentinel):
            return (partial(_forget, sentinel=sentinel),)


async def read_group(group: Group) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """What every member and every sentinel answers, asked at once."""
    members = [_read(each, partial(_member_facts, host=each.host), group) for each in group.members]
    sentinels = [_read(each, lambda client: _sentinel_facts(client, group), group) for each in group.sentinels]  # fmt: skip
    found = await asyncio.gather(*members, *sentinels)
    return tuple(found[: len(members)]), tuple(found[len(members) :])


def group_at(asked: Look) -> Group:
    """The servers of what is looked at."""
    members, sentinels = members_of(asked.order), sentinels_of(asked.order)

    def servers(part: Part) -> tuple[Server, ...]:
        ((_, port),) = part.ports.items()
        names = (host.partition(".")[0] for host in part.hosts)
        addressed = ((name, asked.addresses.get(name, "")) for name in names)
        return tuple(Server(n, h, a, port) for (n, a), h in zip(addressed, part.hosts, strict=True))

    name = group_of(asked.order)
    authority = authority_of(asked.order).get(AUTHORITY, "")
    return Group(name, servers(members), servers(sentinels), asked.order.credentials, authority)


async def _read(
    server: Server, ask: Callable[[Redis], Awaitable[dict[str, Any]]], group: Group
) -> Answer:
    try:
        async with asyncio.timeout(SECONDS), _client(server, group) as client:
            return Answer(server.name, server.host, **await ask(client))
    except BROKEN as error:
        return Answer(server.name, server.host, error=word_of(error))


async def _member_facts(client: Redis, host: str) -> dict[str, Any]:
    facts = await info_of(client, "everything")
    found = await client.config_get("replica-priority")
    return {
        "facts": facts,
        "accepts": await _accepts(client, tuple(MEMBER_USERS)),
        "ranks": {host: int(found["replica-priority"] or 0)},
    }


async def _sentinel_facts(client: Redis, group: Group) -> dict[str, Any]:
    facts = await client.execute_command("SENTINEL MASTER", group.name)
    client.set_response_callback("SENTINEL REPLICAS", as_is)
    replicas = await client.execute_command("SENTINEL REPLICAS", group.name)
    return {
        "facts": {str(key): str(value) for key, value in facts.items()},
        "accepts": await _accepts(client, tuple(SENTINEL_USERS)),
        "quorum": await has_quorum(client, group.name),
        "ranks": {each["ip"]: int(each["slave-priority"]) for each in replicas},
    }


async def _accepts(client: Redis, users: tuple[str, ...]) -> dict[str, frozenset[str]]:
    found = [await client.execute_command("ACL GETUSER", user) for user in users]
    return {user: frozenset(each["passwords"]) for user, each in zip(users, found, strict=True)}


async def _told(server: Server, group: Group, change: Change) -> str:
    try:
        async with asyncio.timeout(SECONDS), _client(server, group) as client:
            await change(client, server, group)
    except BROKEN as error:
        return f"{server.name}: {type(error).__name__}"
    return ""


async def _accept(client: Redis, server: Server, group: Group, users: tuple[str, ...]) -> None:
    for user in _known(server, group, users):
        hashes = (f"#{each}" for each in hashes_of(user, group.credentials))
        await client.execute_command("ACL SETUSER", user, *hashes)


async def _use(client: Redis, server: Server, group: Group, users: tuple[str, ...]) -> None:
    """Servers log in as some users themselves: with the current password from now on."""
    given, sentinel = group.credentials, server in group.sentinels
    if "replication" in users and not sentinel:
        await client.config_set("masterauth", given["replication"])
    if "sentinel" in users and sentinel:
        await client.execute_command("SENTINEL SET", group.name, "auth-pass", given["sentinel"])
    if "quorum" in users and sentinel:
        await client.execute_command("SENTINEL CONFIG SET", "sentinel-pass", given["quorum"])


async def _drop(client: Redis, server: Server, group: Group, users: tuple[str, ...]) -> None:
    for user in _known(server, group, users):
        current = f"#{hash_of(group.credentials[user])}"
        await client.execute_command("ACL SETUSER", user, "resetpass", current)


async def _rank(client: Redis, server: Server, _: Group, members: tuple[str, ...], rank: int) -> None:  # fmt: skip
    if server.name in members:
        await client.config_set("replica-priority", rank)


async def _forget(client: Redis, server: Server, group: Group, sentinel: str) -> None:
    """It asks the primary who follows, and the others where they are, within seconds."""
    if server.name == sentinel:
        await client.execute_command("SENTINEL RESET", group.name)


def _known(server: Server, group: Group, users: tuple[str, ...]) -> list[str]:
    known = SENTINEL_USERS if server in group.sentinels else MEMBER_USERS
    return [user for user in users if user in known]


@asynccontextmanager
async def _client(server: Server, group: Group) -> AsyncIterator[Redis]:
    """With the current password, or the one before: a server that started with old files knows only that."""
    user = "quorum" if server in group.sentinels else "admin"
    keys = [key for key in (user, user + PREVIOUS) if key in group.credentials]
    trust = trusting(group.authority) if group.authority else None
    peer = Peer(server.address, server.port, server.host, trust)
    for key in keys:
        async with client_of(peer, SECONDS, user, group.credentials[key]) as client:
            try:
                await client.ping()
            except AuthenticationError:
                if key == keys[-1]:
                    raise
                continue
            yield client
            return

"""Asks members and sentinels of a Redis what they are, and carries out the steps that change servers.

Every connection is short and bounded. A password goes out as an argument of a command to the server, never into an
error or a log. It decides nothing: `dataservices/redis/reading.py` understands, `commands.py` says what comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from readiness.dataservices.order import Look
from readiness.dataservices.parts import Part
from readiness.dataservices.redis.access import MEMBER_USERS, SENTINEL_USERS, hash_of
from readiness.dataservices.redis.build import group_of, members_of, sentinels_of
from readiness.dataservices.redis.commands import Rotate, Step
from readiness.dataservices.redis.reading import Answer, observed_of, seen_of
from readiness.dataservices.tls import AUTHORITY, authority_of
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


async def look(asked: Look) -> Seen:
    """One look at a whole set, understood."""
    return seen_of(observed_of(*await read_group(_group(asked))))


async def read_group(group: Group) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """What every member and every sentinel answers, asked at once."""
    members = [_read(each, _member_facts, group) for each in group.members]
    sentinels = [_read(each, lambda client: _sentinel_facts(client, group), group) for each in group.sentinels]  # fmt: skip
    found = await asyncio.gather(*members, *sentinels)
    return tuple(found[: len(members)]), tuple(found[len(members) :])


async def run_step(group: Group, rotate: Rotate) -> None:
    """A step of a rotation on every server. It may be repeated; a server that is away raises, and the rest has to wait."""
    await asyncio.gather(*(_change(each, group, rotate) for each in (*group.members, *group.sentinels)))  # fmt: skip


def _group(asked: Look) -> Group:
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
    except (AuthenticationError, NoPermissionError):
        return Answer(server.name, server.host, error="NotPermitted")
    except BusyLoadingError:
        return Answer(server.name, server.host, error="Loading")
    except ResponseError:
        return Answer(server.name, server.host, error="Refused")
    except (RedisError, OSError, TimeoutError):
        return Answer(server.name, server.host, error="Unreachable")


async def _member_facts(client: Redis) -> dict[str, Any]:
    client.set_response_callback("INFO", _as_is)  # its lines, not the library's reading of them
    text = await client.execute_command("INFO", "everything")
    return {"facts": _pairs(text), "accepts": await _accepts(client, tuple(MEMBER_USERS))}


async def _sentinel_facts(client: Redis, group: Group) -> dict[str, Any]:
    facts = await client.execute_command("SENTINEL MASTER", group.name)
    client.set_response_callback("SENTINEL CKQUORUM", _as_is)
    try:
        quorum = bool(await client.execute_command("SENTINEL CKQUORUM", group.name))
    except ResponseError:
        quorum = False
    return {
        "facts": {str(key): str(value) for key, value in facts.items()},
        "accepts": await _accepts(client, tuple(SENTINEL_USERS)),
        "quorum": quorum,
    }


async def _accepts(client: Redis, users: tuple[str, ...]) -> dict[str, frozenset[str]]:
    found = [await client.execute_command("ACL GETUSER", user) for user in users]
    return {user: frozenset(each["passwords"]) for user, each in zip(users, found, strict=True)}


async def _change(server: Server, group: Group, rotate: Rotate) -> None:
    user, sentinel = rotate.user, server in group.sentinels
    async with asyncio.timeout(SECONDS), _client(server, group) as client:
        if rotate.step is Step.RETIRE:
            await _use(client, group, user, sentinel=sentinel)
        if user in (SENTINEL_USERS if sentinel else MEMBER_USERS):
            await client.execute_command("ACL SETUSER", user, *_rules(group.credentials, rotate))


async def _use(client: Redis, group: Group, user: str, *, sentinel: bool) -> None:
    """Servers log in as some users themselves: with the current password from now on."""
    password = group.credentials[user]
    if user == "replication" and not sentinel:
        await client.config_set("masterauth", password)
    elif user == "sentinel" and sentinel:
        await client.execute_command("SENTINEL SET", group.name, "auth-pass", password)
    elif user == "quorum" and sentinel:
        await client.execute_command("SENTINEL CONFIG SET", "sentinel-pass", password)


def _rules(credentials: Mapping[str, str], rotate: Rotate) -> tuple[str, ...]:
    user = rotate.user
    if rotate.step is Step.ACCEPT:
        return (f"#{hash_of(credentials[f'{user}.next'])}",)
    return "resetpass", f"#{hash_of(credentials[user])}"


def _client(server: Server, group: Group) -> Redis:
    user = "quorum" if server in group.sentinels else "admin"
    encrypted: dict[str, Any] = {
        "connection_class": _Encrypted,
        "named": server.host,
        "authority": group.authority,
    }
    pool = ConnectionPool(
        host=server.address, port=server.port, username=user, password=group.credentials[user],
        decode_responses=True, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0),
        **(encrypted if group.authority else {}),
    )  # fmt: skip
    return Redis.from_pool(pool)


class _Encrypted(Connection):
    """To an address, where a certificate for a name has to be shown."""

    def __init__(self, *, named: str, authority: str, **more: Any) -> None:
        super().__init__(**more)
        self._named, self._trusting = named, trusting(authority)

    def _connection_arguments(self) -> Mapping[str, Any]:
        how = {"ssl": self._trusting, "server_hostname": self._named}
        return {**super()._connection_arguments(), **how}


def _as_is(response: Any, **_: Any) -> Any:
    return response


def _pairs(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if ":" in line)
    return dict(line.split(":", 1) for line in lines)

"""Asks the servers of a Redis: members, Sentinels, and whom those name, each over short connections.

Read commands only. An anonymous connection and the application's login are tried with commands that
change nothing; what is kept of them is whether they were let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from readiness.engines.guard import DeniedError
from readiness.engines.inspection import MOST, Account, Visit
from readiness.engines.resp import (
    BROKEN,
    Peer,
    as_is,
    client_of,
    has_quorum,
    info_of,
    pairs_of,
    word_of,
)
from readiness.inspection import Told

SECONDS: Final = 4.0
KEYS: Final = 100
Place = tuple[str, int]
Facts = dict[str, Any]
Ask = Callable[[Redis], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Door:
    """One server: its address, and by what name its certificate is checked."""

    visit: Visit
    host: str
    address: str
    port: int

    def client(self, account: Account | None) -> Redis:
        """Logged in as somebody, or as nobody."""
        peer = Peer(self.address, self.port, self.host, self.visit.trust)
        who = (account.user, account.password) if account is not None else ()
        return client_of(peer, SECONDS, *who)


async def inspect(visit: Visit) -> tuple[Told, ...]:
    """Sentinels first, then every member that is known or named, in two rounds."""
    asked = visit.request
    sentinels = await _ask_all(visit, [(host, asked.sentinel_port) for host in asked.sentinels], _sentinel)  # fmt: skip
    places = [(host, asked.port) for host in asked.hosts]
    found: dict[str, Told] = {}
    for _ in range(2):
        places = [*places, *(p for t in (*sentinels, *found.values()) for p in _named_by(t))]
        told = await _ask_all(visit, places, _member, frozenset(found))
        found |= {each.name: each for each in told}
    return (*sentinels, *found.values())


async def _ask_all(
    visit: Visit, places: Iterable[Place], ask: Callable[[Door], Awaitable[Told]],
    known: frozenset[str] = frozenset(),
) -> tuple[Told, ...]:  # fmt: skip
    """Each server once, by whatever name it was mentioned."""
    doors: dict[str, Door | Told] = {}
    for host, port in dict.fromkeys(places):
        found = await _door(visit, host, port)
        name = found.name if isinstance(found, Told) else _called(found)
        if name not in known and len(doors) < MOST:
            doors.setdefault(name, found)
    return tuple(
        await asyncio.gather(
            *(_as_told(d) if isinstance(d, Told) else ask(d) for d in doors.values())
        )
    )


async def _as_told(found: Told) -> Told:
    return found


async def _door(visit: Visit, host: str, port: int) -> Door | Told:
    try:
        return Door(visit, host, await visit.address(host, port), port)
    except DeniedError:
        return Told(host, error="EgressRefused")
    except (OSError, TimeoutError):
        return Told(host, error="NameNotFound")


def _called(door: Door) -> str:
    """The pod it runs in, else what it was called; with its port where that tells it apart."""
    asked = door.visit.request
    name = asked.way.name(door.address) or door.host
    usual = door.port in (asked.port, asked.sentinel_port)
    return name if usual else f"{name}:{door.port}"


async def _member(door: Door) -> Told:
    async def ask(client: Redis, told: _Answers) -> None:
        info = await info_of(client, "everything")
        told.facts["info"] = info
        await told.ask("config", lambda: client.config_get("*"))
        if info.get("cluster_enabled") == "1":
            client.set_response_callback("CLUSTER NODES", as_is)
            client.set_response_callback("CLUSTER INFO", as_is)
            told.facts["cluster"] = pairs_of(await client.execute_command("CLUSTER INFO"))
            told.facts["nodes"] = str(await client.execute_command("CLUSTER NODES"))
        if door.visit.request.scan and info.get("role") == "master":
            await told.ask("keys", lambda: _keys(client, door.visit.request.scan))

    found = await _asked(door, door.visit.account(door.visit.request.login), ask)
    return await _doors_tried(door, found)


async def _sentinel(door: Door) -> Told:
    group = door.visit.request.group

    async def ask(client: Redis, told: _Answers) -> None:
        for question in ("MASTER", "REPLICAS", "SENTINELS"):
            client.set_response_callback(f"SENTINEL {question}", as_is)
        told.facts["master"] = _mapping(await client.execute_command("SENTINEL MASTER", group))
        for question in ("REPLICAS", "SENTINELS"):
            rows = await client.execute_command(f"SENTINEL {question}", group)
            told.facts[question.lower()] = [_mapping(row) for row in rows]
        told.facts["quorum"] = await has_quorum(client, group)

    found = await _asked(door, door.visit.account(door.visit.request.sentinel_login), ask)
    open_ = await _let_in(door, None, "PING") if not found.error else None
    return Told(found.name, {**found.facts, "anonymous": open_}, found.refused, found.error, sentinel=True)  # fmt: skip


class _Answers:
    """What one server has said so far."""

    def __init__(self) -> None:
        self.facts: Facts = {}
        self.refused: set[str] = set()

    async def ask(self, question: str, command: Callable[[], Awaitable[Any]]) -> None:
        """A question that the login may lack a right to."""
        try:
            self.facts[question] = await command()
        except NoPermissionError:
            self.refused.add(question)


async def _asked(
    door: Door, account: Account | None, ask: Callable[[Redis, _Answers], Awaitable[None]]
) -> Told:
    """With the login; where a server wants none, without it."""
    told, name, error = _Answers(), _called(door), ""
    try:
        async with asyncio.timeout(SECONDS), door.client(account) as client:
            await ask(client, told)
    except AuthenticationError as refusal:
        if account is not None and "without any password" in str(refusal):
            return await _asked(door, None, ask)
        error = "LoginRefused"
    except BROKEN as failure:
        error = "LoginRefused" if str(failure).startswith("NOAUTH") else word_of(failure)
    return Told(name, {} if error else told.facts, frozenset(told.refused), error)


async def _doors_tried(door: Door, found: Told) -> Told:
    """Who else is let in: anybody, and the application to what is an administrator's."""
    if found.error in ("Unreachable", "Loading"):
        return found
    app = door.visit.account(door.visit.request.app)
    tried = {
        "anonymous": await _let_in(door, None, "INFO", "server"),
        "app": await _let_in(door, app, "PING") if app else None,
        "admin": await _let_in(door, app, "CONFIG GET", "maxmemory") if app else None,
    }
    return Told(found.name, {**found.facts, **tried}, found.refused, found.error)


async def _let_in(door: Door, account: Account | None, *command: str) -> bool | None:
    """Whether a command is carried out for somebody; None: it was not answered."""
    try:
        async with asyncio.timeout(SECONDS), door.client(account) as client:
            client.set_response_callback(command[0], as_is)
            await client.execute_command(*command)
    except ResponseError as refusal:
        if account is not None and "without any password" in str(refusal):
            return await _let_in(door, None, *command)
        return False
    except AuthenticationError:
        return False
    except BROKEN:
        return None
    return True


async def _keys(client: Redis, prefix: str) -> list[tuple[str, str, int]]:
    """Keys that begin with a prefix, with type and remaining seconds: at most so many, out of a bounded walk."""
    found: list[str] = []
    cursor = 0
    for _ in range(200):
        cursor, some = await client.scan(cursor, match=f"{_literal(prefix)}*", count=500)
        found += [str(key) for key in some]
        if not cursor or len(found) >= KEYS:
            break
    rows = ((key, await client.type(key), await client.ttl(key)) for key in found[:KEYS])
    return [(key, str(kind), int(ttl)) async for key, kind, ttl in rows if ttl != -2]


def _literal(text: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\^" else c for c in text)


def _named_by(told: Told) -> list[Place]:
    """Servers that another one names: replicas, the primary, members of a cluster."""
    if told.sentinel:
        rows = [told.facts.get("master") or {}, *told.facts.get("replicas", ())]
        return [_place(row.get("ip"), row.get("port")) for row in rows if row.get("ip")]
    info = told.facts.get("info") or {}
    found = [_place(info["master_host"], info.get("master_port"))] if info.get("master_host") else []  # fmt: skip
    for key, text in info.items():
        if key.startswith("slave") and "ip=" in text:
            row = dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)
            found.append(_place(row["ip"], row.get("port")))
    for line in str(told.facts.get("nodes", "")).splitlines():
        where = line.split()[1].partition("@")[0] if len(line.split()) > 1 else ""
        host, _, port = where.rpartition(":")
        found += [_place(host, port)] if host else []
    return found


def _place(host: object, port: object) -> Place:
    return str(host), int(str(port or 6379))


def _mapping(row: Any) -> dict[str, str]:
    """A row of a Sentinel, which comes as a list of names and values."""
    if isinstance(row, Mapping):
        return {str(key): str(value) for key, value in row.items()}
    return {str(key): str(value) for key, value in zip(row[::2], row[1::2], strict=False)}

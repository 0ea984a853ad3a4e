"""Asks the members of a MongoDB: those that are declared, and those that their configuration names.

Each over a connection of its own, never through a set. An anonymous connection and the application's
login are tried with commands that change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from readiness.engines.guard import DeniedError
from readiness.engines.inspection import MOST, Account, Visit
from readiness.inspection import Told

SECONDS: Final = 4.0
AUTHENTICATION_FAILED: Final = 18
Client = AsyncMongoClient[dict[str, Any]]
Place = tuple[str, int]
_QUESTIONS: Final = {
    "status": ("replSetGetStatus", None),
    "config": ("replSetGetConfig", "config"),
    "defaults": ("getDefaultRWConcern", None),
    "connections": ("serverStatus", "connections"),
    "storage": ("serverStatus", "storageEngine"),
    "disk": ("dbStats", None),
}


async def inspect(visit: Visit) -> tuple[Told, ...]:
    """Every member, in two rounds: the second asks those that the first named."""
    if visit.trust is not None:
        return tuple(Told(host, error="TLSNotSupported") for host in visit.request.hosts)
    places: list[Place] = [(host, visit.request.port) for host in visit.request.hosts]
    found: dict[str, Told] = {}
    for _ in range(2):
        for told in await asyncio.gather(*(_ask(visit, *place, found) for place in dict.fromkeys(places[:MOST]))):  # fmt: skip
            if told is not None:
                found[told.name] = told
        places = [place for each in found.values() for place in _named_by(each)]
    return tuple(found.values())


async def _ask(visit: Visit, host: str, port: int, known: Iterable[str]) -> Told | None:
    """One member; None where it has been asked by another name."""
    try:
        address = await visit.address(host, port)
    except DeniedError:
        return Told(host, error="EgressRefused")
    except (OSError, TimeoutError):
        return Told(host, error="NameNotFound")
    name = visit.request.way.name(address) or host
    name = name if port == visit.request.port else f"{name}:{port}"
    if name in known:
        return None
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        return await _look(visit, name, where)
    except OperationFailure as error:
        return Told(name, error="LoginRefused" if error.code == AUTHENTICATION_FAILED else "Refused")  # fmt: skip
    except PyMongoError:
        return Told(name, error="Unreachable")


async def _look(visit: Visit, name: str, where: str) -> Told:
    facts: dict[str, Any] = {}
    refused: set[str] = set()
    anybody = _client(where, None)
    try:
        facts["hello"] = await _command(anybody, "hello")
        facts["anonymous"] = await _permitted(anybody, {"listDatabases": 1, "nameOnly": True})
    finally:
        await anybody.close()
    client = _client(where, visit.account(visit.request.login))
    try:
        await _command(client, "ping")
        for question, (command, part) in _QUESTIONS.items():
            try:
                answer = await _command(client, command)
                facts[question] = answer.get(part) if part else answer
            except OperationFailure:
                refused.add(question)
    finally:
        await client.close()
    if (app := visit.account(visit.request.app)) is not None:
        facts["app"] = await _roles(where, app)
    return Told(name, facts, frozenset(refused))


async def _roles(where: str, account: Account) -> list[str] | None:
    """The roles of a login, as `role@database`; None where it is not let in."""
    client = _client(where, account)
    try:
        told = await _command(client, "connectionStatus")
    except PyMongoError:
        return None
    finally:
        await client.close()
    roles = told.get("authInfo", {}).get("authenticatedUserRoles", ())
    return sorted(f"{role['role']}@{role['db']}" for role in roles)


async def _permitted(client: Client, command: dict[str, Any]) -> bool:
    try:
        with pymongo.timeout(SECONDS):
            await client.admin.command(command)
    except OperationFailure:
        return False
    return True


async def _command(client: Client, name: str) -> dict[str, Any]:
    with pymongo.timeout(SECONDS):
        return await client.admin.command(name)


def _client(where: str, account: Account | None) -> Client:
    millis = int(SECONDS * 1000)
    login: dict[str, Any] = {"username": account.user, "password": account.password, "authSource": "admin"} if account else {}  # fmt: skip
    return AsyncMongoClient(
        where, directConnection=True, appname="readiness", maxPoolSize=1, retryReads=False,
        connectTimeoutMS=millis, serverSelectionTimeoutMS=millis, **login,
    )  # fmt: skip


def _named_by(told: Told) -> list[Place]:
    """Members that the set's configuration, or `hello`, names."""
    hello = told.facts.get("hello") or {}
    found = []
    for text in hello.get("hosts") or ():
        host, _, port = str(text).rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return found

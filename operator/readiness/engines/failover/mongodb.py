"""A MongoDB as an application sees it: inserts that a majority acknowledges; and what each member says of itself to anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from readiness.engines.failover.client import WAIT_SECONDS, View
from readiness.failover import FailoverScript

Document = dict[str, Any]
AGAIN: Final = 0.02
READ_SECONDS: Final = 30.0
MOST_LAG: Final = timedelta(seconds=10)


@dataclass(slots=True)
class MongoClient:
    """Implements Client. `members` are the pods' names, by where they answer."""

    binding: Mapping[str, str]
    members: Mapping[str, str]
    collection: str
    _writer: AsyncMongoClient[Document] = field(init=False)

    def __post_init__(self) -> None:
        self._writer = AsyncMongoClient(self.binding["uri"], appname="readiness-drill")

    async def look(self) -> View:
        """Every member is asked, as anybody may."""
        found = dict(zip(self.members.values(), await asyncio.gather(*map(_hello, self.members)), strict=True))  # fmt: skip
        primary = next((name for name, told in found.items() if told.get("isWritablePrimary")), "")
        if not primary:
            return View("", "no member is the primary")
        complaints = ((name, _complaint(told, found[primary])) for name, told in found.items())
        return View(primary, "; ".join(f"{name} {what}" for name, what in complaints if what))

    async def write(self, number: int) -> bool:
        """Acknowledged by a majority, as the binding's URI asks for."""
        try:
            with pymongo.timeout(2 * WAIT_SECONDS):
                await self._rows.insert_one({"_id": number})
        except PyMongoError:
            await asyncio.sleep(AGAIN)
            return False
        return True

    async def present(self, numbers: Sequence[int]) -> set[int]:
        """As the primary of now has them."""
        try:
            with pymongo.timeout(READ_SECONDS):
                return {row["_id"] async for row in self._rows.find({})}
        except PyMongoError as error:
            raise OSError(type(error).__name__) from None

    async def clear(self) -> None:
        """The whole collection."""
        try:
            with pymongo.timeout(READ_SECONDS):
                await self._rows.drop()
        except PyMongoError as error:
            raise OSError(type(error).__name__) from None

    async def close(self) -> None:
        """Every connection."""
        await self._writer.close()

    @property
    def _rows(self) -> Any:
        return self._writer[self.binding["database"]][self.collection]


def build(script: FailoverScript, binding: Mapping[str, str]) -> MongoClient:
    """Logs in as applications do."""
    names = (host.partition(".")[0] for host in script.subject.hosts)
    members = dict(zip(binding["hosts"].split(","), names, strict=True))
    return MongoClient(binding, members, f"readiness-drill-{script.run}")


async def _hello(address: str) -> Document:
    """What a member says; nothing where it does not answer."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        address, directConnection=True, serverSelectionTimeoutMS=int(2000 * WAIT_SECONDS)
    )
    with suppress(PyMongoError):
        async with client:
            with pymongo.timeout(2 * WAIT_SECONDS):
                return dict(await client.admin.command("hello"))
    return {}


def _complaint(told: Document, primary: Document) -> str:
    if not told:
        return "Unreachable"
    if not (told.get("isWritablePrimary") or told.get("secondary")):
        return "neither primary nor secondary"
    written, newest = ((each.get("lastWrite") or {}).get("lastWriteDate") for each in (told, primary))  # fmt: skip
    return "Lagging" if written and newest and newest - written > MOST_LAG else ""

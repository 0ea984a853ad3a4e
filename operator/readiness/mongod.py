"""One mongod, asked and told: the only importer of its driver.

It connects to the very server it is given, never to a set. What it hears is returned as it is
(`dataservices/mongodb/reading.py` understands it); a failed command is a sentence that names the
command and the server's word for the failure, and nothing of what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import NotPrimaryError, OperationFailure, PyMongoError

from readiness.dataservices.mongodb.reading import Look
from readiness.dataservices.mongodb.users import OPERATOR

AUTHENTICATION_FAILED: Final = 18
SOON: Final = 3.0
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Login:
    """The operator's user, with the passwords it may have: while one is changed, there are two."""

    passwords: tuple[str, ...] = field(repr=False)


class Mongod:
    """The server at `host` (`name:port`). Without a login it is asked as anybody may."""

    def __init__(self, host: str, login: Login) -> None:
        self.host = host
        self._login = login
        self._anybody = self._client()
        self._known: AsyncMongoClient[dict[str, Any]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._anybody.close()
        await self._forget()

    async def look(self, *, deep: bool = False) -> Look:
        """What it tells anybody, and its status if it knows us; `deep`, also what only a primary is asked."""
        try:
            with pymongo.timeout(SOON):
                hello = await self._anybody.admin.command("hello")
            found = Look(self.host, hello)
            client = await self._enter()
            if client is None:
                return replace(found, stranger=True)
            return await self._look_inside(client, found, deep=deep)
        except PyMongoError:
            await self._forget()
            return Look(self.host)

    async def tell(self, commands: Sequence[Document], within: float = SOON) -> str:
        """Carry out commands in order; what went wrong with the first that failed."""
        try:
            client = await self._enter()
        except PyMongoError as error:
            return f"login: {_word(error)}"
        if client is None:
            return "login: AuthenticationFailed"
        return await _tell(client, commands, within)

    async def tell_unknown(self, commands: Sequence[Document], within: float = SOON) -> str:
        """The same without a login, as a server without users lets its own loopback."""
        return await _tell(self._anybody, commands, within)

    async def lets_in(self, user: str, password: str) -> bool:
        """Whether this login is the right one; False also where it cannot be told."""
        client = self._client(username=user, password=password, authSource="admin", authMechanism="SCRAM-SHA-256")  # fmt: skip
        try:
            with pymongo.timeout(SOON):
                await client.admin.command("ping")
        except PyMongoError:
            return False
        finally:
            await client.close()
        return True

    async def sessions(self) -> frozenset[str]:
        """The users of all connections, also of idle ones. Raises PyMongoError when it cannot tell."""
        client = await self._enter()
        if client is None:
            raise OperationFailure("login", AUTHENTICATION_FAILED)
        stages = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
        with pymongo.timeout(SOON):
            found = await (await client.admin.aggregate(stages)).to_list()
        return frozenset(each["user"] for op in found for each in op.get("effectiveUsers", ()))

    async def _look_inside(self, client: AsyncMongoClient[dict[str, Any]], found: Look, *, deep: bool) -> Look:  # fmt: skip
        admin = client.admin
        try:
            with pymongo.timeout(SOON):
                found = replace(found, status=await admin.command("replSetGetStatus"))
                if not deep:
                    return found
                config = (await admin.command("replSetGetConfig"))["config"]
                found = replace(found, config=config)
                if found.hello and found.hello.get("isWritablePrimary"):
                    defaults = await admin.command("getDefaultRWConcern")
                    users = await admin.command({"usersInfo": 1})
                    found = replace(found, defaults=defaults, users=users)
        except (OperationFailure, NotPrimaryError):
            pass  # it is not in a set, or no longer: that is what the look then says
        return found

    async def _enter(self) -> AsyncMongoClient[dict[str, Any]] | None:
        """A client that is logged in; None when no password is the right one."""
        if self._known is not None:
            return self._known
        for password in self._login.passwords:
            client = self._client(username=OPERATOR, password=password, authSource="admin", authMechanism="SCRAM-SHA-256")  # fmt: skip
            try:
                with pymongo.timeout(SOON):
                    await client.admin.command("ping")
            except OperationFailure as error:
                await client.close()
                if error.code != AUTHENTICATION_FAILED:
                    raise
            except PyMongoError:
                await client.close()
                raise
            else:
                self._known = client
                return client
        return None

    async def _forget(self) -> None:
        client, self._known = self._known, None
        if client is not None:
            await client.close()

    def _client(self, **login: Any) -> AsyncMongoClient[dict[str, Any]]:
        millis = int(SOON * 1000)
        return AsyncMongoClient(
            self.host, directConnection=True, appname="readiness", maxPoolSize=2, retryWrites=False,
            retryReads=False, connectTimeoutMS=millis, serverSelectionTimeoutMS=millis, **login,
        )  # fmt: skip


async def _tell(client: AsyncMongoClient[dict[str, Any]], commands: Sequence[Document], within: float) -> str:  # fmt: skip
    for command in commands:
        try:
            with pymongo.timeout(within):
                await client.admin.command(dict(command))
        except PyMongoError as error:
            return f"{next(iter(command))}: {_word(error)}"
    return ""


def _word(error: PyMongoError) -> str:
    """The server's name of a failure, else the driver's: both are words, without what was sent."""
    details = error.details if isinstance(error, OperationFailure | NotPrimaryError) else None
    name = details.get("codeName") if isinstance(details, Mapping) else None
    return str(name or type(error).__name__)

"""Looks at data services when a control asks: every server once, with a login that was consented to.

Each kind has a driver here; it connects to no address but those the guard admits, also for members
that a server names. Nothing is judged, and no password goes further than into a connection.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, cast

from readiness.engines.guard import Guard
from readiness.inspection import Login, StoreAnswer, StoreRequest, Told
from readiness.model import Manifest
from readiness.naming import PROBE_SECRET
from readiness.request import Hop, HopKind
from readiness.stores import is_consented
from readiness.timeline import Problem, ProblemError

DEADLINE: Final = 30.0
MOST: Final = 16
"""Servers of one service that are asked."""
FindSecret = Callable[[str, str], Awaitable[Manifest | None]]
"""A Secret by namespace and name. Raises ProblemError where it may not be read."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user with its password, for one look."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a driver is given. `accounts` has one for each login of the request whose Secret is there."""

    request: StoreRequest
    guard: Guard
    accounts: Mapping[Login, Account]
    trust: ssl.SSLContext | None

    def account(self, login: Login | None) -> Account | None:
        """Who logs in; None: nobody."""
        return self.accounts.get(login) if login else None

    async def address(self, host: str, port: int) -> str:
        """The address to connect to. Raises DeniedError, or OSError where there is none."""
        inside = self.request.way.address(host)
        kind = HopKind.POD if inside else HopKind.EDGE
        hop = Hop(kind, host, host, port, inside, namespace=self.request.way.namespace)
        return str(await self.guard.admit(hop))


Driver = Callable[[Visit], Awaitable[tuple[Told, ...]]]


def driver_of(kind: str) -> Driver:
    """Imported when the first store of its kind is looked at."""
    return cast("Driver", import_module(f"{__name__}.{kind}").inspect)


class Inspector:
    """`await inspector.inspect(request)` asks every server of a data service."""

    def __init__(self, guard: Guard, find: FindSecret) -> None:
        self._guard, self._find = guard, find

    async def inspect(self, request: StoreRequest) -> StoreAnswer:
        """What they answered, or why nobody was asked."""
        try:
            visit = await self._visit(request)
            async with asyncio.timeout(DEADLINE):
                return StoreAnswer(await driver_of(request.kind)(visit))
        except ProblemError as error:
            return StoreAnswer(problem=error.problem)
        except TimeoutError:
            return StoreAnswer(problem=Problem("Unreachable", f"{request.service} did not answer within {DEADLINE:g} s"))  # fmt: skip

    async def _visit(self, request: StoreRequest) -> Visit:
        logins = {each for each in (request.login, request.app, request.sentinel_login) if each}
        secrets = {name: await self._read(request, name) for name in {each.secret for each in logins}}  # fmt: skip
        accounts = {
            login: account
            for login in logins
            if (account := _account(login, secrets[login.secret])) is not None
        }
        authorities = (secrets[each.secret].get("ca.crt") for each in logins)
        trust = ssl.create_default_context(cadata=next(filter(None, authorities), None)) if request.tls else None  # fmt: skip
        return Visit(request, self._guard, accounts, trust)

    async def _read(self, request: StoreRequest, name: str) -> Mapping[str, str]:
        """The contents of a Secret. Raises ProblemError without the consent of its owner."""
        found = await self._find(request.way.namespace, name)
        if found is None:
            raise ProblemError(Problem("SecretNotFound", f"Secret {name} does not exist", f"create it, or correct spec.dataServices[{request.service}]"))  # fmt: skip
        if not is_consented(found, request):
            raise ProblemError(Problem("NotConsented", f"Secret {name} does not carry the label {PROBE_SECRET}: allowed", f"kubectl -n {request.way.namespace} label secret {name} {PROBE_SECRET}=allowed"))  # fmt: skip
        return {key: base64.b64decode(text).decode() for key, text in (found.get("data") or {}).items()}  # fmt: skip


def _account(login: Login, secret: Mapping[str, str]) -> Account | None:
    password = secret.get(login.key, "")
    user = login.user or secret.get("username", "")
    return Account(user, password) if password else None

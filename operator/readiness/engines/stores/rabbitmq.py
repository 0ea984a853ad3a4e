"""A RabbitMQ looked at and told what to do, through the management API of whichever member answers.

What follows from a look is decided in `dataservices/rabbitmq`; an outcome is judged by the next
look. Passwords travel in headers and bodies only, and no answer's text goes further than here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from readiness.dataservices.order import Look
from readiness.dataservices.rabbitmq.commands import Act, Rebalance, SetUser
from readiness.dataservices.rabbitmq.conf import PORTS, node_name, part_of, ports_of
from readiness.dataservices.rabbitmq.leaving import Grow, Mark, Shrink
from readiness.dataservices.rabbitmq.reading import (
    LEAVING,
    Observed,
    connected_of,
    leaving_of,
    members_of,
    queues_of,
    seen_of,
    users_of,
)
from readiness.dataservices.rabbitmq.users import (
    OPERATOR,
    operator_passwords,
    password_hash,
    wanted_password,
)
from readiness.dataservices.tls import AUTHORITY, authority_of
from readiness.engines.stores.trust import trusting
from readiness.snapshot import Seen

T = TypeVar("T")
TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
_NODES: Final = "/api/nodes?columns=name,running,partitions,mem_alarm,disk_free_alarm"
_QUEUES: Final = "/api/queues?disable_stats=true&enable_queue_totals=true"
_USERS: Final = "/api/users?columns=name,password_hash"
_CONNECTIONS: Final = "/api/connections?columns=user"
_JSON: Final[Mapping[str, str]] = {"hashing_algorithm": "rabbit_password_hashing_sha256"}


async def look(asked: Look) -> Seen:
    """One look at a whole cluster, understood."""
    return seen_of(await management_at(asked).read())


async def tell(asked: Look, act: Act) -> str:
    """Carries out an act; what went wrong, in a word."""
    return await management_at(asked).carry_out(act)


def management_at(asked: Look) -> Management:
    """The management API of what is looked at."""
    order = asked.order
    ca, port = authority_of(order).get(AUTHORITY, ""), ports_of(order)["management"]
    return Management(part_of(order).hosts, order.credentials, asked.addresses, ca, port)


@dataclass(frozen=True, slots=True)
class Management:
    """Where members are asked, with what login.

    `hosts` are the members' full names, in any order; `addresses` those of pods where they are known.
    Every port is asked with TLS where an `authority` is named, and has to show a certificate of its for the full name.
    """

    hosts: Sequence[str]
    credentials: Mapping[str, str]
    addresses: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    port: int = PORTS["management"]
    transport: httpx.AsyncBaseTransport | None = None

    async def read(self) -> Observed:
        """The cluster as the first member that answers tells of it."""
        errors = []
        for host in self.hosts:
            try:
                return await self._ask(host, _look)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                errors.append(f"{_pod(host)} does not answer: {_word(error)}")
        return Observed(errors=tuple(errors))

    async def carry_out(self, step: Act) -> str:
        """Tells the first member that answers; returns what went wrong, in a word."""
        word = "no member"

        async def send(client: httpx.AsyncClient) -> None:
            (await client.send(self._request(client, step))).raise_for_status()

        for host in self.hosts:
            try:
                await self._ask(host, send)
                return ""
            except httpx.HTTPError as error:
                word = _word(error)
        return word

    async def _ask(self, host: str, ask: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        """With the operator's password; where it is refused, with the one that is to come or was before."""
        *first, last = operator_passwords(self.credentials)
        for password in first:
            try:
                async with self._client(host, password) as client:
                    return await ask(client)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.UNAUTHORIZED:
                    raise
        async with self._client(host, last) as client:
            return await ask(client)

    def _client(self, host: str, password: str) -> httpx.AsyncClient:
        where = self.addresses.get(_pod(host), host)
        scheme = "https" if self.authority else "http"
        url = httpx.URL(scheme=scheme, host=where, port=self.port)

        async def named(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = host

        return httpx.AsyncClient(
            base_url=url,
            verify=trusting(self.authority),
            event_hooks={"request": [named]},
            auth=(OPERATOR, password),
            timeout=TIMEOUT,
            trust_env=False,
            transport=self.transport,
        )

    def _request(self, client: httpx.AsyncClient, step: Act) -> httpx.Request:
        match step:
            case SetUser(user):
                stored = password_hash(user.name, wanted_password(user, self.credentials))
                body = {**_JSON, "password_hash": stored, "tags": ",".join(user.tags)}
                return client.build_request("PUT", f"/api/users/{quote(user.name)}", json=body)
            case Grow(pod):
                body = {"vhost_pattern": ".*", "queue_pattern": ".*", "strategy": "all"}
                return client.build_request("POST", self._replicas(pod, "grow"), json=body)
            case Shrink(pod):
                return client.build_request("DELETE", self._replicas(pod, "shrink"))
            case Mark(pods):
                mark: dict[str, object] = {"name": LEAVING, "value": list(pods)}
                return client.build_request("PUT", f"/api/global-parameters/{LEAVING}", json=mark)
            case Rebalance():
                return client.build_request("POST", "/api/rebalance/queues")

    def _replicas(self, pod: str, what: str) -> str:
        host = next(host for host in self.hosts if _pod(host) == pod)
        return f"/api/queues/quorum/replicas/on/{quote(node_name(host), safe='')}/{what}"


async def _look(client: httpx.AsyncClient) -> Observed:
    async def told(path: str, read: Callable[[Any], Any]) -> Any:
        answer = await client.get(path)
        return read(answer.raise_for_status().json())

    return Observed(
        await told(_NODES, members_of),
        await told(_QUEUES, queues_of),
        await told(_USERS, users_of),
        await told(_CONNECTIONS, connected_of),
        await told("/api/global-parameters", leaving_of),
    )


def _pod(host: str) -> str:
    return host.partition(".")[0]


def _word(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__

"""Asks a RabbitMQ through its management API: the first member that answers tells of all of them, the others of themselves.

Reading requests only. The application's login and the one that every installation begins with are
tried at `/api/whoami`; what is kept of them is whether they were let in, and as what.
"""

from __future__ import annotations

from typing import Any, Final

import httpx

from readiness.engines.guard import DeniedError
from readiness.engines.inspection import MOST, Account, Visit
from readiness.engines.stores.trust import trusting
from readiness.inspection import Told

TIMEOUT: Final = httpx.Timeout(5.0, connect=3.0)
GUEST: Final = Account("guest", "guest")
LIMIT: Final = 4 * 1024 * 1024
_QUESTIONS: Final = {
    "overview": "/api/overview?columns=rabbitmq_version,object_totals",
    "nodes": "/api/nodes?columns=name,running,partitions,mem_alarm,disk_free_alarm,disk_free",
    "queues": "/api/queues?columns=name,vhost,type,durable,arguments,effective_policy_definition,leader,node,members,online",
    "vhosts": "/api/vhosts?columns=name,default_queue_type",
    "policies": "/api/policies",
    "users": "/api/users?columns=name,tags",
}


async def inspect(visit: Visit) -> tuple[Told, ...]:
    """The first host that answers is asked everything, the others whether they answer."""
    told: list[Told] = []
    for host in visit.request.hosts[:MOST]:
        told.append(await _ask(visit, host, whole=all(each.error for each in told)))
    return tuple(told)


async def _ask(visit: Visit, host: str, *, whole: bool) -> Told:
    try:
        address = await visit.address(host, visit.request.management)
    except DeniedError:
        return Told(host, error="EgressRefused")
    except (OSError, TimeoutError):
        return Told(host, error="NameNotFound")
    name = visit.request.way.name(address) or host
    try:
        async with _client(visit, address) as client:
            return await (_everything if whole else _anything)(visit, client, host, name)
    except (httpx.HTTPError, ValueError):
        return Told(name, error="Unreachable")


async def _anything(visit: Visit, client: httpx.AsyncClient, host: str, name: str) -> Told:
    status, _ = await _get(client, host, "/api/whoami", visit.account(visit.request.login))
    return Told(name, {"status": status})


async def _everything(visit: Visit, client: httpx.AsyncClient, host: str, name: str) -> Told:
    facts: dict[str, Any] = {}
    account = visit.account(visit.request.login)
    for question, path in _QUESTIONS.items():
        status, body = await _get(client, host, path, account)
        if status == 401 and question == "overview":
            return Told(name, error="LoginRefused")
        facts[question] = body
    if _counted(facts) > len(facts["queues"] or ()):
        facts["queues"] = None  # those of virtual hosts that the login may not enter are left out
    refused = frozenset(question for question, body in facts.items() if body is None)
    facts = {question: body for question, body in facts.items() if body is not None}
    facts["guest"] = (await _get(client, host, "/api/whoami", GUEST))[0] == 200
    if (app := visit.account(visit.request.app)) is not None:
        facts["app"] = (await _get(client, host, "/api/whoami", app))[1] or {}
    return Told(name, facts, refused)


def _counted(facts: dict[str, Any]) -> int:
    """How many queues there are, whoever may see them."""
    totals = (facts.get("overview") or {}).get("object_totals") or {}
    return int(totals.get("queues", 0))


def _client(visit: Visit, address: str) -> httpx.AsyncClient:
    scheme = "http" if visit.trust is None else "https"
    url = httpx.URL(scheme=scheme, host=address, port=visit.request.management)
    verify = visit.trust if visit.trust is not None else trusting("")  # httpx's own takes 20 ms
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False, verify=verify)


async def _get(
    client: httpx.AsyncClient, host: str, path: str, account: Account | None
) -> tuple[int, Any]:
    """Status and document; no document where it was refused. Bounded. Raises HTTPError and ValueError."""
    login = httpx.BasicAuth(account.user, account.password) if account else None
    headers, names = {"host": host}, {"sni_hostname": host}
    async with client.stream("GET", path, auth=login, headers=headers, extensions=names) as answer:
        if answer.status_code != 200:
            return answer.status_code, None
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > LIMIT:
                raise ValueError("the answer is too long")
        return 200, httpx.Response(200, content=body).json()

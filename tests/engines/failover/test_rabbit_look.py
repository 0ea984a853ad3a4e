"""What a failover drill makes of what a RabbitMQ's management API tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from readiness.engines.failover.amqp import Link
from readiness.engines.failover.client import View
from readiness.engines.failover.rabbitmq import UNSEEN, RabbitClient
from readiness.failover import StoreSubject

HOSTS = tuple(f"jobs-{number}.nodes.shop.svc" for number in range(3))
BINDING = {"host": "jobs", "username": "app-a", "password": "x", "virtual-host": "/", "port": "5672", "monitoring": "y"}  # fmt: skip
NODES = [{"name": f"rabbit@{host}", "running": True, "partitions": [], "mem_alarm": False, "disk_free_alarm": False} for host in HOSTS]  # fmt: skip
MEMBERS = [node["name"] for node in NODES]
OWN = {"name": "drill", "vhost": "/", "type": "quorum", "durable": True, "leader": MEMBERS[1], "members": MEMBERS, "online": MEMBERS}  # fmt: skip


@asynccontextmanager
async def management(queues: list[dict[str, Any]]) -> AsyncIterator[int]:
    """A real server that tells this."""

    async def told(request: web.Request) -> web.Response:
        said = NODES if request.path == "/api/nodes" else queues
        return web.Response(text=json.dumps(said), content_type="application/json")

    application = web.Application()
    application.router.add_get("/api/{what}", told)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("queues", "writes", "view"),
    [
        ([OWN], True, View("jobs-1")),
        ([], False, View()),
        ([], True, View("", UNSEEN)),
        ([OWN | {"name": "orders"}], True, View("", UNSEEN)),
        ([OWN | {"online": MEMBERS[:2]}], True, View("jobs-1", "queue drill has 2 of 3 members online")),
    ],
    ids=["whole", "nothing written yet", "no queue is told", "another one is", "a member lags"],
)  # fmt: skip
async def test_who_leads_and_whether_all_follow(queues: list[dict[str, Any]], writes: bool, view: View):  # fmt: skip
    async with management(queues) as port:
        subject = StoreSubject("shop", "jobs", "rabbitmq", HOSTS, 5672, "jobs", management=port)
        client = RabbitClient(subject, "drill", BINDING, lambda _: "127.0.0.1")
        client._link = Link() if writes else None

        assert await client.look() == view

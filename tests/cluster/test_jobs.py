"""Why a drill's Job makes no pod: what the server's events tell of it, and nothing where they may not be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from aiohttp import web

from readiness.cluster.connection import connect
from readiness.cluster.jobs import Jobs
from readiness.naming import drill

FORBIDDEN = 'Error creating: pods "readiness-drill-r1-x7k2p" is forbidden: '
QUOTA = "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"
ACCOUNT = 'error looking up service account shop/readiness-drill: serviceaccount "readiness-drill" not found'


@pytest.mark.parametrize(
    ("messages", "status", "expected"),
    [
        ([FORBIDDEN + QUOTA], 200, ("Quota", QUOTA)),
        (["an older one", FORBIDDEN + ACCOUNT], 200, ("NoPod", ACCOUNT)),
        ([FORBIDDEN + 'violates PodSecurity "x"'], 200, ("Denied", 'violates PodSecurity "x"')),
        ([], 200, None),
        ([FORBIDDEN + QUOTA], 403, None),
    ],
    ids=["quota", "account", "admission", "nothing told", "may not read"],
)
async def test_why_there_is_no_pod(messages, status, expected, tmp_path: Path):
    asked: list[str] = []

    async def events(request: web.Request) -> web.Response:
        asked.append(request.query["fieldSelector"])
        return web.json_response({"items": [{"message": m} for m in messages]}, status=status)

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/shop/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }))  # fmt: skip
    connection = await connect(str(config), lambda _method, _status: None)
    found = await Jobs(connection, "shop").refused("r1")
    await connection.close()
    await runner.cleanup()

    assert (found and (found.reason, found.words)) == expected
    assert asked == [
        f"involvedObject.kind=Job,involvedObject.name={drill('r1')},reason=FailedCreate"
    ]

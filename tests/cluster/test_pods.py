"""A drill's hands on its pods, against a server that answers as a kubelet behind an API server does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from readiness.cluster.connection import connect
from readiness.cluster.pods import Pods
from readiness.drills.beside import METER
from readiness.drills.metering import read_line
from readiness.timeline import Sample

CUT = "failed to create fsnotify watcher: too many open files"
"""What a kubelet appends to a followed log, whole up to there, when inotify has no more to give."""
CLONE = {
    "metadata": {"name": "clone"},
    "spec": {
        "containers": [{"name": "app", "securityContext": {"runAsUser": 1000, "runAsGroup": 1000}}]
    },
}


def sample(at: float) -> str:
    return json.dumps({"sample": {"at": at, "waited": 0.0}})


class Kubelet:
    """A log that is never followed: each time it is asked for, it is longer. The meter ends with it."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.asked = lines, 0

    async def log(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(text="\n".join([*self.lines[: self.asked], CUT]))

    async def placed(self, _: web.Request) -> web.Response:
        return web.json_response(CLONE)

    async def pods(self, _: web.Request) -> web.Response:
        over = self.asked >= len(self.lines)
        state = {"terminated": {"exitCode": 0}} if over else {"running": {}}
        status = {"ephemeralContainerStatuses": [{"name": METER, "state": state}]}
        return web.json_response({"items": [CLONE | {"status": status}]})


@pytest.fixture
async def hands(tmp_path: Path) -> AsyncIterator[tuple[Pods, Kubelet]]:
    """Pods of a namespace, and what answers for them."""
    kubelet = Kubelet([sample(1.0), sample(2.0), sample(3.0)])
    app, pod = web.Application(), "/api/v1/namespaces/shop/pods"
    app.router.add_get(pod, kubelet.pods)
    app.router.add_get(f"{pod}/clone/log", kubelet.log)
    app.router.add_patch(f"{pod}/clone/ephemeralcontainers", kubelet.placed)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "here", "user": {"token": "x"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    connection = await connect(str(tmp_path / "kubeconfig"), lambda *_: None)
    yield Pods(connection, "shop", "ab12", "operator:1"), kubelet
    await connection.close()
    await runner.cleanup()


async def test_a_log_that_a_kubelet_cuts_is_read_again_until_the_meter_ends(
    hands: tuple[Pods, Kubelet],
) -> None:
    pods, kubelet = hands
    lines = [line async for line in pods.meter(CLONE, "app", 0.05)]
    told = [found for line in lines if isinstance(found := read_line(line, 0.0), Sample)]

    assert kubelet.asked == 3
    assert [each.at for each in told] == [1.0, 1.0, 2.0, 1.0, 2.0, 3.0]

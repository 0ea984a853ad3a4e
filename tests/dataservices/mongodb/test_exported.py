"""A mongodb_exporter on members of a set, with the arguments, the environment and the login that are rendered for it.

On the stand-in it reads how the set is; `getDiagnosticData`, which that does not know, on a real mongod only.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import httpx
import programs
import pytest

import recipes
from mongo_rig import REAL, STANDIN, Rig, command_of
from readiness.api.dataservice import DataService
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.mongodb.build import hosts_of
from readiness.dataservices.order import Order
from readiness.model import Manifest
from sandbox import rootfs

pytestmark = pytest.mark.slow
SPEC = {"name": "orders", "mongodb": {"metrics": {"serviceMonitor": True}}}
ORDER = Order("shop", "checkout", DataService.model_validate(SPEC), "mongo:8", "operator", "readiness-system", 3, {}, exporter_image="exporter:1")  # fmt: skip


@cache
def program() -> Path:
    return rootfs(recipes.go_layer("e2e/mongo/mongodb_exporter")) / "usr/bin/mongodb_exporter"


class Exporter:
    """What is rendered, run as a process; and how Prometheus would read each member."""

    def __init__(self, rig: Rig, log: Path, **passwords: str) -> None:
        order = replace(ORDER, credentials={**rig.credentials, "keyfile": "k", **passwords})
        built = {child["kind"]: child for child in MONGODB.build(order)}
        self.places = dict(zip(hosts_of(order), rig.hosts, strict=False))
        self.targets = [self.here(each["params"]["target"][0]) for each in built["ServiceMonitor"]["spec"]["endpoints"]]  # fmt: skip
        (container,) = built["Deployment"]["spec"]["template"]["spec"]["containers"]
        self.log, self.port = log, programs.free_port()
        words = [program(), *container["args"], f"--web.listen-address=127.0.0.1:{self.port}"]
        given = {each["name"]: self.value(each, order) for each in container["env"]}
        with log.open("wb") as file:
            self.process = subprocess.Popen(words, env={**os.environ, **given}, stdout=file, stderr=file)  # fmt: skip
        programs.until_open(self.port)

    def here(self, text: str) -> str:
        for host, place in self.places.items():
            text = text.replace(host, place)
        return text

    def value(self, entry: Manifest, order: Order) -> str:
        key = entry.get("valueFrom", {}).get("secretKeyRef", {}).get("key", "")
        return order.credentials[key] if key else self.here(entry["value"])

    async def read(self, target: str) -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            url = f"http://127.0.0.1:{self.port}/scrape"
            return (await client.get(url, params={"target": target})).text


@contextmanager
def exported(rig: Rig, log: Path, **passwords: str) -> Iterator[Exporter]:
    found = Exporter(rig, log, **passwords)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


@pytest.fixture(params=[STANDIN, pytest.param(REAL, marks=pytest.mark.needs_mongod)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    found = Rig(request.param, command_of(request.param), tmp_path, 3)
    for number in range(3):
        found.start(number)
    try:
        await found.settle(3, within=280)
        yield found
    finally:
        found.close()


def told(text: str, series: str) -> list[str]:
    """The values of one series."""
    return [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(series + "{")]


async def test_it_reads_every_member_as_monitor_and_asks_nobody_else(rig: Rig, tmp_path: Path):
    with exported(rig, tmp_path / "exporter.log") as exporter:
        texts = [await exporter.read(target) for target in exporter.targets]
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            stranger.settimeout(0.5)
            refused = await exporter.read(f"127.0.0.1:{stranger.getsockname()[1]}")
            with pytest.raises(TimeoutError):
                stranger.accept()
    with exported(rig, tmp_path / "other.log", monitor="another") as other:
        unread = [await other.read(target) for target in other.targets]

    assert len(set(exporter.targets)) == 3
    assert [told(text, "mongodb_up") for text in texts] == [["1"]] * 3
    assert sorted(told(text, "mongodb_myState")[0] for text in texts) == ["1", "2", "2"]
    assert [told(text, "mongodb_members_health") for text in texts] == [["1"] * 3] * 3
    assert [told(text, "mongodb_members_health") for text in unread] == [[]] * 3, "another password"
    assert told(refused, "mongodb_up") == [], "it was not started with this one"
    seen = exporter.log.read_text() + "".join(texts)
    assert not [name for name, password in rig.credentials.items() if password in seen]

"""What tests of a MongoDB's dumps share: documents of many shapes, and the init containers of its backup as they are rendered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import mongoprograms
import programs
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from dataservices.redis.rig import Pod, Rig
from mongoprograms import PASSWORD
from pymongo import MongoClient

from readiness.api.backups import Backups
from readiness.api.dataservice import DataService
from readiness.backups.codec import load_source, load_verified
from readiness.backups.manifest import Source, Tally, Verified
from readiness.dataservices.children import desired_of
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.order import Order

BACKUPS = {"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}
ORDER = Order(
    "shop", "checkout", DataService.model_validate({"name": "orders", "mongodb": {}}), "mongo:8", "operator", "readiness-system", 3,
    {each.key: PASSWORD if each.key == "backup" else f"secret-of-{each.key}" for each in MONGODB.credentials},
    backups=Backups.model_validate(BACKUPS),
)  # fmt: skip
JOB = ORDER.name("backup")
ITEMS, LINES = 400, 120
TALLIES = (Tally("orders.items", ITEMS), Tally("orders.lines", LINES), Tally("orders.sessions", 30), Tally("stock.odd", 12))  # fmt: skip


def fill(client: MongoClient[dict[str, Any]], items: int = ITEMS) -> None:
    """Every type, `_id`s of several, indexes of several, a collection whose documents come to an end, a second database."""
    orders, now = client["orders"], datetime(2026, 11, 20, tzinfo=UTC)
    made = (
        {
            "_id": ObjectId(f"{number:024x}"), "number": number, "long": Int64(1 << 40 | number), "share": number / 7, "name": f"item {number} – ünïcode",
            "nested": {"list": [1, "two", {"three": None}], "deep": {"true": True}}, "at": now + timedelta(seconds=number), "raw": Binary(bytes(range(64))),
        }
        for number in range(items)
    )  # fmt: skip
    orders["items"].insert_many(made)
    orders["items"].create_index("number", unique=True)
    orders["items"].create_index([("name", 1), ("at", -1)])
    orders["lines"].insert_many({"_id": f"line-{n}", "of": n % 7} for n in range(LINES))
    orders["sessions"].insert_many({"_id": n, "at": now} for n in range(30))
    client["stock"]["odd"].insert_many(_odd())


def _odd() -> Iterator[dict[str, Any]]:
    values: tuple[Any, ...] = ("text", 7, 1.5, Int64(1 << 60), True, datetime(1999, 1, 1, tzinfo=UTC), ObjectId(), Regex("^a", "i"), Timestamp(5, 6))  # fmt: skip
    for number, value in enumerate((*values, Decimal128("1.10"), Binary(b"\0\xff"), "k" * 1000)):
        fits = not isinstance(value, Regex | Decimal128)
        yield {"_id": value if fits else 100 + number, "value": value if fits else "odd"}


@dataclass
class World:
    """Where the containers run: before members of a set whose documents are at `backend`."""

    rig: Rig
    programs: Path
    backend: int

    @property
    def left(self) -> Path:
        return self.rig.home / JOB / "backup"

    def containers(self, ports: list[int]) -> Iterator[tuple[str, Pod]]:
        """The two init containers; members are those at these ports."""
        members = {"MEMBERS": " ".join(f"127.0.0.1:{port}" for port in ports), "PORT": str(programs.free_port())}  # fmt: skip
        for name in ("dump", "verify"):
            for each in (self.rig.home / f"{JOB}-{name}").glob("*"):
                each.unlink()
        for name, pod in self.rig.job(JOB):
            told = [e | {"value": members.get(e["name"], e["value"])} for e in pod.container["env"]]
            pod.container = {**pod.container, "env": told}
            yield name, pod

    def dump(self, ports: list[int]) -> CompletedProcess[str]:
        name, pod = next(self.containers(ports))
        assert name == "dump"
        return _told(pod)

    def verify(self) -> CompletedProcess[str]:
        _, (name, pod) = self.containers([])
        assert name == "verify"
        return _told(pod)

    def found(self) -> tuple[Source, Verified]:
        """What both leave."""
        return load_source((self.left / "source.json").read_bytes()), load_verified((self.left / "verify.json").read_bytes())  # fmt: skip


def _told(pod: Pod) -> CompletedProcess[str]:
    done = pod.run(*pod.container["command"], timeout=300)
    assert PASSWORD not in done.stdout + done.stderr
    return done


def reason_of(done: CompletedProcess[str]) -> str:
    """What a container says when it gives up."""
    assert done.returncode == 1, done.stderr
    return str(json.loads(done.stderr.splitlines()[-1])["reason"])


@contextmanager
def standing(kind: str, home: Path, items: int = ITEMS) -> Iterator[World]:
    """Documents that are served, and the rendered Job beside them."""
    home.mkdir(exist_ok=True)
    where = mongoprograms.install(kind, home / "bin")
    rendered = [each for each in desired_of(MONGODB, ORDER, None) if each["kind"] in ("Secret", "ConfigMap", "CronJob")]  # fmt: skip
    rig = Rig(mongoprograms.root(kind), home, "127.0.0", rendered)
    with mongoprograms.serving(where, home / "documents") as backend:
        with MongoClient[dict[str, Any]]("127.0.0.1", backend) as client:
            fill(client, items)
        yield World(rig, where, backend)

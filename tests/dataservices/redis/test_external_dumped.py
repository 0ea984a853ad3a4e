"""A Redis that somebody else runs, as a backup's pod dumps it: by its own users, by none, by its Sentinels; and what cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

import pytest
from redis import Redis

from readiness.api.backups import Backups
from readiness.api.dataservice import DataService
from readiness.backups.codec import load_source, load_verified
from readiness.backups.manifest import Tally
from readiness.dataservices.foreign import build_external
from readiness.dataservices.order import Order
from readiness.dataservices.parts import build_secret
from readiness.dataservices.redis import REDIS
from readiness.engines.restores.place import answers
from readiness.model import Manifest

from .rig import Pod, Rig, image_root
from .test_processes import wait_until

pytestmark = pytest.mark.slow
NETWORK = f"127.{91 + os.getpid() % 30}.1"
USER = "999"
PASSWORD = "canary-of-others"
BACKUPS = Backups.model_validate({"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}})  # fmt: skip


@dataclass
class Others:
    """Servers that nobody rendered."""

    rig: Rig
    network: str

    def start(self, number: int, *options: str) -> str:
        """One more, at an address of its own."""
        address, home = f"{self.network}.{number}", self.rig.home / f"server-{number}"
        container = {"command": ["redis-server", *options, "--bind", address, "--dir", "/data"], "env": []}  # fmt: skip
        pod = Pod(f"server-{number}", "", address, container, USER, home, self.rig)
        home.mkdir()
        pod.make_volume()
        self.rig.pods[pod.name] = pod
        if "--sentinel" in options:
            (home / "data/sentinel.conf").write_text(f"sentinel monitor cache {self.network}.1 6380 1\nsentinel auth-pass cache {PASSWORD}\n")  # fmt: skip
            (home / "data/sentinel.conf").chmod(0o666)
        pod.start()
        wait_until(lambda: answers(address, 26380 if "--sentinel" in options else 6380))
        return address

    def serve(self) -> None:
        """All of them, until they know each other."""
        locked = ("--port", "6380", "--requirepass", PASSWORD, "--masterauth", PASSWORD)
        copier = f"--user copier on >{PASSWORD} -@all +info +ping +psync +sync +replconf --user reader on >{PASSWORD} ~* +get +info".split()
        primary = self.start(1, *locked, *copier)
        self.start(
            2,
            *locked,
            *copier,
            "--replicaof",
            primary,
            "6380",
            "--replica-announce-ip",
            f"{self.network}.2",
        )
        self.start(3, "/data/sentinel.conf", "--sentinel", "--port", "26380")
        self.start(4, "--port", "6380", "--protected-mode", "no")
        self.start(5, "--port", "6380", "--protected-mode", "no", "--cluster-enabled", "yes")
        with Redis(primary, 6380, password=PASSWORD) as redis, Redis(f"{self.network}.2", 6380, password=PASSWORD) as replica:  # fmt: skip
            wait_until(lambda: replica.info("replication")["master_link_status"] == "up")  # fmt: skip
            redis.mset({f"key-{n}": n for n in range(50)})
            redis.wait(1, 5000)
        with Redis(f"{self.network}.3", 26380) as sentinel:
            wait_until(lambda: bool(sentinel.sentinel_slaves("cache")))  # fmt: skip

    @contextmanager
    def dumped(self, login: Mapping[str, str], hosts: list[str], **external: Any) -> Iterator[Run]:
        """The two init containers, for a policy that declares them so."""
        secret = {"secretRef": {"name": "theirs"}} if login else {}
        store = {"hosts": ["cache"], "port": 6380, **secret, **external}
        service = DataService.model_validate({"name": "cache", "external": {"redis": store}})
        order = Order("shop", "checkout", service, "redis", "op", "op", 0, {}, backups=BACKUPS)
        self.rig.manifests = [build_secret("theirs", login), *build_external(REDIS, order)]
        name = order.name("backup")
        try:
            yield Run(self.rig, name, " ".join(hosts))
        finally:
            for place in (f"{name}/backup", f"{name}/tmp", f"{name}/passwords", f"{name}-dump", f"{name}-verify"):  # fmt: skip
                for each in (self.rig.home / place).glob("*"):
                    each.unlink()


@dataclass
class Run:
    rig: Rig
    name: str
    hosts: str

    def containers(self) -> dict[str, CompletedProcess[str]]:
        found = {}
        for name, pod in self.rig.job(self.name):
            pod.container["env"] = [e | ({"value": self.hosts} if e["name"] == "MEMBERS" else {}) for e in pod.container["env"]]  # fmt: skip
            found[name] = pod.run(*pod.container["command"], timeout=120)
            if found[name].returncode:
                break
        assert not any(PASSWORD in each.stdout + each.stderr for each in found.values())
        return found

    def left(self, name: str) -> bytes:
        return (self.rig.home / self.name / "backup" / name).read_bytes()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    """A primary with a user and a password, a replica, one Sentinel that knows both, an open server, and one of a cluster."""
    root, network = image_root("trixie"), NETWORK
    found = Others(Rig(root, tmp_path_factory.mktemp("others"), network, []), network)
    try:
        found.serve()
        yield found
    finally:
        found.rig.stop()


BOTH = (1, 2)
LOGINS: dict[str, dict[str, str]] = {
    "a password and no user": {"password": PASSWORD},
    "a user that may copy": {"username": "copier", "password": PASSWORD},
    "as a Secret from a file has it": {"username": "copier\n", "password": f"{PASSWORD}\n"},
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_its_replica_is_dumped_by_the_login_that_is_declared(others: Others, login: dict[str, str]):
    with others.dumped(login, [f"{others.network}.{n}" for n in BOTH]) as run:
        done = run.containers()

        assert [each.returncode for each in done.values()] == [0, 0], done
        assert load_source(run.left("source.json")).member == f"{others.network}.2"
        assert load_verified(run.left("verify.json")).tallies == (Tally("db0", 50),)


def test_its_sentinels_name_its_members(others: Others):
    sentinel = {"port": 26380, "group": "cache"}
    with others.dumped({"password": PASSWORD}, [f"{others.network}.9", f"{others.network}.3"], sentinel=sentinel) as run:  # fmt: skip
        done = run.containers()

        assert done["dump"].returncode == 0, done
        assert load_source(run.left("source.json")).member == f"{others.network}.2"


def test_a_primary_without_replicas_is_dumped_itself_and_said_to_be(others: Others):
    with others.dumped({"password": PASSWORD}, [f"{others.network}.1"]) as run:
        done = run.containers()["dump"]

    assert done.returncode == 0
    assert "the primary itself is dumped" in done.stderr


@pytest.mark.parametrize(
    ("login", "number", "words"),
    [
        ({"password": "wrong"}, 1, "refuses the login: the user of Secret theirs needs +info"),
        ({}, 1, "refuses the login: the user of nobody needs +info"),
        ({"username": "reader", "password": PASSWORD}, 1, "the user of Secret theirs needs +info +ping +psync"),
        ({}, 5, "is of a Redis Cluster, of which a member has a part only"),
    ],
    ids=["another password", "no login", "a user that may not copy", "a cluster"],
)  # fmt: skip
def test_what_cannot_be_dumped_is_named(others: Others, login: dict[str, str], number: int, words: str):  # fmt: skip
    with others.dumped(login, [f"{others.network}.{number}"]) as run:
        done = run.containers()["dump"]

    told: Manifest = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, told["reason"]) == (1, "DumpFailed"), done
    assert words in told["message"]


def test_an_open_server_needs_no_login(others: Others):
    with others.dumped({}, [f"{others.network}.4"]) as run:
        done = run.containers()

    assert [each.returncode for each in done.values()] == [0, 0], done


def test_nobody_there_is_named(others: Others):
    with others.dumped({}, [f"{others.network}.8"]) as run:
        done = run.containers()["dump"]

    assert json.loads(done.stderr.splitlines()[-1])["reason"] == "NoMember"

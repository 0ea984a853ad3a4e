"""Throw-away stores: what is built, and that the start scripts do what they say with any binaries."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from readiness.drills.stores import build_store
from readiness.model import Manifest
from readiness.script import Store
from readiness.timeline import Problem

from .cloning import CACHE, PLACE

QUEUE = Store("jobs", "rabbitmq", ("jobs",), 5672, "jobs-auth")
DB = Store("db", "mongodb", ("db",), 27018, "db-auth")
STORES = (CACHE, QUEUE, DB)


def built(store: Store) -> Manifest:
    made = build_store(store, "store:1", PLACE)
    assert not isinstance(made, Problem)
    return made


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.kind)
def test_a_store_is_of_its_run_and_keeps_nothing(store: Store):
    made = built(store)
    (server,) = made["spec"]["containers"]

    assert made["metadata"]["labels"]["readiness.dev/drill"] == "ab12"
    assert made["metadata"]["labels"]["readiness.dev/store"] == store.name
    assert made["metadata"]["ownerReferences"][0]["uid"] == "0-1-2"
    assert made["spec"]["activeDeadlineSeconds"] == 301
    assert [v.keys() for v in made["spec"]["volumes"]] == [{"name", "emptyDir"}]
    assert server["ports"][0]["containerPort"] == store.port
    assert server["readinessProbe"]["tcpSocket"] == {"port": "store"}


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.kind)
def test_credentials_are_named_and_optional(store: Store):
    env = built(store)["spec"]["containers"][0]["env"]
    refs = [e["valueFrom"]["secretKeyRef"] for e in env if "valueFrom" in e]

    assert {r["name"] for r in refs} == {store.secret}
    assert {"username", "password"} <= {r["key"] for r in refs}
    assert all(r["optional"] for r in refs)
    bare = built(replace(store, secret=""))["spec"]["containers"][0]["env"]
    assert all("value" in e for e in bare)


@pytest.mark.parametrize(
    ("kind", "image", "words"),
    [("redis", "", "no image for a throw-away redis"), ("sql", "x:1", "no throw-away store of kind sql")],
)  # fmt: skip
def test_what_cannot_be_had_is_told(kind: str, image: str, words: str):
    made = build_store(replace(CACHE, kind=kind), image, PLACE)

    assert isinstance(made, Problem)
    assert made.reason == "StoreUnavailable"
    assert words in made.words


def test_names_of_stores_differ_and_fit():
    long = replace(CACHE, name="c" * 80)

    assert len({built(s)["metadata"]["name"] for s in STORES}) == 3
    assert len(built(long)["metadata"]["name"]) <= 63
    assert len(built(long)["metadata"]["labels"]["readiness.dev/store"]) <= 63


# The scripts, run with programs that write down how they were called. Real servers: the e2e suite.

TELL = '#!/bin/sh\necho "$(basename "$0") $*" >> "$HOME/calls"\n'
MONGOSH = """#!/bin/sh
case "$*" in *hello*) exec grep -q ^mongod "$HOME/calls" ;; esac
echo mongosh "$*" >> "$HOME/calls"
echo "$STORE_USERNAME:$STORE_PASSWORD" >> "$HOME/users"
"""
MONGOD = TELL + 'case "$*" in *127.0.0.2*) exec sleep 30 ;; esac\n'
RABBIT = TELL + 'env | grep ^RABBITMQ >> "$HOME/env"; cat "$RABBITMQ_CONFIG_FILE" > "$HOME/conf"\n'


class Image:
    """A directory of programs and one of data: what a container of that image would have."""

    def __init__(self, path: Path, **programs: str) -> None:
        self.data, self.bin = path / "data", path / "bin"
        self.data.mkdir()
        self.bin.mkdir()
        for name, text in programs.items():
            program = self.bin / name.replace("_", "-")
            program.write_text(text)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def start(self, store: Store, **env: str) -> subprocess.CompletedProcess[str]:
        server = built(store)["spec"]["containers"][0]
        own = {e["name"]: e["value"] for e in server["env"] if "value" in e}
        own |= {"HOME": str(self.data), "PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run(
            server["command"], env=own | env, capture_output=True, text=True, timeout=20, check=False
        )  # fmt: skip

    def read(self, name: str) -> str:
        found = self.data / name
        return found.read_text() if found.exists() else ""


@pytest.mark.parametrize("name", ["redis_server", "valkey_server"])
def test_redis_lets_everybody_in_under_any_name(tmp_path: Path, name: str):
    image = Image(tmp_path, **{name: TELL})
    assert image.start(CACHE, STORE_USERNAME="app user").returncode == 0
    conf = image.read("store.conf").splitlines()

    assert image.read("calls") == f"{name.replace('_', '-')} {image.data}/store.conf\n"
    assert {"port 6379", 'save ""', "appendonly no", "protected-mode no", "bind * -::*"} <= set(
        conf
    )
    assert conf[-3:] == ["user default on nopass ~* &* +@all", READING, 'user "app user" on nopass ~* &* +@all']  # fmt: skip


BOUND = "127.0.0.1"


def test_a_server_behind_a_gate_listens_on_loopback_only(tmp_path: Path):
    for each in ("redis", "rabbit", "mongo"):
        (tmp_path / each).mkdir()
    redis = Image(tmp_path / "redis", redis_server=TELL)
    rabbit = Image(tmp_path / "rabbit", rabbitmq_server=RABBIT)
    mongo = Image(tmp_path / "mongo", mongod=MONGOD, mongosh=MONGOSH)
    redis.start(CACHE, STORE_BIND=BOUND)
    rabbit.start(QUEUE, STORE_BIND=BOUND)
    mongo.start(DB, STORE_BIND=BOUND, STORE_USERNAME="app", STORE_PASSWORD="x")

    assert "bind 127.0.0.1" in redis.read("store.conf").splitlines()
    assert "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1\n" in rabbit.read("env")
    assert mongo.read("calls").splitlines()[-1].endswith("--bind_ip 127.0.0.1")
    assert "bind_ip_all" not in mongo.read("calls")


READING = "user readiness-drill on >readiness-drill ~* -@all +@read +@connection"
HASHED = "user default on #f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7 ~* &* +@all"  # fmt: skip


@pytest.mark.parametrize(
    ("env", "users"),
    [
        ({}, ["user default on nopass ~* &* +@all"]),
        ({"STORE_USERNAME": "default"}, ["user default on nopass ~* &* +@all"]),
        # AUTH with a password alone is an error where the default user has none
        ({"STORE_PASSWORD": "hunter2"}, [HASHED]),
        ({"STORE_USERNAME": "default", "STORE_PASSWORD": "hunter2"}, [HASHED]),
    ],
)
def test_redis_has_the_default_user_that_clients_expect(tmp_path: Path, env, users):
    image = Image(tmp_path, redis_server=TELL)
    image.start(CACHE, **env)

    assert [line for line in image.read("store.conf").splitlines() if "user" in line] == [
        *users,
        READING,
    ]


def test_rabbitmq_takes_its_user_from_the_environment_and_admits_guests_from_afar(tmp_path: Path):
    image = Image(tmp_path, rabbitmq_server=RABBIT)
    told = {"STORE_USERNAME": "app", "STORE_PASSWORD": 'p"\\$#', "STORE_VHOST": "shop"}
    assert image.start(QUEUE, **told).returncode == 0
    env = image.read("env")

    assert 'RABBITMQ_DEFAULT_PASS=p"\\$#' in env
    assert "RABBITMQ_DEFAULT_USER=app\n" in env
    assert "RABBITMQ_DEFAULT_VHOST=shop\n" in env
    assert "RABBITMQ_NODE_PORT=5672\n" in env
    assert image.read("conf") == "loopback_users = none\n"
    assert "app" not in image.read("calls")


def test_rabbitmq_without_a_secret_has_its_own_default_user(tmp_path: Path):
    image = Image(tmp_path, rabbitmq_server=RABBIT)
    image.start(replace(QUEUE, secret=""))

    assert "RABBITMQ_DEFAULT" not in image.read("env")


def test_mongodb_has_its_user_before_anybody_can_reach_it(tmp_path: Path):
    image = Image(tmp_path, mongod=MONGOD, mongosh=MONGOSH)
    ended = image.start(DB, STORE_USERNAME="app", STORE_PASSWORD="hunter2")
    calls = [c for c in image.read("calls").splitlines() if c.startswith("mongo")]

    assert ended.returncode == 0, ended.stderr
    assert [c.split()[0] for c in calls] == ["mongod", "mongosh", "mongod"]
    assert calls[0].endswith("--port 27018 --bind_ip 127.0.0.2")
    assert calls[-1].endswith("--port 27018 --bind_ip_all")
    assert image.read("users") == "app:hunter2\n"
    assert "hunter2" not in image.read("calls")


def test_mongodb_without_credentials_starts_at_once(tmp_path: Path):
    image = Image(tmp_path, mongod=MONGOD)
    assert image.start(replace(DB, secret="")).returncode == 0

    assert image.read("calls").startswith("mongod ")
    assert image.read("calls").count("\n") == 1


@pytest.mark.parametrize(
    ("store", "programs", "words"),
    [
        (CACHE, {}, "no redis-server in this image"),
        (QUEUE, {}, "no rabbitmq-server in this image"),
        (DB, {"mongod": MONGOD}, "no mongosh in this image"),
    ],
)
def test_an_image_that_lacks_its_server_says_so(tmp_path: Path, store, programs, words):
    ended = Image(tmp_path, **programs).start(store, STORE_USERNAME="app")

    assert ended.returncode == 127
    assert words in ended.stderr

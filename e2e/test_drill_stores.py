"""Throw-away stores with real servers: restricted pods that let in whom the real ones let in, and go with the drill."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from clusters import Cluster
from drillspace import Space, restricted
from readiness.drills.isolation import build_isolation
from readiness.drills.stores import READER, build_store
from readiness.script import Store
from readiness.timeline import Problem
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
PASSWORD: Final = 'p"w\\ $x#'
STORES: Final = {
    Store("cache", "redis", ("cache",), 6379, "cache-auth"): Recipe("redis", ("redis-server",)),
    Store("named", "redis", ("named",), 6380, "jobs-auth"): Recipe("redis", ("redis-server",)),
    Store("jobs", "rabbitmq", ("jobs",), 5672, "jobs-auth"): Recipe("rabbitmq", ("rabbitmq-server",)),
}  # fmt: skip
SECRETS: Final = {
    "cache-auth": {"password": PASSWORD},
    "jobs-auth": {"username": "app", "password": PASSWORD, "virtual-host": "shop"},
}


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[Space]:
    """Every store, Ready."""
    built = {recipe.name: build_image(recipe, cluster.engine) for recipe in STORES.values()}
    for each in built.values():
        cluster.load(each.name, each.archive)
    with restricted(cluster, "drill-stores") as found:
        for name, data in SECRETS.items():
            found.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})  # fmt: skip
        place = found.place("stores", built["redis"].name)
        made = [build_store(s, built[recipe.name].name, place) for s, recipe in STORES.items()]
        found.ready([build_isolation(place), *(m for m in made if not isinstance(m, Problem))])
        yield found


@pytest.mark.parametrize(
    ("store", "port", "login", "answer"),
    [
        ("cache", 6379, ("-a", PASSWORD), "PONG"),
        ("cache", 6379, ("--user", "default", "-a", PASSWORD), "PONG"),
        ("cache", 6379, ("-a", "wrong"), "WRONGPASS"),
        ("named", 6380, ("--user", "app", "-a", PASSWORD), "PONG"),
        ("named", 6380, (), "PONG"),
        ("cache", 6379, ("--user", READER, "-a", READER), "PONG"),
    ],
)
def test_redis_lets_in_whom_the_real_one_lets_in(
    space: Space, store: str, port: int, login: tuple[str, ...], answer: str
) -> None:
    address = space.store(store)["status"]["podIP"]

    assert answer in space.says("drill", "redis-cli", "-h", address, "-p", str(port), *login, "ping")  # fmt: skip


@pytest.mark.parametrize(("password", "answer"), [(PASSWORD, "Success"), ("wrong", "failed to authenticate")])  # fmt: skip
def test_rabbitmq_knows_its_user(space: Space, password: str, answer: str) -> None:
    pod = space.store("jobs")["metadata"]["name"]
    ask = ("/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", "rabbit@localhost")

    assert answer in space.says(pod, *ask, "authenticate_user", "app", password)
    assert "app" in space.says(pod, *ask, "list_permissions", "-p", "shop").split()


def test_everything_goes_with_the_drills_pod(space: Space) -> None:
    space.kubectl("delete", "pod", "drill")
    deadline = time.monotonic() + 60
    while left := [each["metadata"]["name"] for each in space.get("pods,networkpolicies")]:
        assert time.monotonic() < deadline, left
        time.sleep(1)

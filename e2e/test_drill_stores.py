"""Throw-away stores with real servers: restricted pods that let in whom the real ones let in, and go with the drill."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from clusters import Cluster
from localcluster.progress import ClusterError
from readiness.drills.isolation import build_isolation
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY, Place
from readiness.drills.stores import build_store
from readiness.model import Manifest
from readiness.naming import DRILL_RUNNER, DRILL_STORE
from readiness.script import Store
from readiness.timeline import Problem
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
SPACE: Final = "drill-stores"
RUN: Final = "stores"
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


@dataclass(frozen=True)
class Space:
    """The namespace, in which the pod `drill` owns everything."""

    cluster: Cluster

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.run("kubectl", "-n", SPACE, *arguments, text=text)

    def create(self, manifest: Manifest) -> None:
        self.kubectl("create", "-f", "-", text=json.dumps(manifest))

    def get(self, *what: str) -> list[Manifest]:
        return list(json.loads(self.kubectl("get", *what, "-o", "json"))["items"])

    def store(self, name: str) -> Manifest:
        (found,) = self.get("pods", "-l", f"{DRILL_STORE}={name}")
        return found

    def says(self, pod: str, *command: str) -> str:
        """What a command in a pod prints, also when it fails."""
        done = self.cluster.attempt("kubectl", "-n", SPACE, "exec", pod, "--", *command)
        return done.stdout + done.stderr


def owner(image: str) -> Manifest:
    container = {"name": "drill", "image": image, "command": ["sleep", "3600"], "securityContext": CONTAINER_SECURITY}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "drill", "labels": {DRILL_RUNNER: RUN}},
        "spec": {"automountServiceAccountToken": False, "securityContext": POD_SECURITY, "containers": [container],
                 "terminationGracePeriodSeconds": 1},
    }  # fmt: skip


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[Space]:
    """Every store, Ready, in a namespace that admits restricted pods only."""
    found = Space(cluster)
    meta = {"name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    cluster.run("kubectl", "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))  # fmt: skip
    for name, data in SECRETS.items():
        found.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})  # fmt: skip
    built = {recipe.name: build_image(recipe, cluster.engine) for recipe in STORES.values()}
    for each in built.values():
        cluster.load(each.name, each.archive)
    while "default" not in found.kubectl("get", "serviceaccounts", "-o", "name"):
        time.sleep(0.5)
    found.create(owner(built["redis"].name))
    uid = found.kubectl("get", "pod", "drill", "-o", "jsonpath={.metadata.uid}")
    place = Place(RUN, "drill", uid)
    found.create(build_isolation(place))
    for store, recipe in STORES.items():
        made = build_store(store, built[recipe.name].name, place)
        assert not isinstance(made, Problem)
        found.create(made)
    waited = cluster.attempt("kubectl", "-n", SPACE, "wait", "pods", "--all", "--for=condition=Ready", "--timeout=180s")  # fmt: skip
    if waited.returncode:
        raise ClusterError(f"{waited.stderr}\n{found.kubectl('get', 'pods')}")
    yield found
    cluster.run("kubectl", "delete", "namespace", SPACE, "--wait=false")


@pytest.mark.parametrize(
    ("store", "port", "login", "answer"),
    [
        ("cache", 6379, ("-a", PASSWORD), "PONG"),
        ("cache", 6379, ("--user", "default", "-a", PASSWORD), "PONG"),
        ("cache", 6379, ("-a", "wrong"), "WRONGPASS"),
        ("named", 6380, ("--user", "app", "-a", PASSWORD), "PONG"),
        ("named", 6380, (), "PONG"),
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

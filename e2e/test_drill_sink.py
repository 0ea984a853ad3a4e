"""The fault sink and store gates as restricted pods: a real Redis and RabbitMQ frozen, refused and let go, for one client."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

import image
from clusters import Cluster
from localcluster.progress import ClusterError
from readiness.drills.isolation import build_isolation
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY, Place
from readiness.drills.sink import CONTROL, FIRST, build_sink, with_gate
from readiness.drills.stores import build_store
from readiness.model import Manifest
from readiness.naming import DRILL, DRILL_STORE
from readiness.script import Store
from readiness.timeline import Problem
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
SPACE: Final = "drill-sink"
RUN: Final = "sink"
STORES: Final = {
    Store("cache", "redis", ("cache",), 6379): Recipe("redis", ("redis-server",)),
    Store("jobs", "rabbitmq", ("jobs",), 5672): Recipe("rabbitmq", ("rabbitmq-server",)),
}
SAY: Final = """
import socket, sys
host, port, told, most = sys.argv[1:]
try:
    line = socket.create_connection((host, int(port)), float(most))
    line.sendall(bytes.fromhex(told))
    heard = line.recv(4096)
    while heard.startswith(b"HTTP") and (more := line.recv(4096)):
        heard += more
    print(heard.decode("latin-1"))
except OSError as error:
    print(type(error).__name__)
"""
PING: Final = "PING\r\n"
HELLO: Final = "AMQP\x01\x01\x08\x00"
"""A version of AMQP that no server speaks: it answers with its own."""


@dataclass(frozen=True)
class Space:
    """The namespace. `clone` and `other` are pods of the drill that talk to the rest."""

    cluster: Cluster

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.run("kubectl", "-n", SPACE, *arguments, text=text)

    def create(self, manifest: Manifest) -> None:
        self.kubectl("create", "-f", "-", text=json.dumps(manifest))

    def address(self, *by: str) -> str:
        return self.kubectl("get", "pod", *by, "-o", "jsonpath={..status.podIP}")

    def store(self, name: str) -> str:
        return self.address("-l", f"{DRILL_STORE}={name}")

    def says(self, pod: str, host: str, port: int, text: str, most: float = 10) -> str:
        """What a pod is answered, or the error that it gets."""
        return self.kubectl("exec", pod, "--", "python3", "-c", SAY, host, str(port), text.encode().hex(), str(most))  # fmt: skip

    def asks(self, pod: str, host: str, port: int, order: dict[str, Any] | None = None) -> str:
        """What the control port, or an upstream, answers to one request."""
        body = json.dumps(order) if order else ""
        line = "POST /mode" if order else "GET /records"
        head = f"{line} HTTP/1.0\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        return self.says(pod, host, port, head)


def talker(image_name: str, name: str, place: Place | None) -> Manifest:
    container = {"name": "app", "image": image_name, "command": ["sleep", "3600"], "securityContext": CONTAINER_SECURITY}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {DRILL: place.run} if place else {}},
        "spec": {"automountServiceAccountToken": False, "securityContext": POD_SECURITY, "containers": [container],
                 "terminationGracePeriodSeconds": 1},
    }  # fmt: skip


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[Space]:
    """A sink, two stores behind gates, and pods to talk to them, all Ready."""
    found = Space(cluster)
    meta = {"name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    cluster.run("kubectl", "create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))  # fmt: skip
    ours = image.operator_image()
    built = {recipe.name: build_image(recipe, cluster.engine) for recipe in STORES.values()}
    for each in (ours, *built.values()):
        cluster.load(each.name, each.archive)
    while "default" not in found.kubectl("get", "serviceaccounts", "-o", "name"):
        time.sleep(0.5)
    found.create(talker(ours.name, "drill", None))
    place = Place(RUN, "drill", found.kubectl("get", "pod", "drill", "-o", "jsonpath={.metadata.uid}"))  # fmt: skip
    pods = [build_isolation(place), build_sink(place, ours.name, 2)]
    pods += [talker(ours.name, name, place) for name in ("clone", "other")]
    for store, recipe in STORES.items():
        made = build_store(store, built[recipe.name].name, place)
        assert not isinstance(made, Problem)
        pods.append(with_gate(made, ours.name))
    for each in pods:
        found.create(each)
    waited = cluster.attempt("kubectl", "-n", SPACE, "wait", "pods", "--all", "--for=condition=Ready", "--timeout=180s")  # fmt: skip
    if waited.returncode:
        raise ClusterError(f"{waited.stderr}\n{found.kubectl('get', 'pods')}")
    yield found
    cluster.run("kubectl", "delete", "namespace", SPACE, "--wait=false")


@pytest.mark.parametrize(
    ("store", "port", "text", "answer"), [("cache", 6379, PING, "+PONG"), ("jobs", 5672, HELLO, "AMQP")]
)  # fmt: skip
def test_a_ready_store_answers_through_its_gate_and_not_past_it(
    space: Space, store: str, port: int, text: str, answer: str
) -> None:
    address = space.store(store)

    assert answer in space.says("clone", address, port, text)
    assert "ConnectionRefusedError" in space.says("clone", address, port + 10000, text)


@pytest.mark.parametrize(
    ("mode", "error"), [("blackhole", "TimeoutError"), ("refuse", "ConnectionResetError")]
)  # fmt: skip
def test_one_clone_loses_its_store_and_another_keeps_it(
    space: Space, mode: str, error: str
) -> None:
    store, clone = space.store("cache"), space.address("clone")
    order = {"mode": mode, "port": 6379, "source": clone}
    assert "200" in space.asks("other", store, CONTROL, order)

    assert space.says("clone", store, 6379, PING, 2).strip() in (error, "BrokenPipeError")
    assert "+PONG" in space.says("other", store, 6379, PING)
    assert "200" in space.asks("other", store, CONTROL, {"mode": "open", "port": 6379})
    assert "+PONG" in space.says("clone", store, 6379, PING)


def test_the_sink_knows_who_called(space: Space) -> None:
    sink = space.address("-l", f"{DRILL}={RUN}", "--field-selector", f"metadata.name={sink_name()}")
    assert "200" in space.asks("other", sink, CONTROL, {"mode": "503:7", "port": FIRST + 1})

    assert "200 " in space.asks("clone", sink, FIRST)
    assert "503 " in space.asks("clone", sink, FIRST + 1)
    answer = space.asks("other", sink, CONTROL)
    told = json.loads(answer[answer.index("{") :])
    assert [(c["source"], c["port"], c["status"]) for c in told["calls"]] == [
        (space.address("clone"), FIRST, 200), (space.address("clone"), FIRST + 1, 503),
    ]  # fmt: skip


def test_the_sink_ends_at_once(space: Space) -> None:
    began = time.monotonic()
    space.kubectl("delete", "pod", sink_name(), "--grace-period=30")

    assert time.monotonic() - began < 10


def sink_name() -> str:
    return str(build_sink(Place(RUN, "drill", "0"), "x")["metadata"]["name"])

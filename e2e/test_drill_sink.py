"""The fault sink and store gates as restricted pods: a real Redis and RabbitMQ frozen, refused and let go, for one client."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

import image
from clusters import Cluster
from drillspace import Space, restricted, sleeper
from readiness.drills.isolation import build_isolation
from readiness.drills.place import Place
from readiness.drills.sink import CONTROL, FIRST, build_sink, with_gate
from readiness.drills.stores import build_store
from readiness.naming import DRILL
from readiness.script import Store
from readiness.timeline import Problem
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
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
class Talk:
    """`clone` and `other` are pods of the drill that talk to the rest."""

    space: Space

    def says(self, pod: str, host: str, port: int, text: str, most: float = 10) -> str:
        """What a pod is answered, or the error that it gets."""
        return self.space.kubectl("exec", pod, "--", "python3", "-c", SAY, host, str(port), text.encode().hex(), str(most))  # fmt: skip

    def asks(self, pod: str, host: str, port: int, order: dict[str, Any] | None = None) -> str:
        """What the control port, or an upstream, answers to one request."""
        body = json.dumps(order) if order else ""
        line = "POST /mode" if order else "GET /records"
        head = f"{line} HTTP/1.0\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        return self.says(pod, host, port, head)

    def store(self, name: str) -> str:
        return str(self.space.store(name)["status"]["podIP"])


@pytest.fixture(scope="module")
def talk(cluster: Cluster) -> Iterator[Talk]:
    """A sink, two stores behind gates, and pods to talk to them, all Ready."""
    ours = image.operator_image()
    built = {recipe.name: build_image(recipe, cluster.engine) for recipe in STORES.values()}
    for each in (ours, *built.values()):
        cluster.load(each.name, each.archive)
    with restricted(cluster, "drill-sink") as found:
        place = found.place(RUN, ours.name)
        pods = [build_isolation(place), build_sink(place, ours.name, 2)]
        pods += [sleeper(ours.name, name, {DRILL: RUN}) for name in ("clone", "other")]
        made = [build_store(s, built[recipe.name].name, place) for s, recipe in STORES.items()]
        pods += [with_gate(m, ours.name) for m in made if not isinstance(m, Problem)]
        found.ready(pods)
        yield Talk(found)


@pytest.mark.parametrize(
    ("store", "port", "text", "answer"), [("cache", 6379, PING, "+PONG"), ("jobs", 5672, HELLO, "AMQP")]
)  # fmt: skip
def test_a_ready_store_answers_through_its_gate_and_not_past_it(
    talk: Talk, store: str, port: int, text: str, answer: str
) -> None:
    address = talk.store(store)

    assert answer in talk.says("clone", address, port, text)
    assert "ConnectionRefusedError" in talk.says("clone", address, port + 10000, text)


@pytest.mark.parametrize(
    ("mode", "error"), [("blackhole", "TimeoutError"), ("refuse", "ConnectionResetError")]
)  # fmt: skip
def test_one_clone_loses_its_store_and_another_keeps_it(talk: Talk, mode: str, error: str) -> None:
    store, clone = talk.store("cache"), talk.space.address("clone")
    order = {"mode": mode, "port": 6379, "source": clone}
    assert "200" in talk.asks("other", store, CONTROL, order)

    assert talk.says("clone", store, 6379, PING, 2).strip() in (error, "BrokenPipeError")
    assert "+PONG" in talk.says("other", store, 6379, PING)
    assert "200" in talk.asks("other", store, CONTROL, {"mode": "open", "port": 6379})
    assert "+PONG" in talk.says("clone", store, 6379, PING)


def test_the_sink_knows_who_called(talk: Talk) -> None:
    sink = talk.space.address(
        "-l", f"{DRILL}={RUN}", "--field-selector", f"metadata.name={sink_name()}"
    )
    assert "200" in talk.asks("other", sink, CONTROL, {"mode": "503:7", "port": FIRST + 1})

    assert "200 " in talk.asks("clone", sink, FIRST)
    assert "503 " in talk.asks("clone", sink, FIRST + 1)
    answer = talk.asks("other", sink, CONTROL)
    told = json.loads(answer[answer.index("{") :])
    assert [(c["source"], c["port"], c["status"]) for c in told["calls"]] == [
        (talk.space.address("clone"), FIRST, 200), (talk.space.address("clone"), FIRST + 1, 503),
    ]  # fmt: skip


def test_the_sink_ends_at_once(talk: Talk) -> None:
    began = time.monotonic()
    talk.space.kubectl("delete", "pod", sink_name(), "--grace-period=30")

    assert time.monotonic() - began < 10


def sink_name() -> str:
    return str(build_sink(Place(RUN, "drill", "0"), "x")["metadata"]["name"])

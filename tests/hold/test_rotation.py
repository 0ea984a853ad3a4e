"""New passwords while the operator is killed at every write: its process, a real API server, real Redis servers, no node."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from holdrig import until
from holdworld import policy
from provisioning import grant, message
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redispods import NAME, PATIENCE, TERMS, Pods, killed_at_every_write, provided, redis_pods

from readiness import naming

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
CACHE = {"name": "cache", "redis": {"image": "registry.example.com/redis:8"}}


@dataclass
class Application:
    """It connects anew all the time, with what the binding Secret says."""

    pods: Pods
    refused: list[str] = field(default_factory=list)
    logins: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def log_in(self) -> None:
        while not self.over.wait(0.05):
            for pod in self.pods.rig.members:
                given = self.pods.secret(NAME)
                with Redis(pod.address, username="app", password=given["password"]) as client:
                    try:
                        client.get("x")
                        self.logins += 1
                    except RedisError as error:
                        self.refused.append(f"{pod.name}: {type(error).__name__}")


@pytest.fixture
def pods(space, tmp_path) -> Iterator[Pods]:
    with redis_pods(space, tmp_path) as found:
        yield found


def lets_in(pods: Pods, password: str) -> bool:
    with Redis(pods.rig.members[0].address, username="app", password=password) as client:
        try:
            client.ping()
        except AuthenticationError:
            return False
        return True


def annotate(pods: Pods, asked: str) -> None:
    pods.space.api.kubectl("annotate", "-n", pods.space.name, "--overwrite", "rdy/app", f"{naming.ROTATE}={asked}")  # fmt: skip


def test_an_operator_that_is_killed_at_every_write_goes_on_and_nobody_is_refused(
    launch, space, seat, proxy, pods
):
    grant(space, seat)
    operator = launch(seat.kubeconfig(proxy.url), **TERMS)
    with operator.supervised():
        space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
        provided(pods)
    first, application = pods.secret(), Application(pods)
    knocking = threading.Thread(target=application.log_in)
    knocking.start()
    try:
        with killed_at_every_write(proxy, operator, space) as kills:
            annotate(pods, "cache@1")
            until(
                lambda: "app.previous" in pods.secret(), PATIENCE, "applications that are given it"
            )
            fresh = pods.secret()["app"]
            until(lambda: pods.secret(NAME)["password"] == fresh, PATIENCE, "a binding with it")
            until(lambda: "an hour" in message(space), PATIENCE, "words")
            assert pods.row()["reason"] == "Rotating"
            assert space.condition("Ready").startswith("True/")
            assert lets_in(pods, first["app"])
            assert lets_in(pods, fresh)

            annotate(pods, "cache/app@2")  # ends the hour
            until(
                lambda: pods.secret().get("app.previous") == fresh, PATIENCE, "the second rotation"
            )
            last = pods.secret()
            until(
                lambda: pods.secret(NAME)["password"] == last["app"], PATIENCE, "a binding with it"
            )
            until(lambda: "an hour" in message(space), PATIENCE, "words")
        application.over.wait(2)
    finally:
        application.over.set()
        knocking.join()

    last = pods.secret()
    servers = [pod.server for pod in pods.rig.pods.values()]
    print(f"{application.logins} logins, {len(application.refused)} refused, {[s.poll() for s in servers if s]} ended")  # fmt: skip
    assert len(kills.where) >= 12
    assert application.refused == []
    assert set(pods.started.values()) == {1}
    assert [server.poll() for server in servers if server] == [None] * 6
    assert not lets_in(pods, first["app"])
    assert {key for key in last if last.get(key) == first.get(key)} == set(), "every password is another"  # fmt: skip
    assert {key for key in last if key.endswith((".next", ".previous"))} == {"app.previous"}
    text = operator.log.read_text() + str([space.status(), space.events()])
    assert not any(value in text for key, value in {**first, **last}.items() if not key.startswith("rotation."))  # fmt: skip

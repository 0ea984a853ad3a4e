"""New passwords while the operator is killed at each step: its process, a real API server, real Redis servers, no node.

The test is the kubelet: servers run beside it, and pods of the StatefulSets are said to be Ready at their addresses.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from dataservices.redis.rig import Rig, image_root
from holdrig import Namespace, until
from holdworld import policy
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from readiness import naming
from readiness.dataservices.redis.access import hash_of
from test_data_services import NAME, grant, message, provisioned

pytestmark = [
    pytest.mark.api,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
]
CACHE = {"name": "cache", "redis": {"image": "registry.example.com/redis:8"}}
PATIENCE = 240.0  # of a machine that has other work
SECRET = f"{NAME}-{naming.CREDENTIALS}"


@dataclass
class Set:
    """A Redis whose pods are what this test says of its processes."""

    space: Namespace
    rig: Rig
    refused: list[str] = field(default_factory=list)
    logins: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def secret(self, name: str = SECRET) -> dict[str, str]:
        found = self.space.api.request("GET", self.space.path("secrets", name))["data"]
        return {key: base64.b64decode(text).decode() for key, text in found.items()}

    def say_ready(self) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        for pod in self.rig.pods.values():
            condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
            status = {"phase": "Running", "podIP": pod.address, "podIPs": [{"ip": pod.address}], "conditions": [condition]}  # fmt: skip
            self.space.patch("pods", pod.name, {"status": status}, "status")

    def log_in(self) -> None:
        """An application that connects anew all the time, with what the binding Secret says."""
        while not self.over.wait(0.05):
            for pod in self.rig.members:
                given = self.secret(NAME)
                with Redis(pod.address, username="app", password=given["password"]) as client:
                    try:
                        client.get("x")
                        self.logins += 1
                    except RedisError as error:
                        self.refused.append(f"{pod.name}: {type(error).__name__}")

    def lets_in(self, password: str, user: str = "app") -> bool:
        with Redis(self.rig.members[0].address, username=user, password=password) as client:
            try:
                client.ping()
            except AuthenticationError:
                return False
            return True

    def accepts(self, user: str) -> list[set[str]]:
        """Hashes that each server accepts of a user; asked with whatever password of the admin is right."""
        known = self.secret()
        found = []
        for pod in self.rig.members:
            for key in ("admin", "admin.previous", "admin.next"):
                if key in known and self.lets_in(known[key], "admin"):
                    with Redis(pod.address, username="admin", password=known[key], decode_responses=True) as client:  # fmt: skip
                        found.append(set(client.execute_command("ACL GETUSER", user)["passwords"]))
                    break
        return found


@pytest.fixture
def cache(launch, space, seat, tmp_path) -> Iterator[tuple[Any, Set]]:
    grant(space, seat)
    operator = launch()
    space.apply(policy(controls=(), targets=[], dataServices=[CACHE]))
    names = [f"{part}-{number}" for part in (NAME, f"{NAME}-sentinel") for number in range(3)]
    until(lambda: all(there(space, "pods", name) for name in names), 30, "six pods")
    rig = Rig(image_root("bookworm"), tmp_path, f"127.{200 + os.getpid() % 50}.7", manifests(space))
    rig.start()
    found = Set(space, rig)
    until(lambda: all(pod.probe("readinessProbe") for pod in rig.pods.values()), PATIENCE, "a set")
    found.say_ready()
    until(lambda: provisioned(space) == "True/Provisioned", PATIENCE, "a provided set")
    thread = threading.Thread(target=found.log_in)
    thread.start()
    yield operator, found
    found.over.set()
    thread.join()
    rig.stop()


def there(space: Namespace, plural: str, name: str) -> bool:
    return space.api.request("GET", space.path(plural, name))["kind"] != "Status"


def manifests(space: Namespace) -> list[dict[str, Any]]:
    """What the operator has created, as a kubelet would read it."""
    found = []
    for plural, group, kind in (("statefulsets", "/apis/apps/v1", "StatefulSet"), ("secrets", "", "Secret"), ("configmaps", "", "ConfigMap")):  # fmt: skip
        items = space.api.request("GET", space.path(plural, group=group))["items"]
        found += [each | {"kind": kind} for each in items]
    return found


def annotate(space: Namespace, asked: str) -> None:
    space.api.kubectl("annotate", "-n", space.name, "--overwrite", "rdy/app", f"{naming.ROTATE}={asked}")  # fmt: skip


def test_an_operator_that_is_killed_at_each_step_goes_on_and_nobody_is_refused(cache):
    operator, its = cache
    servers = [pod.server for pod in its.rig.pods.values()]
    first = its.secret()

    def killed_once(what: str, holds: Callable[[], bool]) -> None:
        try:
            until(holds, PATIENCE, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {its.space.status()['dataServices']} {message(its.space)}") from None  # fmt: skip
        operator.restart()

    annotate(its.space, "cache@1")
    killed_once("a password that nobody knows", lambda: "app.next" in its.secret())
    fresh = its.secret().get("app.next") or its.secret()["app"]
    killed_once("servers that accept it", lambda: any(hash_of(fresh) in each for each in its.accepts("app")))  # fmt: skip
    killed_once("applications that are given it", lambda: "app.previous" in its.secret())
    until(lambda: its.secret(NAME)["password"] == fresh, PATIENCE, "a binding with it")
    until(lambda: "an hour" in message(its.space), PATIENCE, "words")
    assert its.space.status()["dataServices"][0]["reason"] == "Rotating"
    assert its.space.condition("Ready").startswith("True/")
    assert its.lets_in(first["app"])
    assert its.lets_in(fresh)

    annotate(its.space, "cache/app@2")  # ends the hour
    killed_once("servers that refuse the old one", lambda: any(each == {hash_of(fresh)} for each in its.accepts("app")))  # fmt: skip
    killed_once("the next password", lambda: its.secret().get("app.next") or its.secret()["app"] != fresh)  # fmt: skip
    until(lambda: its.secret().get("app.previous") == fresh, PATIENCE, "the second rotation")
    last = its.secret()
    until(lambda: its.secret(NAME)["password"] == last["app"], PATIENCE, "a binding with it")
    its.over.wait(2)

    print(f"{its.logins} logins, {len(its.refused)} refused, {[s.poll() for s in servers]} ended")
    assert its.refused == []
    assert [server.poll() for server in servers] == [None] * 6
    assert not its.lets_in(first["app"])
    assert {key for key in last if last.get(key) == first.get(key)} == set(), "every password is another"  # fmt: skip
    assert {key for key in last if key.endswith((".next", ".previous"))} == {"app.previous"}
    text = operator.log.read_text() + str([its.space.status(), its.space.events()])
    assert not any(value in text for key, value in {**first, **last}.items() if not key.startswith("rotation."))  # fmt: skip
    assert "Rotating" in {event["reason"] for event in its.space.events()}

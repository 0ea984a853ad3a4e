"""A Redis of one namespace whose pods are processes: what a kubelet would make of what the operator creates.

A pod that a StatefulSet's controller has made is started, is Ready when its own probe says so, and ends as its hook
says once it is gone from the API server. It keeps its volume and its address. `killed_at_every_write` ends the operator meanwhile.
"""

from __future__ import annotations

import base64
import math
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaosproxy import Call, ChaosProxy, CutAfter, CutBefore
from dataservices.redis.rig import Pod, Rig, image_root
from holdrig import Namespace, Operator, until

from readiness import naming

NAME = naming.store("app", "cache")
SECRET = f"{NAME}-{naming.CREDENTIALS}"
PATIENCE = 540.0  # of a machine that has other work
TERMS = {"lease_duration": 60, "lease_renew_deadline": 40}
"""Nobody loses its Lease for want of a CPU; whoever is killed gives it back here."""
SETS = "/apis/apps/v1"
_OURS = ("leases", "events", "readinesspolicies", "readinessreports")


@dataclass
class Pods:
    """`uids` are those of the pods whose processes run, `started` counts starts by pod."""

    space: Namespace
    rig: Rig
    uids: dict[str, str] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)
    _busy: dict[str, Future[None]] = field(default_factory=dict)
    _ready: dict[str, bool] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _adding: threading.Lock = field(default_factory=threading.Lock)

    def get(self, plural: str, name: str = "", group: str = "") -> dict[str, Any]:
        return self.space.api.request("GET", self.space.path(plural, name, group=group))

    def secret(self, name: str = SECRET) -> dict[str, str]:
        data = self.get("secrets", name)["data"]
        return {key: base64.b64decode(text).decode() for key, text in data.items()}

    def replicas(self) -> int:
        return int(self.get("statefulsets", NAME, SETS)["spec"]["replicas"])

    def row(self) -> dict[str, Any]:
        return self.space.status()["dataServices"][0]

    @contextmanager
    def running(self) -> Iterator[Pods]:
        """Tends pods, each in a thread of its own, until the end."""
        thread = threading.Thread(target=self._tend_all)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            self.rig.stop()

    def _tend_all(self) -> None:
        with ThreadPoolExecutor(16) as pool:
            while not self._over.wait(0.5):
                self.rig.manifests = self._manifests()
                wanted = {pod["metadata"]["name"]: pod for pod in self.get("pods")["items"]}
                for name in wanted.keys() | self.uids.keys():
                    if (before := self._busy.get(name)) is None or before.done():
                        if before is not None:
                            before.result()
                        self._busy[name] = pool.submit(self._tend, name, wanted.get(name))

    def _tend(self, name: str, wanted: dict[str, Any] | None) -> None:
        uid = wanted["metadata"]["uid"] if wanted else ""
        if self.uids.get(name, uid) != uid:
            self.rig.pods[name].terminate()
            del self.uids[name]
        if wanted is None:
            return
        spec = wanted["spec"]
        with self._adding:
            pod = self.rig.add(name, f"{spec['subdomain']}.{self.space.name}.svc", spec)
            self.rig.name()
        if name not in self.uids:
            pod.start()
            self.uids[name] = uid
            self.started[name] += 1
            self._ready.pop(name, None)
        elif pod.server and pod.server.poll() is not None:
            pod.start()  # its container, once more
        try:
            self._say(pod, ready=pod.probe("readinessProbe"))
        except subprocess.TimeoutExpired:
            self._say(pod, ready=False)

    def _say(self, pod: Pod, *, ready: bool) -> None:
        if self._ready.get(pod.name) is ready:
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
        status = {"phase": "Running", "podIP": pod.address, "podIPs": [{"ip": pod.address}], "conditions": [condition]}  # fmt: skip
        answer = self.space.http.patch(
            f"{self.space.path('pods', pod.name)}/status", json={"status": status},
            headers={"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip
        if answer.is_success:  # it may have gone meanwhile
            self._ready[pod.name] = ready

    def _manifests(self) -> list[dict[str, Any]]:
        """What pods read, as a kubelet would read it."""
        kinds = (("secrets", "Secret"), ("configmaps", "ConfigMap"))
        return [each | {"kind": kind} for plural, kind in kinds for each in self.get(plural)["items"]]  # fmt: skip


@contextmanager
def redis_pods(space: Namespace, path: Path) -> Iterator[Pods]:
    """Whatever Redis a policy of this namespace has, on real servers."""
    rig = Rig(image_root("bookworm"), path, f"127.{200 + os.getpid() % 50}.7", [])
    with Pods(space, rig).running() as found:
        yield found


@dataclass
class Kills:
    """How often the operator was ended, and where: `POST …/eviction`, `told`."""

    operator: Operator
    where: list[str] = field(default_factory=list)
    _writes: int = 0

    def is_write(self, call: Call, space: Namespace) -> bool:
        place = call.path.partition(f"/namespaces/{space.name}/")[2]
        return call.method != "GET" and bool(place) and not place.startswith(_OURS)

    def before(self, call: Call, space: Namespace) -> bool:
        """Every other write is not even sent."""
        if not self.is_write(call, space):
            return False
        self._writes += 1
        last = call.path.rpartition(f"/{space.name}/")[2]
        self.where.append(f"{'before' if self._writes % 2 else 'after'} {call.method} {last}")
        return self._writes % 2 == 1

    def watch(self, over: threading.Event) -> None:
        """And each time that servers were told something."""
        seen = self.operator.log.read_text().count(": told")
        while not over.wait(0.05):
            if (now := self.operator.log.read_text().count(": told")) > seen:
                seen = now
                self.where.append("told")
                self.operator.kill()


@contextmanager
def killed_at_every_write(proxy: ChaosProxy, operator: Operator, space: Namespace) -> Iterator[Kills]:  # fmt: skip
    """SIGKILL before a write of a data service is sent and after the next one is committed, by turns; a new one starts each time."""
    kills, over = Kills(operator), threading.Event()
    proxy.break_(lambda call: kills.before(call, space), CutBefore(operator.kill), math.inf)
    proxy.break_(lambda call: kills.is_write(call, space), CutAfter(operator.kill), math.inf)
    thread = threading.Thread(target=kills.watch, args=(over,))
    with operator.supervised():
        thread.start()
        try:
            yield kills
        finally:
            over.set()
            thread.join()
            proxy.heal()
            print(f"\n{len(kills.where)} kills: {kills.where}")


def provided(pods: Pods) -> None:
    """Waits until the Redis is provided, whole and as declared."""
    space = pods.space
    try:
        until(lambda: space.condition("Provisioned") == "True/Provisioned" and not pods.row().get("reason"), PATIENCE)  # fmt: skip
    except AssertionError as error:
        rows = space.status().get("conditions") or ()
        told = next((row["message"] for row in rows if row["type"] == "Provisioned"), "")
        raise AssertionError(f"{error}: {pods.row()} {told}") from None

"""The rig: the operator as a real process with real rights, its audit trail, a namespace to act in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
OWN = "/apis/readiness.dev/v1alpha1"
ACCOUNT = "readiness-operator"
READY_SECONDS = 45.0
Object = dict[str, Any]


def until(condition: Callable[[], Any], seconds: float = 60.0, what: str = "it") -> Any:
    """What `condition` returns once it is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Seat:
    """Where an operator runs: its namespace, its service account, its rights as installed."""

    name: str
    api: Any
    token: str

    @classmethod
    def take(cls, api: Any, name: str) -> Seat:
        """Applies the base manifests' rights under names of its own."""
        wanted = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
        text = (ROOT / "manifests/base/operator.yaml").read_text()
        objects = [o for o in yaml.safe_load_all(text) if o and o["kind"] in wanted]
        objects = [o for o in objects if o["metadata"]["name"] == ACCOUNT]
        for found in objects:
            _move(found, name)
        items = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, *objects]
        api.running.apply(*items)
        path = f"/api/v1/namespaces/{name}/serviceaccounts/{ACCOUNT}/token"
        asked = {"spec": {"expirationSeconds": 36000}}
        return cls(name, api, api.request("POST", path, asked)["status"]["token"])

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.name}:{ACCOUNT}"

    @property
    def authority(self) -> Path:
        return self.api.running.cluster.pki / "ca.crt"

    def tls(self) -> ssl.SSLContext:
        """For a proxy: trusts the API server, authenticates nobody."""
        return ssl.create_default_context(cafile=str(self.authority))

    def kubeconfig(self, server: str = "") -> Path:
        """A kubeconfig of the service account, to the API server or to a proxy."""
        server = server or self.api.running.api_url
        cluster = {"server": server, "certificate-authority": str(self.authority)}
        if server.startswith("http:"):
            del cluster["certificate-authority"]
        path = self.authority.parent / f"{self.name}-{abs(hash(server))}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "seat",
            "clusters": [{"name": "seat", "cluster": cluster}],
            "users": [{"name": "seat", "user": {"token": self.token}}],
            "contexts": [{"name": "seat", "context": {"cluster": "seat", "user": "seat"}}],
        }))  # fmt: skip
        return path

    def free(self) -> None:
        """Deletes the Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases/readiness-operator"
        self.api.request("DELETE", path)

    def rules(self, change: Callable[[list[Object]], list[Object]]) -> None:
        """Changes the rules of the seat's ClusterRole."""
        path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{self.name}"
        role = self.api.request("GET", path)
        answer = self.api.request("PUT", path, role | {"rules": change(role["rules"])})
        assert "rules" in answer, answer


def _move(found: Object, name: str) -> None:
    """Cluster-wide objects get the seat's name, the others its namespace."""
    cluster = found["kind"].startswith("Cluster")
    found["metadata"] |= {"name": name} if cluster else {"namespace": name}
    if cluster and "roleRef" in found:
        found["roleRef"]["name"] = name
    for subject in found.get("subjects", ()):
        subject["namespace"] = name


@dataclass
class Operator:
    """`python -m readiness run` as a process of its own."""

    kubeconfig: Path
    namespace: str
    log: Path
    settings: dict[str, object] = field(default_factory=dict)
    free: Callable[[], object] = bool
    """Called between a kill and the next start: takes the Lease away, so that nobody waits for it."""
    child: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> Operator:
        given = {
            "kubeconfig": self.kubeconfig, "operator_namespace": self.namespace, "http_port": 0,
            "http_host": "127.0.0.1", "identity": self.log.stem,
            "lease_duration": 15, "lease_renew_deadline": 10, "lease_retry": 1,
        } | self.settings  # fmt: skip
        env = {f"READINESS_{key.upper()}": str(value) for key, value in given.items()}
        base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")}
        with self.log.open("ab") as out:
            self._from = out.tell()
            self.child = subprocess.Popen(
                [sys.executable, "-m", "readiness", "run"], env=base | env,
                stdout=out, stderr=subprocess.STDOUT, cwd=self.log.parent,
            )  # fmt: skip
        return self

    def restart(self) -> Operator:
        self.kill()
        self.free()
        return self.start().await_ready()

    def await_ready(self, seconds: float = READY_SECONDS) -> Operator:
        """Waits until every kind is listed and work has begun."""
        until(lambda: self.said("every kind is listed") or self.ended(), seconds, "readiness")
        assert not self.ended(), self.text()[-3000:]
        return self

    @contextlib.contextmanager
    def supervised(self) -> Iterator[Operator]:
        """Starts it again whenever it has ended, as the kubelet does."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                if self.ended():
                    self.starts += 1
                    self.free()
                    self.start()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def ended(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def kill(self) -> None:
        """SIGKILL, as the kernel does it."""
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()

    def send(self, number: int) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    def stop(self, seconds: float = 45.0) -> int:
        """SIGTERM; the exit code."""
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 45.0) -> int:
        assert self.child is not None
        return self.child.wait(seconds)

    def text(self) -> str:
        """What this run has logged."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode()

    def said(self, words: str) -> bool:
        return words in self.text()

    def page(self, path: str, timeout: float = 10.0) -> httpx.Response:
        """A page of its own server."""
        port = until(lambda: re.search(r"health on port (\d+)", self.text()), 30, "a port")[1]
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=timeout, trust_env=False)

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        lines = self.page("/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def memory(self) -> float:
        """Resident memory, MB."""
        assert self.child is not None
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) / 1024


class Audit:
    """What the API server noted since this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.mark()

    def mark(self) -> None:
        """From now on."""
        self._from = self._path.stat().st_size

    def calls(self, user: str, namespace: str = "", *, reads: bool = False) -> list[str]:
        """`verb resource[/sub] code` of a user's requests, in one namespace or in all.

        Without Leases; without reads unless asked for.
        """
        with self._path.open("rb") as log:
            log.seek(self._from)
            entries = [json.loads(line) for line in log.read().splitlines(keepends=False) if line]
        found = []
        for entry in entries:
            ref = entry.get("objectRef") or {}
            if entry["user"]["username"] != user or ref.get("resource") == "leases":
                continue
            if namespace and ref.get("namespace") != namespace:
                continue
            if entry["verb"] in ("list", "watch") or (entry["verb"] == "get" and not reads):
                continue
            what = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
            found.append(f"{entry['verb']} {what} {entry['responseStatus']['code']}")
        return found


class Namespace:
    """A namespace of one test: applies, reads, waits."""

    def __init__(self, api: Any, name: str) -> None:
        self.api, self.name = api, name
        self.http: httpx.Client = api.http
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def path(self, plural: str, name: str = "", group: str = "") -> str:
        root = group or {"deployments": "/apis/apps/v1"}.get(plural)
        root = root or (OWN if plural.startswith("readiness") else "/api/v1")
        return f"{root}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def apply(self, *objects: Object) -> None:
        """Server-side apply of each, in order."""
        for found in objects:
            kind = found["kind"].lower()
            plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
            group = f"/apis/{found['apiVersion']}" if "/" in found["apiVersion"] else ""
            answer = self.http.patch(
                self.path(plural, found["metadata"]["name"], group), content=json.dumps(found),
                params={"fieldManager": "tenant", "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
            )  # fmt: skip
            assert answer.is_success, answer.text

    def patch(self, plural: str, name: str, body: Object, sub: str = "") -> Object:
        """Merge patch."""
        answer = self.http.patch(
            self.path(plural, name) + (f"/{sub}" if sub else ""), content=json.dumps(body),
            headers={"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip
        assert answer.is_success, answer.text
        return answer.json()

    def delete(self, plural: str, name: str = "") -> None:
        self.api.request("DELETE", self.path(plural, name))

    def policy(self, name: str = "app") -> Object:
        return self.api.request("GET", self.path("readinesspolicies", name))

    def status(self, name: str = "app") -> Object:
        policy = self.policy(name)
        return (policy.get("status") or {}) if policy["kind"] == "ReadinessPolicy" else {}

    def condition(self, type_: str, name: str = "app") -> str:
        """`status/reason`, of the current generation only."""
        policy = self.policy(name)
        current = policy["metadata"].get("generation")
        for row in self.status(name).get("conditions") or ():
            if row["type"] == type_ and row["observedGeneration"] == current:
                return f"{row['status']}/{row['reason']}"
        return ""

    def verdict(self, name: str = "app") -> str:
        return self.condition("Compliant", name)

    def await_verdict(self, wanted: str, name: str = "app", seconds: float = 30.0) -> None:
        """Waits until Compliant is `status/reason`, or just `status`."""

        def reached() -> bool:
            found = self.verdict(name)
            return wanted in (found, found.partition("/")[0])

        try:
            until(reached, seconds, f"{name}: {wanted}")
        except AssertionError as error:
            rows = [
                (f["id"], f["reason"], f["message"]) for f in self.status(name).get("failures", ())
            ]
            raise AssertionError(f"{error}; it is {self.verdict(name)!r}: {rows}") from None

    def reports(self) -> list[Object]:
        return self.api.request("GET", self.path("readinessreports")).get("items", [])

    def events(self, name: str = "app") -> list[Object]:
        found = self.api.request("GET", self.path("events", group="/apis/events.k8s.io/v1"))
        return [e for e in found["items"] if e["regarding"].get("name") == name]

    def finding(self, id_: str, name: str = "app") -> Object:
        """The row of a control in the reports of a policy, or empty."""
        for report in self.reports():
            if report["report"]["policy"] == name:
                for row in report["report"].get("results", ()):
                    if row["id"] == id_:
                        return row
        return {}

    def label(self, key: str, value: str | None) -> None:
        """Sets a label of the namespace itself; None takes it away."""
        answer = self.http.patch(
            f"/api/v1/namespaces/{self.name}",
            content=json.dumps({"metadata": {"labels": {key: value}}}),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert answer.is_success, answer.text

    def run_pod(self, name: str, address: str) -> None:
        """Says that the one pod of a Deployment runs and is Ready at an address, as a kubelet would."""

        def pods() -> list[Object]:
            items = self.api.request("GET", self.path("pods"))["items"]
            return [p for p in items if p["metadata"]["labels"].get("app") == name]

        pod = until(pods, 20, "a pod")[0]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        image = pod["spec"]["containers"][0]["image"]
        running = {
            "name": "app", "ready": True, "started": True, "restartCount": 0, "image": image,
            "imageID": f"{image}@sha256:{'a' * 64}", "state": {"running": {"startedAt": now}},
        }  # fmt: skip
        rows = [
            {"type": t, "status": "True", "lastTransitionTime": now}
            for t in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        status = {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
            "conditions": rows, "containerStatuses": [running],
        }  # fmt: skip
        self.patch("pods", pod["metadata"]["name"], {"status": status}, "status")
        path = f"{self.path('deployments', name)}/status"
        until(
            lambda: self.api.request("GET", path)["status"].get("readyReplicas") == 1, 20, "Ready"
        )

    def clear(self) -> None:
        """No policies, no workloads: nothing for the next test's operator to look at."""
        self.delete("readinesspolicies")
        self.delete("deployments")
        self.delete("readinesswaivers")
        self.api.request("DELETE", f"/api/v1/namespaces/{self.name}")

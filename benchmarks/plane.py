"""The bench: a bare control plane, one identity for each contestant, and the audit log as the counter."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from localcluster import build, cluster, pki
from localcluster.state import Cluster

ROOT: Final = Path(__file__).resolve().parent.parent
WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
MERGE: Final = "application/merge-patch+json"


class Plane:
    """An API server that is up, an administrator's session, and what others did there."""

    def __init__(self, running: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster, self._session = running, session
        self._offset = 0

    async def call(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        """One call as administrator; raises for anything but 2xx."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content or "application/json"}
        url = self.cluster.api_url + path
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            found = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {found[:300]!r}")
            return json.loads(found)

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a watch, as they come; asks again until a new kind is served."""
        forever = aiohttp.ClientTimeout(None)
        while True:
            async with self._session.get(self.cluster.api_url + path, timeout=forever) as answer:
                rest = b""
                async for chunk in answer.content.iter_any() if answer.status == 200 else _none():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
            await asyncio.sleep(0.2)

    def identity(self, user: str) -> Path:
        """A kubeconfig of an administrator of that name, so that the audit log tells it apart."""
        directory = self.cluster.pki
        pki.make_certificate(
            directory, user, pki.subject_of(user, ["system:masters"]), [f"DNS:{user}"]
        )
        path = self.cluster.dir / f"{user}.kubeconfig"
        pki.write_kubeconfig(path, directory, user, self.cluster.api_url)
        return path

    def mark(self) -> None:
        """Calls are counted from here."""
        self._offset = self.cluster.audit_log.stat().st_size

    def calls(self, user: str) -> Counter[str]:
        """Completed calls of a user since `mark`, like `patch pods/status`, without watches and elections."""
        found: Counter[str] = Counter()
        name = f'"username":"{user}"'.encode()
        with self.cluster.audit_log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if name in line and line.endswith(b"\n"):
                    event = json.loads(line)
                    ref = event.get("objectRef") or {}
                    what = "/".join(
                        filter(None, (ref.get("resource", "-"), ref.get("subresource")))
                    )
                    own = ref.get("namespace") == "readiness-system"  # Leases and events about them
                    if event["verb"] != "watch" and not own and "resource" in ref:
                        found[f"{event['verb']} {what}"] += 1
        return found

    async def settled(self, user: str, quiet: float = 2.0) -> Counter[str]:
        """The same, once no more calls come."""
        before = self.calls(user)
        while True:
            await asyncio.sleep(quiet)
            now = self.calls(user)
            if now == before:
                return now
            before = now


async def _none() -> AsyncIterator[bytes]:
    return
    yield


def writes(calls: Counter[str]) -> int:
    """How many of the calls change something."""
    return sum(count for call, count in calls.items() if call.split()[0] in WRITES)


def passes(calls: Counter[str]) -> int:
    """How many of the calls belong to passes; a list belongs to a watch, whatever happens to policies."""
    return sum(count for call, count in calls.items() if call.split()[0] != "list")


async def each(
    items: Iterable[Any], act: Callable[[Any], Awaitable[Any]], at_once: int = 32
) -> None:
    """`act` on every item, some at once."""
    rest = iter(items)

    async def worker() -> None:
        for item in rest:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


@asynccontextmanager
async def bench(name: str) -> AsyncIterator[Plane]:
    """A fresh plane with our CRDs, without controllers; gone at the end."""
    cluster.down(name)
    running = cluster.up(name, controllers=False)
    try:
        _install(running)
        trust = ssl.create_default_context(cafile=str(running.pki / "ca.crt"))
        trust.load_cert_chain(running.pki / "admin.crt", running.pki / "admin.key")
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Plane(running, session)
    finally:
        cluster.down(name)


def kubectl(running: Cluster, *args: str) -> bytes:
    """What kubectl says."""
    tool = build.build("kube").with_name("kubectl")
    command = [str(tool), "--kubeconfig", str(running.kubeconfig), *args]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _install(running: Cluster) -> None:
    kubectl(running, "apply", "-f", str(ROOT / "crds"))
    kubectl(running, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    kubectl(running, "create", "namespace", "readiness-system")

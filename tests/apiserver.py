"""The API server of the tests: a bare control plane of their own with our CRDs in it.

`api_server` fails when it cannot be started; only READINESS_NO_API=1 turns that into a skip.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from chaosproxy import ChaosProxy

from localcluster.fixtures import Running, running

OURS = ("readinesspolicies", "readinesswaivers", "readinessprofiles")
CRDS = Path(__file__).resolve().parents[1] / "crds"


@dataclass(frozen=True)
class ApiServer:
    """A running API server: for clients its kubeconfig, for tests plain requests as admin."""

    running: Running
    http: httpx.Client

    @property
    def kubeconfig(self) -> Path:
        return self.running.kubeconfig

    @property
    def audit_log(self) -> Path:
        return self.running.audit_log

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Output of kubectl; an AssertionError with its complaint when it fails."""
        return self.running.kubectl(*args, stdin=stdin)

    def request(self, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """The answer, also when it is a refusal: then it is a Status with `code` and `message`."""
        return self.http.request(method, path, json=body, params=query).json()


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """One control plane per session, taken down at its end."""
    if os.environ.get("READINESS_NO_API") == "1":
        pytest.skip("READINESS_NO_API=1: nothing is proved against a real API server")
    for found in running("api", node_count=0):
        found.kubectl("apply", "--server-side", "--validate=strict", "-f", str(CRDS))
        found.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        with httpx.Client(base_url=found.api_url, verify=admin_of(found), timeout=30) as http:
            yield ApiServer(found, http)


def admin_of(found: Running) -> ssl.SSLContext:
    """What makes a connection the administrator's."""
    keys = found.cluster.pki
    tls = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    tls.load_cert_chain(keys / "admin.crt", keys / "admin.key")
    return tls


@pytest.fixture
def proxy(api_server: ApiServer) -> Iterator[ChaosProxy]:
    """What goes to the API server by way of it, breaks as a test likes."""
    with ChaosProxy(api_server.running.api_url, admin_of(api_server.running)) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module leaves behind, the operators of others judge too: of which, depends on how files are spread."""
    if request.node.get_closest_marker("api") is None:
        yield
        return
    server: ApiServer = request.getfixturevalue("api_server")
    yield
    deadline = time.monotonic() + 30  # a namespace takes its time to go
    while left := [name for plural in OURS for name in _names(server, plural)]:
        assert time.monotonic() < deadline, f"{request.node.name} leaves {left}"
        time.sleep(0.2)


def _names(server: ApiServer, plural: str) -> list[str]:
    found = server.request("GET", f"/apis/readiness.dev/v1alpha1/{plural}")
    if "items" not in found:
        return [f"{plural}: {found.get('message')}"]
    return [f"{plural}/{item['metadata']['name']}" for item in found["items"]]

"""pytest fixtures: a bare control plane and three nodes, once per session.

Use them with `pytest_plugins = ["localcluster.fixtures"]`. Each session has clusters of its own, which
end with it. With READINESS_CLUSTER_KEEP=1 they have fixed names, are used again and stay up;
READINESS_CLUSTER_NAME chooses the beginning of the names, and a cluster that was up before stays up.
Processes that share a suite (pytest-xdist) are sessions: each has its own.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from localcluster import build, cluster, images, node, state
from localcluster.api import Manifest
from localcluster.state import Cluster


@cache
def kubectl_path() -> str:
    """Where the kubectl of the cluster's version is; looked up once, as tests call it often."""
    return str(build.build("kube").with_name("kubectl"))


@dataclass(frozen=True)
class Running:
    """A cluster that is up, with what tests do to it."""

    cluster: Cluster

    @property
    def name(self) -> str:
        return self.cluster.name

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig

    @property
    def audit_log(self) -> Path:
        return self.cluster.audit_log

    @property
    def api_url(self) -> str:
        return self.cluster.api_url

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Output of kubectl; an AssertionError with its complaint when it fails."""
        done = self.try_kubectl(*args, stdin=stdin)
        assert not check or done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def try_kubectl(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl's result, whatever it is."""
        return subprocess.run(
            [kubectl_path(), "--kubeconfig", str(self.kubeconfig), *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def apply(self, *manifests: Manifest) -> None:
        """Apply manifests given as values."""
        items = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, *args: str) -> Manifest:
        """`kubectl get … -o json` as a value."""
        return dict(json.loads(self.kubectl("get", *args, "-o", "json")))

    def load_images(self, *files: Path) -> None:
        """Import image archives into every node."""
        images.load(self.cluster, files)

    def cut(self, name: str) -> None:
        node.cut(self.cluster, self.cluster.node(name))

    def heal(self, name: str) -> None:
        node.heal(self.cluster, self.cluster.node(name))

    def crash(self, name: str) -> None:
        node.crash(self.cluster, self.cluster.node(name))

    def restart(self, name: str) -> None:
        node.restart(self.cluster, self.cluster.node(name))


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Running]:
    """A control plane without nodes; needs no root."""
    yield from running("bare", node_count=0)


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[Running]:
    """A cluster with three nodes; tests that ask for it are skipped without root."""
    if os.geteuid():
        pytest.skip("nodes need root")
    yield from running("nodes", node_count=3)


def running(kind: str, *, node_count: int) -> Iterator[Running]:
    """Bring a cluster up, and down again unless it was there before or is to be kept."""
    keep = os.environ.get("READINESS_CLUSTER_KEEP", "") not in ("", "0")
    prefix = os.environ.get("READINESS_CLUSTER_NAME")
    one = "-".join(filter(None, (kind, os.environ.get("PYTEST_XDIST_WORKER"))))
    name = f"{prefix or 'e2e'}-{one}" if keep or prefix else f"{kind}-{os.getpid()}"
    stays = keep or state.find(name) is not None
    try:
        yield Running(cluster.up(name, node_count=node_count))
    finally:
        if not stays:
            cluster.down(name)

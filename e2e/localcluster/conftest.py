"""Makes the package importable and its fixtures known to the proofs beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest

from localcluster import images
from localcluster.fixtures import Running, bare_cluster, three_nodes
from localcluster.workload import IMAGE, client, namespace, server, service

__all__ = ["apps", "bare_cluster", "three_nodes"]


@pytest.fixture(scope="session")
def apps(three_nodes: Running) -> Running:
    """A server on every node and clients in two namespaces."""
    three_nodes.load_images(images.debian(IMAGE, packages=["python3"]))
    three_nodes.apply(
        namespace("blue"),
        namespace("green"),
        *server("blue"),
        service("blue"),
        client("blue", "friend"),
        client("blue", "other"),
        client("green", "far"),
    )
    three_nodes.kubectl("-n", "blue", "rollout", "status", "statefulset/server", "--timeout=90s")
    for each in ("blue", "green"):
        three_nodes.kubectl(
            "-n", each, "wait", "--for=condition=Ready", "pods", "--all", "--timeout=90s"
        )
    return three_nodes

"""NetworkPolicy enforcement: one nftables table per node, rewritten whenever something changes.

A stand-in for a CNI that enforces policies. This loop watches and applies; what the rules are is
decided in `netrules`. A pod is covered once its address is known, some tenths of a second after it.
"""

import subprocess
import time
from typing import Final

from localcluster import network, plane
from localcluster.api import Mirror
from localcluster.netrules import Rules, render
from localcluster.state import Cluster, Node

PATHS: Final = {
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
}
GATHER_SECONDS: Final = 0.05  # changes come in bursts
RESYNC_SECONDS: Final = 30


def run_loop(cluster: Cluster) -> None:
    """Enforce for as long as the cluster runs."""
    mirror = Mirror(plane.admin(cluster), PATHS)
    applied: dict[str, str] = {}
    while True:
        changed = mirror.changed.wait(RESYNC_SECONDS)
        time.sleep(GATHER_SECONDS)
        mirror.changed.clear()
        if not changed:
            applied.clear()  # repair what somebody else may have removed
        rules = Rules.of(
            mirror.objects("policies"), mirror.objects("pods"), mirror.objects("namespaces")
        )
        for node in cluster.nodes:
            wanted = render(rules, node.name)
            if applied.get(node.name) != wanted and apply(node, wanted):
                applied[node.name] = wanted


def apply(node: Node, table: str) -> bool:
    """Replace the node's table in one transaction; what nft refuses is printed and tried again."""
    done = subprocess.run(
        [*network.inside(node), "nft", "-f", "-"],
        input=table,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        print(f"{node.name}: {done.stderr}\n{table}", flush=True)
    return not done.returncode

"""What makes nodes a usable cluster: DNS, a default StorageClass and NetworkPolicy enforcement.

DNS runs as pods, so that NetworkPolicies select it as everywhere; the other two are processes of the
cluster, written here as named stand-ins for a CSI driver and a CNI.
"""

import sys
from pathlib import Path
from typing import Final

from localcluster import images, node, plane
from localcluster.api import ApiError, Client, Manifest
from localcluster.manifest import dns_manifests, storage_class
from localcluster.progress import ClusterError, step, wait_until
from localcluster.run import end, recorded_pid, spawn
from localcluster.state import Cluster

PACKAGE: Final = Path(__file__).resolve().parent
LOOPS: Final = ("storage", "netpolicy")
DNS_IMAGE: Final = "localcluster/coredns:1"
PLURALS: Final = {
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "Service": "services",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "StorageClass": "storageclasses",
}


def start(cluster: Cluster, coredns: Path) -> None:
    """Start the loops, apply the manifests and wait until pods can resolve names."""
    for name in LOOPS:
        spawn(
            cluster.records / name,
            cluster.logs / f"{name}.log",
            [sys.executable, PACKAGE, "loop", name, "--name", cluster.name],
        )
    client = plane.admin(cluster)
    with step("storage class, DNS, network policies"):
        archive = images.scratch(DNS_IMAGE, binary=coredns)
        node.on_all(cluster, lambda each: images.ensure(each, DNS_IMAGE, archive))
        for manifest in [storage_class(), *dns_manifests(cluster, DNS_IMAGE)]:
            client.request(
                "PATCH",
                f"{path_of(manifest)}?fieldManager=localcluster&force=true",
                manifest,
                content="application/apply-patch+yaml",
            )
        wait_until("cluster DNS", lambda: _dns_is_ready(client), seconds=300)
        for name in LOOPS:
            if recorded_pid(cluster.records / name) is None:
                raise ClusterError(f"{name} ended; its log is {cluster.logs / name}.log")


def stop(cluster: Cluster) -> None:
    """End the loops before what they work on goes away."""
    end((cluster.records / name for name in LOOPS), grace=0)


def path_of(manifest: Manifest) -> str:
    """URL path of an object."""
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = manifest["metadata"].get("namespace")
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{middle}/{PLURALS[manifest['kind']]}/{manifest['metadata']['name']}"


def _dns_is_ready(client: Client) -> bool:
    try:
        found = client.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    except ApiError:
        return False
    return int(found.get("status", {}).get("readyReplicas", 0)) > 0

"""Volume provisioner: a directory of one node per claim, as a `local` PersistentVolume.

A stand-in for a CSI driver. It waits for the scheduler to choose a node, makes the directory and the
volume, and removes both when a claim of a class with reclaim policy Delete has gone. No expansion.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster import plane
from localcluster.api import ApiError, Client, Manifest, Mirror, attempt
from localcluster.manifest import PROVISIONER
from localcluster.state import Cluster

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
VOLUMES: Final = "/api/v1/persistentvolumes"
PATHS: Final = {
    "claims": "/api/v1/persistentvolumeclaims",
    "volumes": VOLUMES,
    "classes": "/apis/storage.k8s.io/v1/storageclasses",
}
RESYNC_SECONDS: Final = 10


def run_loop(cluster: Cluster) -> None:
    """Provision and delete for as long as the cluster runs."""
    client = plane.admin(cluster)
    mirror = Mirror(client, PATHS)
    while True:
        mirror.changed.wait(RESYNC_SECONDS)
        mirror.changed.clear()
        attempt(lambda: reconcile(cluster, client, mirror))


def reconcile(cluster: Cluster, client: Client, mirror: Mirror) -> None:
    """One pass: make volumes for unbound claims, delete released ones."""
    classes = {
        item["metadata"]["name"]: item
        for item in mirror.objects("classes")
        if item["provisioner"] == PROVISIONER
    }
    volumes = mirror.objects("volumes")
    known = {volume["metadata"]["name"] for volume in volumes}
    for claim in mirror.objects("claims"):
        storage_class = classes.get(claim["spec"].get("storageClassName", ""))
        node = node_for(claim, storage_class, [node.name for node in cluster.nodes])
        if storage_class and node and volume_name(claim) not in known:
            _provision(cluster, client, volume_for(claim, storage_class, node, cluster.dir))
    for volume in volumes:
        if is_deletable(volume):
            _delete(client, volume)


def node_for(claim: Manifest, storage_class: Manifest | None, nodes: Sequence[str]) -> str | None:
    """Node for the claim's volume; None while it has one, is not ours, or the scheduler decides."""
    if storage_class is None or claim["spec"].get("volumeName"):
        return None
    if claim["metadata"].get("deletionTimestamp"):
        return None
    chosen = claim["metadata"].get("annotations", {}).get(SELECTED_NODE)
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
        return str(chosen) if chosen in nodes else None
    return str(chosen or sorted(nodes)[int(claim["metadata"]["uid"][:8], 16) % len(nodes)])


def volume_name(claim: Manifest) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def volume_for(claim: Manifest, storage_class: Manifest, node: str, cluster_dir: Path) -> Manifest:
    """The volume bound to the claim and to the node."""
    meta, name = claim["metadata"], volume_name(claim)
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            "storageClassName": storage_class["metadata"]["name"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "uid": meta["uid"],
                "name": meta["name"],
                "namespace": meta["namespace"],
            },
            "local": {"path": str(cluster_dir / node / "volumes" / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }


def is_deletable(volume: Mapping[str, Manifest]) -> bool:
    """Whether it is ours, its claim has gone and its data may go too."""
    return (
        volume["metadata"].get("annotations", {}).get(PROVISIONED_BY) == PROVISIONER
        and volume.get("status", {}).get("phase") in ("Released", "Failed")
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    )


def _provision(cluster: Cluster, client: Client, volume: Manifest) -> None:
    path = Path(volume["spec"]["local"]["path"])
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)  # as most drivers do, so that pods without fsGroup can write
    try:
        client.request("POST", VOLUMES, volume)
    except ApiError as error:
        if error.status == 409:  # made by an earlier pass, not yet seen in the mirror
            return
        raise
    print(f"made {volume['metadata']['name']} in {cluster.name} at {path}", flush=True)


def _delete(client: Client, volume: Manifest) -> None:
    shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
    try:
        client.request("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")
    except ApiError as error:
        if error.status != 404:
            raise
    print(f"deleted {volume['metadata']['name']}", flush=True)

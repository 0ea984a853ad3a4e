"""Plain volumes that are backed up beside the data services: what their CronJobs are.

There is no server: our own image packs the files beside whoever writes them, and a drill unpacks them. Pure.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.backups.snapshots import DIRECTORY
from readiness.dataservices.destined import (
    build_destination_mounts,
    build_destination_volumes,
    build_mount,
    build_store_args,
    build_wall,
)
from readiness.dataservices.kept import Kept
from readiness.dataservices.order import VOLUME, Order
from readiness.dataservices.parts import canonical
from readiness.dataservices.recovery import recovery_of
from readiness.dataservices.restore import RESTORED
from readiness.dataservices.runs import (
    build_account,
    build_cron_job,
    build_ours,
    build_pod,
    build_retention,
)
from readiness.dataservices.wish import Wish, volume_orders_of
from readiness.model import Manifest
from readiness.snapshot import Snapshot

if TYPE_CHECKING:
    from readiness.api.backups import SavedVolume

SOURCE: Final = "/source"


def kept_volumes(wish: Wish, snapshot: Snapshot) -> tuple[Kept, ...]:
    """All that the policy wants saved."""
    found = volume_orders_of(wish, snapshot)
    return tuple(Kept(VOLUME, VOLUME, order, partial(build_volume, volume, order)) for volume, order in found)  # fmt: skip


def build_volume(volume: SavedVolume, order: Order) -> tuple[Manifest, ...]:
    """Every child of one; no pod of them reaches anything but the destination."""
    parts = (naming.BACKUP, naming.RETENTION, naming.LISTING, naming.RESTORE_DRILL)
    backups = order.backups
    if backups is None:
        return ()
    return (
        build_account(order, naming.BACKUP),
        build_account(order, naming.RETENTION),
        build_wall(order, parts),
        build_cron_job(order, naming.BACKUP, backups.schedule, _saving_pod(volume, order)),
        build_retention(order),
        build_cron_job(order, naming.RESTORE_DRILL, backups.restore_drill.schedule, _drilling_pod(volume, order)),
        *recovery_of("volume", order),
    )  # fmt: skip


def _saving_pod(volume: SavedVolume, order: Order) -> Manifest:
    backup, source = build_mount("backup", DIRECTORY), build_mount("source", SOURCE, read_only=True)
    save = ("backup", "run", f"--kind={VOLUME}", "--run=$(JOB_NAME)", *build_store_args(order))
    pod = build_pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [
                _as_owner(volume, build_ours("dump", order, ("backup", "pack"), [backup, source])),
                build_ours("verify", order, ("backup", "inspect"), [backup]),
            ],
            "containers": [build_ours("save", order, save, [backup, *build_destination_mounts(order)])],
        },
        [
            {"name": "source", "persistentVolumeClaim": {"claimName": volume.claim_name, "readOnly": True}},
            _scratch("backup", volume),
            *build_destination_volumes(order),
        ],
    )  # fmt: skip
    return pod | {"securityContext": _security(pod, volume), **_beside(volume)}


def _drilling_pod(volume: SavedVolume, order: Order) -> Manifest:
    place = build_mount("restore", RESTORED)
    drill = ("restore-drill", f"--kind={VOLUME}", "--run=$(JOB_NAME)", f"--directory={RESTORED}", *build_store_args(order))  # fmt: skip
    containers = [build_ours("drill", order, drill, [place, *build_destination_mounts(order)])]
    volumes = [_scratch("restore", volume), *build_destination_volumes(order)]
    return build_pod(order, naming.BACKUP, {"containers": containers}, volumes)


def _as_owner(volume: SavedVolume, container: Manifest) -> Manifest:
    """Whoever owns the files may read them."""
    security = container["securityContext"] | {"runAsUser": volume.user, "runAsGroup": volume.group}
    return container | {"securityContext": security}


def _security(pod: Manifest, volume: SavedVolume) -> Manifest:
    """The group that the volume has already: another would be given to all of its files."""
    return {**pod["securityContext"], "fsGroup": volume.group}


def _beside(volume: SavedVolume) -> Manifest:
    """On the node where it is mounted, as a volume of one node has to be; where nobody mounts it, anywhere."""
    if not volume.mounted_by:
        return {}
    labels = {"labelSelector": {"matchLabels": dict(volume.mounted_by)}, "topologyKey": "kubernetes.io/hostname"}  # fmt: skip
    wanted = [{"weight": 100, "podAffinityTerm": labels}]
    return {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wanted}}}  # fmt: skip


def _scratch(name: str, volume: SavedVolume) -> Manifest:
    named = {"storageClassName": volume.storage_class} if volume.storage_class else {}
    request = {"requests": {"storage": canonical(volume.scratch)}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": request, **named}
    return {"name": name, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}

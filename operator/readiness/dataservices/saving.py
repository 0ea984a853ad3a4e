"""The Jobs of a data service's backups: three containers that dump, verify and save, and one that prunes.

Each container is given what it needs and no more: only the first the store's password, only the last the destination's. Pure.
"""

from __future__ import annotations

from typing import Final

from readiness import naming
from readiness.backups.snapshots import DIRECTORY
from readiness.dataservices.destined import (
    build_destination_mounts,
    build_destination_volumes,
    build_mount,
    build_secret_volume,
    build_store_args,
    build_wall,
)
from readiness.dataservices.order import Dump, Kind, Order
from readiness.dataservices.parts import build_config, canonical
from readiness.dataservices.restore import RESTORED, SCRIPTS
from readiness.dataservices.runs import (
    build_account,
    build_container,
    build_cron_job,
    build_ours,
    build_pod,
    build_retention,
)
from readiness.model import Manifest
from readiness.quantities import bytes_of

_MIB: Final = 1 << 20


def build_saving(kind: Kind, order: Order) -> tuple[Manifest, ...]:
    """Every child that backups of this service consist of; none where there are to be none."""
    if kind.dump is None or order.backups is None:
        return ()
    dump = kind.dump(order)
    scripts = {**dump.scripts, "drill.sh": SCRIPTS[kind.name]}
    store = [{"port": port, "protocol": "TCP"} for port in dump.ports]
    return (
        build_account(order, naming.BACKUP),
        build_account(order, naming.RETENTION),
        build_config(order.name(naming.BACKUP), scripts),
        build_wall(order, (naming.BACKUP,), store),
        build_wall(order, (naming.RESTORE_DRILL, naming.RETENTION, naming.LISTING), []),
        build_cron_job(
            order, naming.BACKUP, order.backups.schedule, _saving_pod(kind, order, dump)
        ),
        build_retention(order),
        build_cron_job(
            order,
            naming.RESTORE_DRILL,
            order.backups.restore_drill.schedule,
            _drilling_pod(kind, order, dump),
        ),
    )


def _saving_pod(kind: Kind, order: Order, dump: Dump) -> Manifest:
    backup = build_mount("backup", DIRECTORY)
    shared = [build_mount("scripts", read_only=True), backup]
    given = [build_mount("passwords", read_only=True), *(build_mount(each["name"], read_only=True) for each in dump.volumes)]  # fmt: skip
    told = [{"name": key, "value": value} for key, value in dump.told.items()]
    runs = {"image": order.image, "env": told}
    save = ("backup", "run", f"--kind={kind.name}", "--run=$(JOB_NAME)", *build_store_args(order))
    return build_pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [
                build_container("dump", runs | {"command": [*dump.dump]}, [*shared, *given], dump.memory_to_dump),
                build_container("verify", runs | {"command": [*dump.verify]}, shared, dump.memory),
            ],
            "containers": [build_ours("save", order, save, [backup, *build_destination_mounts(order)])],
        },
        [
            _scripts(order),
            {"name": "backup", "ephemeral": {"volumeClaimTemplate": {"spec": _claim(kind, order, dump)}}},
            build_secret_volume("passwords", order.name(naming.CREDENTIALS), dump.user),
            *dump.volumes,
            *build_destination_volumes(order),
        ],
    )  # fmt: skip


def _drilling_pod(kind: Kind, order: Order, dump: Dump) -> Manifest:
    """The server stands beside ours on the pod's own loopback, serves when it is told to, and goes with the pod."""
    place = build_mount("restore", RESTORED)
    serve = {"image": order.image, "command": ["sh", "/scripts/drill.sh", RESTORED, str(kind.port)], "restartPolicy": "Always"}  # fmt: skip
    drill = ("restore-drill", f"--kind={kind.name}", "--run=$(JOB_NAME)", f"--directory={RESTORED}", f"--port={kind.port}", *build_store_args(order))  # fmt: skip
    claim = {"volumeClaimTemplate": {"spec": _claim(kind, order, dump)}}
    return build_pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [build_container("server", serve, [build_mount("scripts", read_only=True), place], dump.memory)],
            "containers": [build_ours("drill", order, drill, [place, *build_destination_mounts(order)])],
        },
        [
            _scripts(order),
            {"name": "restore", "ephemeral": claim},
            *build_destination_volumes(order),
        ],
    )  # fmt: skip


def _scripts(order: Order) -> Manifest:
    found = {"name": order.name(naming.BACKUP), "defaultMode": 0o444}
    return {"name": "scripts", "configMap": found}


def _claim(kind: Kind, order: Order, dump: Dump) -> Manifest:
    """As large as the volumes of members that the dump may need, unless the service says otherwise."""
    asked, own = getattr(order.service, kind.name), order.service.backup
    size = (own.scratch if own else None) or f"{-(-dump.room * bytes_of(asked.storage) // _MIB)}Mi"
    named = {"storageClassName": asked.storage_class} if asked.storage_class else {}
    request = {"requests": {"storage": canonical(size)}}
    return {"accessModes": ["ReadWriteOnce"], "resources": request, **named}

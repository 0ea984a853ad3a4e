"""The Jobs of a data service's backups: three containers that dump, verify and save, and one that prunes.

Each container is given what it needs and no more: only the first the store's password, only the last the destination's. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readiness import naming
from readiness.backups.snapshots import DIRECTORY
from readiness.dataservices.destined import (
    build_destination_mounts,
    build_destination_volumes,
    build_mount,
    build_store_args,
    build_wall,
)
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Dump, Order, Source
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
from readiness.ports import CLIENTS
from readiness.quantities import bytes_of

_MIB: Final = 1 << 20


def build_saving(kind: Kind, order: Order, source: Source | None) -> tuple[Manifest, ...]:
    """Every child that backups of this service consist of; none where there are to be none."""
    if source is None or kind.dump is None or order.backups is None:
        return ()
    run = _Run(kind, order, source, kind.dump(source))
    scripts = {**run.dump.scripts, "drill.sh": SCRIPTS[kind.name]}
    return (
        build_account(order, naming.BACKUP),
        build_account(order, naming.RETENTION),
        build_config(order.name(naming.BACKUP), scripts),
        build_wall(order, (naming.BACKUP,), source.way),
        build_wall(order, (naming.RESTORE_DRILL, naming.RETENTION, naming.LISTING)),
        build_cron_job(order, naming.BACKUP, order.backups.schedule, _saving_pod(run)),
        build_retention(order),
        build_cron_job(
            order, naming.RESTORE_DRILL, order.backups.restore_drill.schedule, _drilling_pod(run)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What every pod of one service is made from."""

    kind: Kind
    order: Order
    source: Source
    dump: Dump

    @property
    def memory(self) -> str:
        """Of a server that loads a dump."""
        own = self.order.service.backup
        return canonical((own.memory if own else None) or self.dump.memory)

    @property
    def told(self) -> list[Manifest]:
        """What the scripts are told, as variables."""
        source = self.source
        where = {key: value for key, value in (("LOGIN", source.login), ("TLS", source.tls)) if value}  # fmt: skip
        return [{"name": key, "value": value} for key, value in (where | dict(source.told) | dict(self.dump.told)).items()]  # fmt: skip


def _saving_pod(run: _Run) -> Manifest:
    order, dump, source = run.order, run.dump, run.source
    backup = build_mount("backup", DIRECTORY)
    shared = [build_mount("scripts", read_only=True), backup]
    secrets = [source.passwords] if source.passwords else []
    given = [build_mount(each["name"], read_only=True) for each in (*secrets, *source.volumes)]
    runs = {"image": order.image, "env": run.told}
    save = ("backup", "run", f"--kind={run.kind.name}", "--run=$(JOB_NAME)", *build_store_args(order))  # fmt: skip
    return build_pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [
                build_container("dump", runs | {"command": ["sh", "/scripts/dump.sh"]}, [*shared, *given], dump.memory_to_dump),
                build_container("verify", runs | {"command": ["sh", "/scripts/verify.sh"]}, shared, run.memory),
            ],
            "containers": [build_ours("save", order, save, [backup, *build_destination_mounts(order)])],
        },
        [
            _scripts(order),
            {"name": "backup", "ephemeral": {"volumeClaimTemplate": {"spec": _claim(run)}}},
            *secrets,
            *source.volumes,
            *build_destination_volumes(order),
        ],
    )  # fmt: skip


def _drilling_pod(run: _Run) -> Manifest:
    """The server stands beside ours on the pod's own loopback, serves when it is told to, and goes with the pod."""
    kind, order = run.kind, run.order
    place, port = build_mount("restore", RESTORED), CLIENTS[kind.name].plain
    serve = {"image": order.image, "command": ["sh", "/scripts/drill.sh", RESTORED, str(port)], "restartPolicy": "Always"}  # fmt: skip
    drill = ("restore-drill", f"--kind={kind.name}", "--run=$(JOB_NAME)", f"--directory={RESTORED}", f"--port={port}", *build_store_args(order))  # fmt: skip
    claim = {"volumeClaimTemplate": {"spec": _claim(run)}}
    return build_pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [build_container("server", serve, [build_mount("scripts", read_only=True), place], run.memory)],
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


def _claim(run: _Run) -> Manifest:
    """As large as the volumes of members that the dump may need, unless the service says otherwise."""
    own, source = run.order.service.backup, run.source
    size = (own.scratch if own else None) or f"{-(-run.dump.room * bytes_of(source.storage) // _MIB)}Mi"  # fmt: skip
    named = {"storageClassName": source.storage_class} if source.storage_class else {}
    request = {"requests": {"storage": canonical(size)}}
    return {"accessModes": ["ReadWriteOnce"], "resources": request, **named}

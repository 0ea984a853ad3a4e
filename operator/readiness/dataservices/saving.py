"""The Jobs of a data service's backups: three containers that dump, verify and save, and one that prunes.

Each container is given what it needs and no more: only the first the store's password, only the last the destination's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from readiness import naming
from readiness.backups.snapshots import DIRECTORY
from readiness.dataservices.destined import (
    asked_of,
    build_destination_mounts,
    build_destination_volumes,
    build_mount,
    build_secret_volume,
    build_store_args,
    build_wall,
)
from readiness.dataservices.order import Dump, Kind, Order
from readiness.dataservices.parts import (
    CONTAINER_SECURITY,
    build_config,
    canonical,
    pod_security,
)
from readiness.dataservices.restore import RESTORED, SCRIPTS
from readiness.model import Manifest
from readiness.quantities import bytes_of

USER: Final = 65532
DEADLINE: Final = 4 * 3600
KEPT: Final = 2 * 24 * 3600
"""How long a Job that has ended stays: its last word is copied long before."""
LATE: Final = 3600
RETENTION_HOUR: Final = 5
_RESERVED: Final = "256Mi"
_MIB: Final = 1 << 20
_JOB_NAME: Final = "metadata.labels['batch.kubernetes.io/job-name']"
_DISRUPTED: Final = {"type": "DisruptionTarget", "status": "True"}


def build_saving(kind: Kind, order: Order) -> tuple[Manifest, ...]:
    """Every child that backups of this service consist of; none where there are to be none."""
    if kind.dump is None or order.backups is None:
        return ()
    dump = kind.dump(order)
    scripts = {**dump.scripts, "drill.sh": SCRIPTS[kind.name]}
    store = [{"port": port, "protocol": "TCP"} for port in dump.ports]
    return (
        _account(order, naming.BACKUP),
        _account(order, naming.RETENTION),
        build_config(order.name(naming.BACKUP), scripts),
        build_wall(order, (naming.BACKUP,), store),
        build_wall(order, (naming.RESTORE_DRILL, naming.RETENTION, naming.LISTING), []),
        _cron_job(order, naming.BACKUP, order.backups.schedule, _saving_pod(kind, order, dump)),
        _cron_job(order, naming.RETENTION, f"0 {RETENTION_HOUR} * * *", _pruning_pod(order)),
        _cron_job(
            order,
            naming.RESTORE_DRILL,
            order.backups.restore_drill.schedule,
            _drilling_pod(kind, order, dump),
        ),
    )


def smeared(schedule: str, *key: str) -> str:
    """The schedule with its minute moved within its hour, by what follows from the key; a list of minutes stays."""
    minute, rest = schedule.split(" ", 1)
    if not minute.isdigit():
        return schedule
    moved = int(minute) + int(naming.digest(*key), 16) % (60 - int(minute))
    return f"{moved} {rest}"


def build_listing(order: Order) -> Manifest:
    """A Job that asks the repository what it holds: with the writer's identity, and out of the store's reach."""
    list_ = ("backup", "list", "--run=$(JOB_NAME)", *build_store_args(order))
    containers = [_ours("list", order, list_, build_destination_mounts(order))]
    pod = _pod(order, naming.BACKUP, {"containers": containers}, build_destination_volumes(order))
    return _job(order.labels(naming.LISTING), pod)


def _account(order: Order, part: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": order.name(part)},
        "automountServiceAccountToken": False,
    }  # fmt: skip


def _cron_job(order: Order, part: str, schedule: str, pod: Manifest) -> Manifest:
    """All stores of a policy start in the same minute: what they save in it belongs together."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": order.name(part)},
        "spec": {
            "schedule": smeared(schedule, order.namespace, order.policy),
            "timeZone": asked_of(order).time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": _job(order.labels(part), pod),
        },
    }


def _job(labels: Manifest, pod: Manifest) -> Manifest:
    return {
        "metadata": {"labels": labels},
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": DEADLINE,
            "ttlSecondsAfterFinished": KEPT,
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [_DISRUPTED]}]},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _pod(order: Order, account: str, containers: Manifest, volumes: Sequence[Manifest]) -> Manifest:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": order.name(account),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(USER),
        **containers,
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
    }


def _saving_pod(kind: Kind, order: Order, dump: Dump) -> Manifest:
    backup = build_mount("backup", DIRECTORY)
    shared = [build_mount("scripts", read_only=True), backup]
    given = [build_mount("passwords", read_only=True), *(build_mount(each["name"], read_only=True) for each in dump.volumes)]  # fmt: skip
    told = [{"name": key, "value": value} for key, value in dump.told.items()]
    runs = {"image": order.image, "env": told}
    save = ("backup", "run", f"--kind={kind.name}", "--run=$(JOB_NAME)", *build_store_args(order))
    return _pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [
                _container("dump", runs | {"command": [*dump.dump]}, [*shared, *given], dump.memory_to_dump),
                _container("verify", runs | {"command": [*dump.verify]}, shared, dump.memory),
            ],
            "containers": [_ours("save", order, save, [backup, *build_destination_mounts(order)])],
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
    return _pod(
        order,
        naming.BACKUP,
        {
            "initContainers": [_container("server", serve, [build_mount("scripts", read_only=True), place], dump.memory)],
            "containers": [_ours("drill", order, drill, [place, *build_destination_mounts(order)])],
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


def _pruning_pod(order: Order) -> Manifest:
    """With the identity that may delete, where there is one of its own."""
    backups = asked_of(order)
    own, kept = backups.prune_secret_ref, backups.retention
    wanted = (f"--daily={kept.daily}", f"--monthly={kept.monthly}", f"--keep-last={kept.keep_last}")
    prune = ("backup", "prune", "--run=$(JOB_NAME)", *wanted, *build_store_args(order))
    return _pod(
        order,
        naming.RETENTION,
        {"containers": [_ours("prune", order, prune, build_destination_mounts(order))]},
        build_destination_volumes(order, own.name if own else ""),
    )


def _ours(name: str, order: Order, args: Iterable[str], mounts: Sequence[Manifest]) -> Manifest:
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": _JOB_NAME}}
    runs = {"image": order.operator_image, "args": [*args], "env": [{"name": "JOB_NAME", "valueFrom": field}]}  # fmt: skip
    return _container(name, runs, mounts, "1Gi")


def _container(name: str, runs: Manifest, mounts: Sequence[Manifest], memory: str) -> Manifest:
    return {
        "name": name,
        "imagePullPolicy": "IfNotPresent",
        **runs,
        "resources": {
            "requests": {"cpu": "100m", "memory": min(memory, _RESERVED, key=bytes_of)},
            "limits": {"memory": memory},
        },
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "File",
        "volumeMounts": [build_mount("tmp"), *mounts],
    }


def _claim(kind: Kind, order: Order, dump: Dump) -> Manifest:
    """As large as the volumes of members that the dump may need, unless the service says otherwise."""
    asked, own = getattr(order.service, kind.name), order.service.backup
    size = (own.scratch if own else None) or f"{-(-dump.room * bytes_of(asked.storage) // _MIB)}Mi"
    named = {"storageClassName": asked.storage_class} if asked.storage_class else {}
    request = {"requests": {"storage": canonical(size)}}
    return {"accessModes": ["ReadWriteOnce"], "resources": request, **named}

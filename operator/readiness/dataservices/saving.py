"""The Jobs of a data service's backups: three containers that dump, verify and save, and one that prunes.

Each container is given what it needs and no more: only the first the store's password, only the last the destination's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from readiness import naming
from readiness.backups.destination import (
    CREDENTIALS_DIR,
    PASSWORD_DIR,
    PASSWORD_KEY,
    VOLUME,
    repository_of,
    secret_of,
)
from readiness.backups.snapshots import DIRECTORY
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

if TYPE_CHECKING:
    from readiness.api.backups import Backups, Destination

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
        _account(order),
        build_config(order.name(naming.BACKUP), scripts),
        _wall(order, (naming.BACKUP, naming.RETENTION), store),
        _wall(order, (naming.RESTORE_DRILL,), []),
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


def _account(order: Order) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": order.name(naming.BACKUP)},
        "automountServiceAccountToken": False,
    }  # fmt: skip


def _cron_job(order: Order, part: str, schedule: str, pod: Manifest) -> Manifest:
    """All stores of a policy start in the same minute: what they save in it belongs together."""
    labels = order.labels(part)
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": order.name(part)},
        "spec": {
            "schedule": smeared(schedule, order.namespace, order.policy),
            "timeZone": _backups(order).time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {
                "metadata": {"labels": labels},
                "spec": {
                    "backoffLimit": 2,
                    "activeDeadlineSeconds": DEADLINE,
                    "ttlSecondsAfterFinished": KEPT,
                    "podFailurePolicy": {
                        "rules": [{"action": "Ignore", "onPodConditions": [_DISRUPTED]}]
                    },
                    "template": template,
                },
            },
        },
    }


def _pod(order: Order, containers: Manifest, volumes: Sequence[Manifest]) -> Manifest:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": order.name(naming.BACKUP),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(USER),
        **containers,
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
    }


def _saving_pod(kind: Kind, order: Order, dump: Dump) -> Manifest:
    backup = _mount("backup", DIRECTORY)
    shared = [_mount("scripts", read_only=True), backup]
    given = [_mount("passwords", read_only=True), *(_mount(each["name"], read_only=True) for each in dump.volumes)]  # fmt: skip
    told = [{"name": key, "value": value} for key, value in dump.told.items()]
    runs = {"image": order.image, "env": told}
    save = ("backup", "run", f"--kind={kind.name}", "--run=$(JOB_NAME)", *_store(order))
    return _pod(
        order,
        {
            "initContainers": [
                _container("dump", runs | {"command": [*dump.dump]}, [*shared, *given], "256Mi"),
                _container("verify", runs | {"command": [*dump.verify]}, shared, dump.memory),
            ],
            "containers": [_ours("save", order, save, [backup, *_destination_mounts(order)])],
        },
        [
            _scripts(order),
            {"name": "backup", "ephemeral": {"volumeClaimTemplate": {"spec": _claim(kind, order, dump)}}},
            _secret("passwords", order.name(naming.CREDENTIALS), dump.user),
            *dump.volumes,
            *_destination_volumes(order, secret_of(_backups(order).destination)),
        ],
    )  # fmt: skip


def _drilling_pod(kind: Kind, order: Order, dump: Dump) -> Manifest:
    """The server stands beside ours on the pod's own loopback, serves when it is told to, and goes with the pod."""
    place = _mount("restore", RESTORED)
    serve = {"image": order.image, "command": ["sh", "/scripts/drill.sh", RESTORED, str(kind.port)], "restartPolicy": "Always"}  # fmt: skip
    drill = ("restore-drill", f"--kind={kind.name}", "--run=$(JOB_NAME)", f"--directory={RESTORED}", f"--port={kind.port}", *_store(order))  # fmt: skip
    claim = {"volumeClaimTemplate": {"spec": _claim(kind, order, dump)}}
    return _pod(
        order,
        {
            "initContainers": [_container("server", serve, [_mount("scripts", read_only=True), place], dump.memory)],
            "containers": [_ours("drill", order, drill, [place, *_destination_mounts(order)])],
        },
        [
            _scripts(order),
            {"name": "restore", "ephemeral": claim},
            *_destination_volumes(order, secret_of(_backups(order).destination)),
        ],
    )  # fmt: skip


def _scripts(order: Order) -> Manifest:
    found = {"name": order.name(naming.BACKUP), "defaultMode": 0o444}
    return {"name": "scripts", "configMap": found}


def _pruning_pod(order: Order) -> Manifest:
    """With the identity that may delete, where there is one of its own."""
    backups = _backups(order)
    own, kept = backups.prune_secret_ref, backups.retention
    wanted = (f"--daily={kept.daily}", f"--monthly={kept.monthly}", f"--keep-last={kept.keep_last}")
    prune = ("backup", "prune", "--run=$(JOB_NAME)", *wanted, *_store(order))
    return _pod(
        order,
        {"containers": [_ours("prune", order, prune, _destination_mounts(order))]},
        _destination_volumes(order, own.name if own else secret_of(backups.destination)),
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
        "volumeMounts": [_mount("tmp"), *mounts],
    }


def _store(order: Order) -> tuple[str, ...]:
    store = (order.namespace, order.policy, order.service.name)
    repository = repository_of(_backups(order).destination, *store)
    names = zip(("namespace", "policy", "service"), store, strict=True)
    region = (f"--region={repository.region}",) if repository.region else ()
    return (*(f"--{key}={value}" for key, value in names), f"--repository={repository.url}", *region)  # fmt: skip


def _destination_volumes(order: Order, secret: str) -> list[Manifest]:
    backups = _backups(order)
    volume = backups.destination.volume
    password = backups.password_secret_ref.name if backups.password_secret_ref else ""
    found = [_secret("password", password, PASSWORD_KEY)]
    if volume is not None:
        return [*found, {"name": "repository", "persistentVolumeClaim": {"claimName": volume.claim_name}}]  # fmt: skip
    return [*found, {"name": "destination", "secret": {"secretName": secret, "defaultMode": 0o440}}]


def _destination_mounts(order: Order) -> list[Manifest]:
    found = [_mount("password", PASSWORD_DIR, read_only=True)]
    if _backups(order).destination.volume is not None:
        return [*found, _mount("repository", VOLUME)]
    return [*found, _mount("destination", CREDENTIALS_DIR, read_only=True)]


def _claim(kind: Kind, order: Order, dump: Dump) -> Manifest:
    """As large as the volumes of members that the dump may need, unless the service says otherwise."""
    asked, own = getattr(order.service, kind.name), order.service.backup
    size = (own.scratch if own else None) or f"{-(-dump.room * bytes_of(asked.storage) // _MIB)}Mi"
    named = {"storageClassName": asked.storage_class} if asked.storage_class else {}
    request = {"requests": {"storage": canonical(size)}}
    return {"accessModes": ["ReadWriteOnce"], "resources": request, **named}


def _wall(order: Order, of: Sequence[str], ports: Sequence[Manifest]) -> Manifest:
    """Nobody reaches these pods; they reach names, the destination, and the store where it has ports for them."""
    parts = {"key": naming.PART_LABEL, "operator": "In", "values": [*of]}
    selector = naming.store_labels(order.policy, order.service.name)
    own = {key: selector[key] for key in (naming.POLICY_LABEL, naming.SERVICE_LABEL)}
    names = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    store = [{"to": [{"podSelector": {"matchLabels": own}}], "ports": [*ports]}] if ports else []
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": order.name(of[0])},
        "spec": {
            "podSelector": {"matchLabels": own, "matchExpressions": [parts]},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [names, *store, *_way_out(_backups(order).destination)],
        },
    }


def _way_out(destination: Destination) -> list[Manifest]:
    """To the port of the destination; behind a Service of this cluster its pods may listen at any."""
    if destination.volume is not None:
        return []
    address = urlsplit(destination.s3.endpoint if destination.s3 else "https:")
    host = address.hostname or "."
    if "." not in host or host.endswith((".svc", ".cluster.local")):
        return [{"to": [{"namespaceSelector": {}}]}]
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    return [{"ports": [{"port": port, "protocol": "TCP"}]}]


def _mount(name: str, path: str = "", *, read_only: bool = False) -> Manifest:
    found: Manifest = {"name": name, "mountPath": path or f"/{name}"}
    return found | ({"readOnly": True} if read_only else {})


def _secret(volume: str, name: str, key: str) -> Manifest:
    items = [{"key": key, "path": key}]
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440, "items": items}}


def _backups(order: Order) -> Backups:
    if order.backups is None:
        raise ValueError("no backups are asked for")
    return order.backups

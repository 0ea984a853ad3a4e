"""The Jobs that every store's backups have, whatever it is: how they start and end, what their pods may, retention, listing.

Pure; it knows no kind of store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from readiness import naming
from readiness.dataservices.destined import (
    asked_of,
    build_destination_mounts,
    build_destination_volumes,
    build_mount,
    build_store_args,
)
from readiness.dataservices.order import Order
from readiness.dataservices.parts import CONTAINER_SECURITY, pod_security
from readiness.model import Manifest
from readiness.quantities import bytes_of

USER: Final = 65532
DEADLINE: Final = 4 * 3600
KEPT: Final = 2 * 24 * 3600
"""How long a Job that has ended stays: its last word is copied long before."""
LATE: Final = 3600
RETENTION_HOUR: Final = 5
_RESERVED: Final = "256Mi"
_JOB_NAME: Final = "metadata.labels['batch.kubernetes.io/job-name']"
_DISRUPTED: Final = {"type": "DisruptionTarget", "status": "True"}


def smeared(schedule: str, *key: str) -> str:
    """The schedule with its minute moved within its hour, by what follows from the key; a list of minutes stays."""
    minute, rest = schedule.split(" ", 1)
    if not minute.isdigit():
        return schedule
    moved = int(minute) + int(naming.digest(*key), 16) % (60 - int(minute))
    return f"{moved} {rest}"


def build_account(order: Order, part: str) -> Manifest:
    """Who its pods are, without a token."""
    return {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": order.name(part)},
        "automountServiceAccountToken": False,
    }  # fmt: skip


def build_cron_job(order: Order, part: str, schedule: str, pod: Manifest) -> Manifest:
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


def build_retention(order: Order) -> Manifest:
    """The CronJob that deletes, with the identity that may delete, where there is one of its own."""
    backups = asked_of(order)
    own, kept = backups.prune_secret_ref, backups.retention
    wanted = (f"--daily={kept.daily}", f"--monthly={kept.monthly}", f"--keep-last={kept.keep_last}")
    prune = ("backup", "prune", "--run=$(JOB_NAME)", *wanted, *build_store_args(order))
    pod = build_pod(
        order,
        naming.RETENTION,
        {"containers": [build_ours("prune", order, prune, build_destination_mounts(order))]},
        build_destination_volumes(order, own.name if own else ""),
    )
    return build_cron_job(order, naming.RETENTION, f"0 {RETENTION_HOUR} * * *", pod)


def build_listing(order: Order) -> Manifest:
    """A Job that asks the repository what it holds: with the writer's identity, and out of the store's reach."""
    list_ = ("backup", "list", "--run=$(JOB_NAME)", *build_store_args(order))
    containers = [build_ours("list", order, list_, build_destination_mounts(order))]
    pod = build_pod(
        order, naming.BACKUP, {"containers": containers}, build_destination_volumes(order)
    )
    return _job(order.labels(naming.LISTING), pod)


def build_pod(
    order: Order, account: str, containers: Manifest, volumes: Sequence[Manifest]
) -> Manifest:
    """A pod that runs once, without a token."""
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


def build_ours(
    name: str, order: Order, args: Iterable[str], mounts: Sequence[Manifest]
) -> Manifest:
    """A container of the operator's image, told which Job it is."""
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": _JOB_NAME}}
    runs = {"image": order.operator_image, "args": [*args], "env": [{"name": "JOB_NAME", "valueFrom": field}]}  # fmt: skip
    return build_container(name, runs, mounts, "1Gi")


def build_container(name: str, runs: Manifest, mounts: Sequence[Manifest], memory: str) -> Manifest:
    """A container with no rights and bounded memory."""
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

"""Every name, label, annotation and field manager that we write, computed in one place.

Pure text. A name that could collide carries a short hash of the whole key it stands for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

GROUP: Final = "readiness.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGER: Final = "readiness-operator"
STATUS_MANAGER: Final = "readiness-operator-status"
STORE_MANAGER: Final = "readiness-operator-stores"
COMPONENT: Final = "readiness-operator"

RUN_AT: Final = f"{GROUP}/run-at"
DENY: Final = f"{GROUP}/deny"
PROBE_SECRET: Final = f"{GROUP}/probe"
POLICY_LABEL: Final = f"{GROUP}/policy"
TARGET_LABEL: Final = f"{GROUP}/target"
CONFIRM_REMOVAL: Final = f"{GROUP}/confirm-removal"
ROTATE: Final = f"{GROUP}/rotate"
"""Annotation of a policy: `<service>[/<user>][@<mark>]`, several separated by commas. Each spelling counts once."""
DRILL: Final = f"{GROUP}/drill"
DRILL_ARM: Final = f"{GROUP}/arm"
DRILL_RUNNER: Final = f"{GROUP}/drill-runner"
DRILL_STORE: Final = f"{GROUP}/store"
SERVICE_LABEL: Final = f"{GROUP}/data-service"
KIND_LABEL: Final = "app.kubernetes.io/name"
PART_LABEL: Final = "app.kubernetes.io/component"
SKIP_STOP: Final = f"{GROUP}/skip-stop"
"""Annotation of a pod whose stop need not wait for its data service."""
CREATE_ONLY: Final = f"{GROUP}/create-only"
"""Annotation (`"true"`) of a child that is created once and never applied again, as credentials are."""
DESIRED_HASH: Final = f"{GROUP}/desired-hash"
CREDENTIALS: Final = "credentials"
"""Part of the Secret that holds what was generated once for a data service."""
BACKUP: Final = "backup"
"""Part of everything that backups of a data service consist of, but for the CronJob of retention."""
RETENTION: Final = "retention"
RESTORE_DRILL: Final = "restore-drill"
RESTORE: Final = "restore"
"""Part of the Job that fills an instance which a restore has made."""
RESTORED_FROM: Final = f"{GROUP}/restored-from"
"""Label of a policy that a restore has made: the policy whose data service is in it."""
LISTING: Final = "listing"
"""Part of a Job that asks a repository what it holds."""
RUNBOOK: Final = "runbook"
"""Part of the ConfigMap in which the way back of a data service is written down."""
FORMED: Final = "formed"
"""Part of the ConfigMap that exists since every member of a data service has been Ready once."""

OURS: Final[Mapping[str, str]] = {
    "app.kubernetes.io/managed-by": MANAGER,
    "app.kubernetes.io/part-of": "readiness",
}
"""Labels of everything we create."""

UNMESHED_LABELS: Final[Mapping[str, str]] = {
    "sidecar.istio.io/inject": "false",
    "istio.io/dataplane-mode": "none",
    "kuma.io/sidecar-injection": "disabled",
}
UNMESHED_ANNOTATIONS: Final[Mapping[str, str]] = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "kuma.io/sidecar-injection": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
}
"""Keep service meshes out of a pod: one of them reads labels, another annotations."""

NAME_LIMIT: Final = 63
STORE_LIMIT: Final = 52
"""A StatefulSet's name and a hash of 10 stand together in a label of its pods."""
HASH_LENGTH: Final = 8
_UNFIT: Final = re.compile(r"[^a-z0-9]+")


def digest(*parts: str) -> str:
    """A short stable hash of a key; NUL-joined, so that no two keys run together."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:HASH_LENGTH]


def child(policy: str, *parts: str) -> str:
    """`<policy>-<part>…-<hash>` as an RFC 1123 label: the hash keeps truncated names apart."""
    stem = "-".join((policy, *(p for p in parts if p))).replace(".", "-")
    return f"{stem[: NAME_LIMIT - HASH_LENGTH - 1].rstrip('-')}-{digest(policy, *parts)}"


def drill(run: str, *parts: str, number: int | None = None) -> str:
    """The name of something of a drill, of parts in any spelling.

    A number comes last, where applications of a StatefulSet look for theirs.
    """
    words = "-".join(_UNFIT.sub("-", part.lower()).strip("-") for part in ("drill", run, *parts))
    tail = digest(run, *parts) + ("" if number is None else f"-{number}")
    return f"{words[: NAME_LIMIT - len(tail) - 1].rstrip('-')}-{tail}"


def store(policy: str, service: str, part: str = "") -> str:
    """`<policy>-<service>-<hash>[-<part>]`: what is created for a data service.

    The part comes after the hash: parts are ours and short, and are never cut.
    """
    tail = "-".join(filter(None, (digest(policy, service), part)))
    stem = f"{policy}-{service}".replace(".", "-")[: STORE_LIMIT - len(tail) - 1]
    return f"{stem.rstrip('-')}-{tail}"


def restored(policy: str, service: str) -> str:
    """The policy of the instance that a restore makes beside the live one."""
    return child(policy, service, "restored")


def restored_labels(policy: str, service: str) -> dict[str, str]:
    """What it carries: that it is a copy, and of what."""
    return {RESTORED_FROM: label_value(policy), SERVICE_LABEL: label_value(service)}


def report(policy: str, target: str) -> str:
    """The name of the report of one target."""
    return child(policy, target)


def run_at(annotations: Mapping[str, str] | None) -> str:
    """The run that the annotation asks for, bounded as the status that answers it is."""
    return str((annotations or {}).get(RUN_AT, ""))[:64]


def owner(name: str, uid: str) -> dict[str, Any]:
    """The ownerReference of what belongs to a policy. It blocks no deletion: a dead operator must not."""
    return {
        "apiVersion": API_VERSION, "kind": "ReadinessPolicy", "name": name, "uid": uid,
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip


def label_value(text: str) -> str:
    """`text` as a label value: itself when it fits, else cut and hashed."""
    return (
        text
        if len(text) <= NAME_LIMIT
        else f"{text[: NAME_LIMIT - HASH_LENGTH - 1]}-{digest(text)}"
    )


def labels(policy: str, target: str = "") -> dict[str, str]:
    """The labels of everything we create for a policy. The owner's own labels are never copied."""
    found = {**OURS, POLICY_LABEL: label_value(policy)}
    return found | ({TARGET_LABEL: label_value(target)} if target else {})


def store_labels(policy: str, service: str, part: str = "") -> dict[str, str]:
    """The labels of everything created for a data service; with a part, of its pods."""
    found = {**labels(policy), SERVICE_LABEL: label_value(service)}
    return found | ({PART_LABEL: part} if part else {})


def store_selector(policy: str, service: str, part: str = "") -> dict[str, str]:
    """What selects the pods of one part, or of all, for Services, StatefulSets, budgets and network policies."""
    found = store_labels(policy, service, part)
    return {key: found[key] for key in (POLICY_LABEL, SERVICE_LABEL, PART_LABEL) if key in found}

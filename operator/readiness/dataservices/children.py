"""The children of one data service, whole: what its kind builds, with what all children share.

The one place that adds labels, ownership and the hash of what is desired, and that makes up
credentials. Pure: randomness is a token, from which equal tokens make equal values.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from readiness import naming
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Credential, Order
from readiness.dataservices.parts import build_secret
from readiness.dataservices.recovery import build_recovery
from readiness.dataservices.saving import build_saving
from readiness.model import Manifest

KINDS: Final = (
    "ServiceAccount", "ConfigMap", "Service", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet", "Deployment",
    "CronJob", "ServiceMonitor", "PrometheusRule",
)  # fmt: skip
"""Kinds of children that are watched, in the order in which they are deleted from behind."""
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def credentials_of(kind: Kind, order: Order, token: str) -> dict[str, str]:
    """Every credential of a service: what is known already, the rest made from the token."""
    where = (order.namespace, order.policy, order.service.name)
    made = {c.key: _generated(c, token, *where) for c in kind.credentials}
    return {**made, **order.credentials}


def generated_of(kind: Kind, order: Order, key: str, token: str) -> str:
    """A new value, of the shape that the credential has whose key this one begins with."""
    credential = max(
        (c for c in kind.credentials if key.startswith(c.key)), key=lambda c: len(c.key)
    )
    return _generated(replace(credential, key=key), token, order.namespace, order.policy, order.service.name)  # fmt: skip


def desired_of(kind: Kind, order: Order, owner: Manifest | None) -> tuple[Manifest, ...]:
    """The credentials Secret, then every child; `owner` is a reference where deletion takes them along."""
    found = (
        _credentials(order),
        *kind.build(order),
        *build_saving(kind, order, kind.source(order) if kind.source else None),
        *build_recovery(kind, order),
    )
    return tuple(completed(child, kind.name, order, owner) for child in found)


def hash_of(child: Manifest) -> str:
    """The hash that an applied child carries, or nothing."""
    return str((child["metadata"].get("annotations") or {}).get(naming.DESIRED_HASH, ""))


def is_create_only(child: Manifest) -> bool:
    """Whether a child is never applied again once it is there."""
    return naming.CREATE_ONLY in (child["metadata"].get("annotations") or {})


def reowned(child: Manifest, there: Manifest) -> Manifest | None:
    """An object that is never applied, when the policy's hold on it has changed: this very object, and its owners only."""
    wanted = child["metadata"].get("ownerReferences") or []
    found = there["metadata"].get("ownerReferences") or []
    ours = [each for each in found if each.get("apiVersion") == naming.API_VERSION]
    if {each["uid"] for each in ours} == {each["uid"] for each in wanted}:
        return None
    kept = ("name", "namespace", "uid", "resourceVersion")
    meta = {key: there["metadata"][key] for key in kept}
    meta["ownerReferences"] = [*(each for each in found if each not in ours), *wanted]
    return {"apiVersion": child["apiVersion"], "kind": child["kind"], "metadata": meta}


def belongs_to(child: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether an object carries our label and this key: only then is it ours to change."""
    return labels.items() <= (child["metadata"].get("labels") or {}).items()


def _credentials(order: Order) -> Manifest:
    made = build_secret(order.name(naming.CREDENTIALS), order.credentials)
    made["metadata"]["annotations"] = {naming.CREATE_ONLY: "true"}
    return made


def completed(built: Manifest, kind: str, order: Order, owner: Manifest | None) -> Manifest:
    """A child with what all share: whose it is, its owner, and the hash of what is desired."""
    child = copy.deepcopy(built)
    labels = naming.store_labels(order.policy, order.service.name)
    meta = child["metadata"]
    meta["namespace"] = order.namespace
    meta["labels"] = {**(meta.get("labels") or {}), **labels, naming.KIND_LABEL: kind}
    if owner is not None:
        meta["ownerReferences"] = [owner]
    for claim in _claims(child):
        claim["metadata"]["labels"] = {**(claim["metadata"].get("labels") or {}), **labels}
    if owner is not None and child["kind"] == "StatefulSet":
        retention = child["spec"].setdefault("persistentVolumeClaimRetentionPolicy", {})
        retention["whenDeleted"] = "Delete"
    if not is_create_only(child):
        meta["annotations"] = {
            **(meta.get("annotations") or {}),
            naming.DESIRED_HASH: _digest(child),
        }
    return child


def _claims(child: Manifest) -> Iterator[Manifest]:
    if child["kind"] == "StatefulSet":
        yield from child["spec"].get("volumeClaimTemplates") or ()


def _digest(child: Any) -> str:
    text = json.dumps(child, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _generated(credential: Credential, token: str, *where: str) -> str:
    """HMAC in counter mode, of characters that need no quoting anywhere; without bias."""
    text, block = "", 0
    while len(text) < credential.length:
        key = "\0".join((*where, credential.key, str(block))).encode()
        drawn = hmac.new(token.encode(), key, hashlib.sha512).digest()
        if credential.alphabet == "base64":
            text += base64.b64encode(drawn[:63]).decode()
        else:
            text += "".join(_LETTERS[byte % 62] for byte in drawn if byte < 248)
        block += 1
    return text[: credential.length]

"""Where the pods of a drill come to life, and what everything that the drill creates has in common.

All of it is owned by the drill's own pod, as its controller: nothing else adopts it, and garbage
collection takes it when the drill is gone. No namespace is named: objects are created in the one
the drill runs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from readiness.model import Manifest
from readiness.naming import DRILL, OURS, UNMESHED_ANNOTATIONS, UNMESHED_LABELS

NOBODY: Final = 65532
POD_SECURITY: Final[Manifest] = {
    "runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip
CONTAINER_SECURITY: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Of pods that are ours alone: what the restricted Pod Security Standard asks, and a read-only root."""


@dataclass(frozen=True, slots=True)
class Place:
    """What only the running drill knows. `owner` and `uid` are those of its own pod.

    `index` tells its clones apart, `deadline` is in seconds, `stores` holds addresses of throw-away
    stores by store name, `sinks` the `address:port` of what plays an upstream, by its name. `avoid` are nodes on which a
    clone had better not run. `configs` holds the data of ConfigMaps that the template uses, so that
    addresses in them are seen. `priority_class` names a PriorityClass that preempts nobody. `image` is the
    operator's own; without one, a clone does not wait for its isolation.
    """

    run: str
    owner: str
    uid: str
    index: int = 0
    deadline: float = 600.0
    labels: tuple[tuple[str, str], ...] = ()
    stores: Mapping[str, str] = field(default_factory=dict)
    sinks: Mapping[str, str] = field(default_factory=dict)
    avoid: tuple[str, ...] = ()
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    priority_class: str = ""
    image: str = ""


def build_metadata(place: Place, name: str, labels: Mapping[str, str]) -> Manifest:
    """Name, labels and owner of something that the drill creates."""
    owner = {
        "apiVersion": "v1", "kind": "Pod", "name": place.owner, "uid": place.uid,
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip
    found = {**OURS, **dict(place.labels), DRILL: place.run, **labels}
    return {"name": name, "labels": found, "ownerReferences": [owner]}


def unmeshed(metadata: Manifest) -> Manifest:
    """The metadata of a pod, with every service mesh kept out of it."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return {
        **metadata,
        "labels": {**labels, **UNMESHED_LABELS},
        "annotations": {**annotations, **UNMESHED_ANNOTATIONS},
    }


def priority_of(place: Place) -> Manifest:
    """The fields of a pod's spec that keep it from preempting others.

    Admission accepts `preemptionPolicy: Never` only from a PriorityClass that says so; without one,
    the pod has the priority that pods have by default.
    """
    if not place.priority_class:
        return {}
    return {"priorityClassName": place.priority_class, "preemptionPolicy": "Never"}

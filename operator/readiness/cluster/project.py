"""Which kinds are read, and which of their fields: everything else is dropped at the edge.

A shape is a dict of the fields to keep, `[shape]` for a list of such, or KEEP for a whole subtree.
Pure. A test judges raw and projected objects and expects equal verdicts; a control that reads a
new field adds it here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from readiness import leaks
from readiness.dataservices.children import KINDS as CHILDREN
from readiness.grants import secret_rules
from readiness.model import Manifest
from readiness.naming import SERVICE_LABEL
from readiness.workload import PRESSURES

KEEP: Final = None
WHOLE: Final = "whole"
"""Where a projected child of a data service keeps itself whole."""
INTERNED: Final = 32
SHOWN: Final = 256  # characters of a ConfigMap's value, as on the command line

POOLED: Final = 2000  # what is alike comes again soon; what is not would only fill the pool
_POOL: Final[dict[Any, Any]] = {}
_OWN_KEYS: Final = frozenset({"image", "uid", "imageID", "containers", "podIP", "ip", "time"})
"""A part with one of these belongs to one object; pooling it would only cost."""

_OWNER: Final = [{"kind": KEEP, "name": KEEP, "uid": KEEP, "controller": KEEP}]
_NAMES: Final = {"name": KEEP, "namespace": KEEP}
_META: Final = _NAMES | {"labels": KEEP, "uid": KEEP, "creationTimestamp": KEEP}
_WORKLOAD: Final[Any] = {
    "metadata": _META
    | {"generation": KEEP, "annotations": KEEP, "deletionTimestamp": KEEP, "ownerReferences": _OWNER},
    "spec": KEEP,
    "status": {
        "observedGeneration": KEEP,
        "replicas": KEEP,
        "readyReplicas": KEEP,
        "updatedReplicas": KEEP,
        "availableReplicas": KEEP,
        "desiredNumberScheduled": KEEP,
        "updatedNumberScheduled": KEEP,
        "numberReady": KEEP,
        "numberAvailable": KEEP,
        "conditions": [{"type": KEEP, "reason": KEEP}],
    },
}  # fmt: skip
_CONTAINER: Final = {
    "name": KEEP,
    "image": KEEP,
    "ports": KEEP,
    "resources": KEEP,
    "restartPolicy": KEEP,
}
_STATE: Final = [
    {
        "name": KEEP,
        "ready": KEEP,
        "restartCount": KEEP,
        "image": KEEP,
        "imageID": KEEP,
        "started": KEEP,
        "state": KEEP,
        "lastState": KEEP,
    }
]
_POD: Final = {
    "metadata": _META
    | {"deletionTimestamp": KEEP, "deletionGracePeriodSeconds": KEEP, "ownerReferences": _OWNER},
    "spec": {
        "nodeName": KEEP,
        "hostNetwork": KEEP,
        "serviceAccountName": KEEP,
        "automountServiceAccountToken": KEEP,
        "terminationGracePeriodSeconds": KEEP,
        "resources": KEEP,
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
    },
    "status": {
        "phase": KEEP,
        "reason": KEEP,
        "podIP": KEEP,
        "podIPs": KEEP,
        "hostIP": KEEP,
        "qosClass": KEEP,
        "startTime": KEEP,
        "conditions": [{"type": KEEP, "status": KEEP, "reason": KEEP, "lastTransitionTime": KEEP}],
        "containerStatuses": _STATE,
        "initContainerStatuses": _STATE,
    },
}
_ENDPOINT: Final = {
    "addresses": KEEP, "conditions": KEEP, "targetRef": KEEP, "nodeName": KEEP, "zone": KEEP,
}  # fmt: skip
_BUDGET_STATUS: Final = {
    "disruptionsAllowed": KEEP, "currentHealthy": KEEP, "desiredHealthy": KEEP,
    "expectedPods": KEEP, "observedGeneration": KEEP,
    "conditions": [{"type": KEEP, "status": KEEP, "reason": KEEP}],
}  # fmt: skip
_NODE: Final = {
    "metadata": _NAMES | {"labels": KEEP},
    "spec": {"unschedulable": KEEP, "taints": [{"key": KEEP, "effect": KEEP}]},
    "status": {
        "nodeInfo": {"architecture": KEEP},
        "addresses": KEEP,
        "conditions": [{"type": KEEP, "status": KEEP}],
    },
}

_CLASS: Final = {
    "metadata": _NAMES | {"annotations": {"storageclass.kubernetes.io/is-default-class": KEEP}},
    "provisioner": KEEP,
    "parameters": KEEP,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that is read: where the API serves it, and what is kept of an object."""

    name: str
    plural: str
    api: str
    shape: Any
    namespaced: bool = True
    optional: bool = False
    reduce: Callable[[Manifest, Manifest], Manifest | None] | None = None
    """From what the shape kept and the whole object to what is stored."""

    def path(self, namespace: str = "") -> str:
        """Where its objects are listed; in the whole cluster without a namespace."""
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        inside = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{inside}/{self.plural}"

    def project(self, found: Manifest) -> Manifest | None:
        """What is kept of an object; None when nothing of it matters."""
        kept = pick(self.shape, found)
        kept["apiVersion"], kept["kind"] = self.api, self.name
        if self.name in CHILDREN and SERVICE_LABEL in (found["metadata"].get("labels") or {}):
            kept[WHOLE] = _whole(found) | {"apiVersion": self.api, "kind": self.name}
        return self.reduce(kept, found) if self.reduce else kept


def _whole(child: Manifest) -> Manifest:
    """A child of ours, of which every field is compared with what is desired."""
    meta = {key: value for key, value in child["metadata"].items() if key != "managedFields"}
    found: Manifest = compact(child | {"metadata": meta})
    return found


def pick(shape: Any, value: Any) -> Any:
    """The part of `value` that `shape` names, with shared strings stored once."""
    if shape is KEEP:
        return compact(value)
    if isinstance(shape, list):
        return [pick(shape[0], item) for item in value]
    return {
        key: pick(inner, value[key])
        for key, inner in shape.items()
        if value.get(key) is not None  # absent and null are the same in Kubernetes
    }


def compact(value: Any) -> Any:
    """The same value, with strings and parts that many objects share stored once.

    Probes, resources and security contexts are alike in most workloads. Kept objects are never
    changed, so that sharing them is safe.
    """
    if isinstance(value, str):
        return sys.intern(value) if len(value) <= INTERNED else value
    if isinstance(value, dict):
        found = {sys.intern(key): compact(item) for key, item in value.items()}
        return found if _OWN_KEYS & found.keys() else _shared(found, tuple(found.items()))
    if isinstance(value, list):
        items = [compact(item) for item in value]
        return _shared(items, tuple(enumerate(items)))
    return value


def _shared(value: Any, items: tuple[tuple[Any, Any], ...]) -> Any:
    """The first value that had these items; nested ones are the same when they are the same object."""
    key = tuple((k, type(v), id(v) if isinstance(v, dict | list) else v) for k, v in items)
    if len(_POOL) >= POOLED:
        _POOL.clear()  # what is in use stays where it is used; identities start anew
    return _POOL.setdefault((type(value), key), value)


def _secret_rules(kept: Manifest, role: Manifest) -> Manifest | None:
    """A role reduced to its rules that let somebody read Secrets; None when it has none."""
    rules = secret_rules(role)
    return {**kept, "rules": rules} if rules else None


def _leaking(kept: Manifest, config_map: Manifest) -> Manifest:
    """A ConfigMap reduced to what looks like a secret in it, and to the start of its values."""
    values = {key: str(text)[:SHOWN] for key, text in (config_map.get("data") or {}).items()}
    return {**kept, "leaks": leaks.scan_config_map(config_map), "data": values}


def _ours(kept: Manifest, _whole: Manifest) -> Manifest | None:
    """Only children of data services: nobody reads other people's."""
    return kept if WHOLE in kept else None


def _steady(kept: Manifest, _whole: Manifest) -> Manifest:
    """A node or pod without conditions other than Ready, and pressure where there is any: nobody reads the others, and a node's move."""
    status = kept.get("status") or {}
    read = [
        c
        for c in status.get("conditions") or ()
        if c.get("type") == "Ready" or (c.get("type") in PRESSURES and c.get("status") == "True")
    ]
    return {**kept, "status": {**status, "conditions": read}}


_ROLE: Final = {"metadata": _NAMES}
_BINDING: Final = {"metadata": _NAMES, "roleRef": KEEP, "subjects": KEEP}
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_SPEC: Final = {"metadata": _META, "spec": KEEP}

WORKLOADS: Final = (
    Kind("Deployment", "deployments", "apps/v1", _WORKLOAD),
    Kind("StatefulSet", "statefulsets", "apps/v1", _WORKLOAD),
    Kind("DaemonSet", "daemonsets", "apps/v1", _WORKLOAD),
    Kind("Rollout", "rollouts", "argoproj.io/v1alpha1", _WORKLOAD, optional=True),
)
KINDS: Final = (
    *WORKLOADS,
    Kind("Pod", "pods", "v1", _POD, reduce=_steady),
    Kind("Service", "services", "v1", _SPEC),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io/v1",
         {"metadata": _META, "addressType": KEEP, "endpoints": [_ENDPOINT], "ports": KEEP}),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy/v1",
         {"metadata": _META | {"generation": KEEP}, "spec": KEEP, "status": _BUDGET_STATUS}),
    Kind("CronJob", "cronjobs", "batch/v1", {"metadata": _NAMES}, reduce=_ours),
    Kind("ServiceMonitor", "servicemonitors", "monitoring.coreos.com/v1", {"metadata": _NAMES}, optional=True, reduce=_ours),
    Kind("PrometheusRule", "prometheusrules", "monitoring.coreos.com/v1", {"metadata": _NAMES}, optional=True, reduce=_ours),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io/v1", {"metadata": _NAMES, "spec": KEEP}),
    Kind("ServiceAccount", "serviceaccounts", "v1", {"metadata": _NAMES, "automountServiceAccountToken": KEEP}),
    Kind("ConfigMap", "configmaps", "v1", {"metadata": _NAMES}, reduce=_leaking),
    Kind("Role", "roles", _RBAC, _ROLE, reduce=_secret_rules),
    Kind("RoleBinding", "rolebindings", _RBAC, _BINDING),
    Kind("ClusterRole", "clusterroles", _RBAC, _ROLE, namespaced=False, reduce=_secret_rules),
    Kind("ClusterRoleBinding", "clusterrolebindings", _RBAC, _BINDING, namespaced=False),
    Kind("Node", "nodes", "v1", _NODE, namespaced=False, reduce=_steady),
    Kind("StorageClass", "storageclasses", "storage.k8s.io/v1", _CLASS, namespaced=False),
    Kind("Namespace", "namespaces", "v1", {"metadata": _NAMES | {"labels": KEEP, "deletionTimestamp": KEEP}}, namespaced=False),
)  # fmt: skip


def projected(found: Manifest) -> Manifest:
    """What a watch keeps of a whole object, so that both hash alike. Raises StopIteration for a kind that is not read."""
    kind = next(kind for kind in KINDS if kind.name == found["kind"])
    return kind.project(found) or {}

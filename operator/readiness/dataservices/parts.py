"""Objects that every kind of data service has: Services, budgets, walls, one shape of StatefulSet.

Pure. It knows no kind: what only one of them needs stands in that kind's own package.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from readiness import naming
from readiness.dataservices.order import Order
from readiness.model import Manifest

CONTAINER_SECURITY: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
CONFIG_HASH: Final = "readiness.dev/config-hash"
_UNITS: Final = ("Mi", "Gi", "Ti", "Pi", "Ei")


@dataclass(frozen=True, slots=True)
class Part:
    """The pods of one StatefulSet: their label, their names, and the headless Service that names them."""

    order: Order
    label: str
    name: str
    headless: str
    replicas: int
    ports: Mapping[str, int]

    @property
    def selector(self) -> dict[str, str]:
        """What selects the pods."""
        return self.order.selector(self.label)

    @property
    def domain(self) -> str:
        """What comes after a pod's name in its full name."""
        return self.order.host(self.headless)

    @property
    def openings(self) -> list[Manifest]:
        """Its ports, as a NetworkPolicy has them."""
        return [*map(opening, self.ports.values())]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The full name of every pod."""
        return tuple(f"{self.name}-{number}.{self.domain}" for number in range(self.replicas))


def pod_security(user: int) -> Manifest:
    """What the restricted Pod Security Standard asks, under a fixed user who owns the volumes."""
    return {
        "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def canonical(quantity: str) -> str:
    """The spelling that the API server gives back: 1024Mi is 1Gi, 2000m is 2."""
    if not quantity.endswith(_UNITS):
        whole, rest = divmod(int(quantity.removesuffix("m")), 1000)
        return str(whole) if quantity.endswith("m") and not rest else quantity
    number, unit = int(quantity[:-2]), _UNITS.index(quantity[-2:])
    while number % 1024 == 0:
        number, unit = number // 1024, unit + 1
    return f"{number}{_UNITS[unit]}"


def build_secret(name: str, contents: Mapping[str, str], kind: str = "Opaque") -> Manifest:
    """A Secret, spelled as the API server stores it."""
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in contents.items()}
    meta = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind, "data": encoded}


def build_config(name: str, contents: Mapping[str, str]) -> Manifest:
    """A ConfigMap."""
    meta = {"name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(contents)}


def build_formed(order: Order) -> Manifest:
    """The mark that exists once the service has formed: from then on no empty member may begin a new one."""
    mark = build_config(order.name(naming.FORMED), {"since": "every member has been Ready once"})
    mark["metadata"]["annotations"] = {naming.CREATE_ONLY: "true"}
    return mark


def build_account(order: Order) -> Manifest:
    """The identity of the pods, which may nothing and carries no token."""
    meta = {"name": order.name()}
    return {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta,
        "automountServiceAccountToken": False,
    }  # fmt: skip


def build_service(part: Part, name: str) -> Manifest:
    """A Service with an address in front of the pods that are ready."""
    ports = [
        {"name": key, "port": number, "targetPort": key, "protocol": "TCP"}
        for key, number in part.ports.items()
    ]
    spec = {"type": "ClusterIP", "selector": part.selector, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def build_headless(part: Part) -> Manifest:
    """A Service that names every pod, also one that is not ready: members find each other by it."""
    made = build_service(part, part.headless)
    made["spec"] |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    return made


def build_budget(part: Part) -> Manifest:
    """One pod of a part at a time may be taken away on purpose."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": part.name},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": part.selector}},
    }


def opening(port: int) -> Manifest:
    """A port, as a NetworkPolicy has it."""
    return {"port": port, "protocol": "TCP"}


def build_wall(part: Part) -> Manifest:
    """Only pods of this namespace, and the operator's, reach a part, and only at its ports."""
    operator = {"kubernetes.io/metadata.name": part.order.operator_namespace}
    let_in = {
        "from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": operator}}],
        "ports": part.openings,
    }
    return build_ways(part.name, {"matchLabels": part.selector}, [let_in])


def build_ways(
    name: str, pods: Manifest, to: Sequence[Manifest], out: Sequence[Manifest] | None = None
) -> Manifest:
    """A NetworkPolicy: the only ways to these pods, and out of them; None: they go anywhere."""
    spec: Manifest = {"podSelector": pods, "policyTypes": ["Ingress"]}
    if to:
        spec["ingress"] = [*to]
    if out is not None:
        spec["policyTypes"].append("Egress")
        spec["egress"] = [*out]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def build_set(part: Part, template: Manifest, claim: Manifest) -> Manifest:
    """A StatefulSet that starts all pods at once, lets the operator replace them, and loses no volume."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": part.name},
        "spec": {
            "serviceName": part.headless,
            "replicas": part.replicas,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "minReadySeconds": 15,
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "selector": {"matchLabels": part.selector},
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    }


def build_claim(size: str, storage_class: str | None) -> Manifest:
    """The claim `data` of each pod."""
    named = {"storageClassName": storage_class} if storage_class else {}
    request = {"requests": {"storage": canonical(size)}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": request, **named}
    return {"metadata": {"name": "data"}, "spec": spec}


def spread(part: Part) -> Manifest:
    """Fields of a pod's spec: never two on one node where there are nodes enough, and zones if there are any."""
    selector = {"matchLabels": part.selector}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    wish = {"weight": 100, "podAffinityTerm": term}
    rule: Manifest = {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}
    if part.order.nodes >= part.replicas:
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    zones = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": selector,
    }
    return {"affinity": {"podAntiAffinity": rule}, "topologySpreadConstraints": [zones]}


def hash_of(*texts: str) -> str:
    """Of what pods read only when they start: in a template's annotation, it replaces them when it changes."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def resources_of(given: Any, request: Mapping[str, str], limit: Mapping[str, str]) -> Manifest:
    """Requests and limits: what the API object says, else the kind's own."""

    def amounts(of: Any, default: Mapping[str, str]) -> Manifest:
        said = {key: value for key in ("cpu", "memory") if (value := getattr(of, key))}
        return {key: canonical(value) for key, value in {**default, **said}.items()}

    return {"requests": amounts(given.requests, request), "limits": amounts(given.limits, limit)}

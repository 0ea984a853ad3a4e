"""Manifests into what the operator would have seen: a policy and a snapshot per namespace. Pure.

A namespace with its own ReadinessPolicy is judged by it; in any other, every workload becomes a
target of a policy made up here. Nothing is judged in this module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from readiness.api import read_policy
from readiness.api.plain import policy_of
from readiness.files import Located
from readiness.grants import grants_of, secret_rules
from readiness.leaks import scan_config_map
from readiness.model import Manifest
from readiness.naming import API_VERSION, digest
from readiness.snapshot import Snapshot
from readiness.workload import KINDS as WORKLOADS
from readiness.workload import key_of

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec

POLICY: Final = "ReadinessPolicy"
MADE_UP: Final = "manifests"
TARGETS: Final = 50  # as many as a policy may have
TARGET_LENGTH: Final = 54  # of 63, with room for a hash
SHOWN: Final = 256  # characters of a ConfigMap's value, as in the cluster
_CLUSTER: Final = frozenset(
    {"ClusterRole", "ClusterRoleBinding", "Namespace", "Node", "ReadinessProfile"}
)
_API: Final = {"Rollout": "argoproj.io/v1alpha1"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where the manifests say nothing."""

    namespace: str = "default"
    profiles: tuple[str, ...] = ("baseline",)


@dataclass(frozen=True, slots=True)
class World:
    """A policy with its snapshot. `places` says where each target stands, and "" the policy
    itself unless it was made up.
    """

    policy: Manifest
    spec: PolicySpec
    snapshot: Snapshot
    places: Mapping[str, Located]


@dataclass(slots=True)
class _Namespace:
    kinds: dict[str, list[Located]] = field(default_factory=lambda: defaultdict(list))

    def manifests(self, *kinds: str) -> list[Manifest]:
        return [item.manifest for kind in kinds for item in self.kinds.get(kind, ())]

    def by_name(self, kind: str) -> dict[str, Manifest]:
        return {m["metadata"].get("name", ""): m for m in self.manifests(kind)}

    @property
    def workloads(self) -> dict[str, Located]:
        found = (item for kind in WORKLOADS for item in self.kinds.get(kind, ()))
        return {key_of(item.manifest): item for item in found}


def worlds_of(objects: Iterable[Located], defaults: Defaults) -> Iterator[World]:
    """One world per policy, in the order of namespaces; none where there is nothing to judge."""
    shared, spaces = _sorted(objects, defaults.namespace)
    for name in sorted(spaces):
        space = spaces[name]
        snapshot = _snapshot(name, space, shared)
        policies = space.kinds.get(POLICY, ())
        for item in policies:
            yield _declared(item, snapshot, space)
        if not policies:
            yield from _made_up(snapshot, space, defaults)


def _sorted(objects: Iterable[Located], default: str) -> tuple[_Namespace, dict[str, _Namespace]]:
    """Cluster-wide objects, and the others by namespace."""
    shared, spaces = _Namespace(), defaultdict[str, _Namespace](_Namespace)
    for item in objects:
        kind = item.manifest["kind"]
        name = item.manifest["metadata"].get("namespace") or default
        (shared if kind in _CLUSTER else spaces[name]).kinds[kind].append(item)
    return shared, spaces


def _snapshot(name: str, space: _Namespace, shared: _Namespace) -> Snapshot:
    labels = shared.by_name("Namespace").get(name, {}).get("metadata", {}).get("labels") or {}
    roles = {
        (role["kind"], role["metadata"].get("name", "")): {"rules": secret_rules(role)}
        for role in (*space.manifests("Role"), *shared.manifests("ClusterRole"))
    }
    bindings = (*space.manifests("RoleBinding"), *shared.manifests("ClusterRoleBinding"))
    return Snapshot(
        namespace=name,
        namespace_labels=labels,
        budgets=tuple(space.manifests("PodDisruptionBudget")),
        network_policies=tuple(space.manifests("NetworkPolicy")),
        accounts=space.by_name("ServiceAccount"),
        inventory=tuple(sorted(space.workloads)),
        covered=frozenset(_covered(space)),
        configs={name: _values(config) for name, config in space.by_name("ConfigMap").items()},
        leaks=tuple(leak for m in space.manifests("ConfigMap") for leak in scan_config_map(m)),
        grants=grants_of(bindings, roles, name),
        waivers=tuple(space.manifests("ReadinessWaiver")),
        profiles=tuple(shared.manifests("ReadinessProfile")),
        live=False,
    )


def _values(config_map: Manifest) -> dict[str, str]:
    return {key: str(text)[:SHOWN] for key, text in (config_map.get("data") or {}).items()}


def _covered(space: _Namespace) -> Iterator[str]:
    policies = space.manifests(POLICY)
    if not policies:
        yield from space.workloads
    for policy in policies:
        for target in policy["spec"].get("targets") or ():
            yield f"{target['workloadRef']['kind']}/{target['workloadRef']['name']}"


def _declared(policy: Located, snapshot: Snapshot, space: _Namespace) -> World:
    """The world of a policy that stands among the manifests."""
    found, services = space.workloads, space.by_name("Service")
    workloads: dict[str, Manifest] = {}
    served: dict[str, Manifest] = {}
    places = {"": policy}
    for target in policy.manifest["spec"].get("targets") or ():
        name, ref = target["name"], target["workloadRef"]
        place = found.get(f"{ref['kind']}/{ref['name']}")
        places[name] = place or policy
        if place:
            workloads[name] = place.manifest
        if (service := (target.get("service") or {}).get("name")) in services:
            served[name] = services[service]
    spec = read_policy(policy.manifest["spec"])
    seen = replace(snapshot, workloads=workloads, services=served)
    return World(policy.manifest, spec, seen, places)


def _made_up(snapshot: Snapshot, space: _Namespace, defaults: Defaults) -> Iterator[World]:
    """Policies that target every workload; a waiver is honoured if all name the same policy."""
    named = {m["spec"].get("policyRef") for m in space.manifests("ReadinessWaiver")}
    name = named.pop() if len(named) == 1 else MADE_UP
    targets: dict[str, Located] = {}
    for item in space.workloads.values():
        targets[_target_name(item.manifest, targets)] = item
    everything = list(targets.items())
    for start in range(0, len(everything), TARGETS):
        chunk = dict(everything[start : start + TARGETS])
        spec = {
            "profiles": list(defaults.profiles),
            "targets": [_target(target, item.manifest) for target, item in chunk.items()],
        }
        metadata = {"name": name, "namespace": snapshot.namespace, "generation": 1}
        policy = {"apiVersion": API_VERSION, "kind": POLICY, "metadata": metadata, "spec": spec}
        workloads = {target: item.manifest for target, item in chunk.items()}
        yield World(policy, policy_of(spec), replace(snapshot, workloads=workloads), chunk)


def _target(name: str, workload: Manifest) -> Manifest:
    kind = workload["kind"]
    ref = {
        "apiVersion": _API.get(kind, "apps/v1"),
        "kind": kind,
        "name": workload["metadata"]["name"],
    }
    return {"name": name, "workloadRef": ref}


def _target_name(workload: Manifest, taken: Container[str]) -> str:
    """The workload's name as a target may be called, told apart where two kinds share it."""
    kind, name = workload["kind"], workload["metadata"]["name"]
    plain = name.replace(".", "-")[:TARGET_LENGTH].rstrip("-")
    return plain if plain not in taken else f"{plain}-{digest(kind, name)}"

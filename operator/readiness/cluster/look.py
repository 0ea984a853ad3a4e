"""The snapshot of one policy's world, out of what the watches saw. Cheap: indexed or remembered.

Reads the store and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from readiness import naming
from readiness.cluster.own import PROFILE, WAIVER, external_of, targets_of
from readiness.cluster.project import WORKLOADS
from readiness.cluster.store import Store, members, owner_of
from readiness.grants import grants_of
from readiness.inspection import parts_of
from readiness.model import Manifest
from readiness.snapshot import Grant, Housed, Leak, Snapshot

_WORKLOADS = tuple(kind.name for kind in WORKLOADS)
_MEMBERS = tuple(members(kind) for kind in _WORKLOADS)
_RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def look(store: Store, policy: Manifest, frame: Snapshot) -> Snapshot:
    """What this policy's controls may see. `frame` holds what does not come out of the store."""
    namespace, name = policy["metadata"]["namespace"], policy["metadata"]["name"]
    home = store.of("Namespace").get(namespace, {})
    waivers = store.of(WAIVER, namespace).values()
    return replace(
        frame,
        namespace=namespace,
        namespace_labels=home.get("metadata", {}).get("labels") or {},
        pod_addresses=_addresses(store, namespace),
        budgets=_sorted(store, "PodDisruptionBudget", namespace),
        network_policies=_sorted(store, "NetworkPolicy", namespace),
        accounts=_named(store, "ServiceAccount", namespace),
        configs=_configs(store, namespace),
        leaks=_leaks(store, namespace),
        grants=_grants(store, namespace),
        nodes=_named(store, "Node", ""),
        storage_classes=_named(store, "StorageClass", ""),
        inventory=_inventory(store, namespace),
        waivers=tuple(w for w in waivers if w["spec"].get("policyRef") == name),
        profiles=_sorted(store, PROFILE, ""),
        housed={name: _housed(store, hosts, namespace) for name, hosts in external_of(policy)},
        **_targets(store, policy, namespace),
    )


def _targets(store: Store, policy: Manifest, namespace: str) -> dict[str, Any]:
    """Workloads, pods, Services and slices by target; nothing for what does not exist."""
    workloads, pods, services, slices = {}, {}, {}, {}
    for named in targets_of(policy):
        of, owner = named.target, (named.kind, named.workload)
        workload = store.of(named.kind, namespace).get(named.workload)
        if workload is not None:
            workloads[of], pods[of] = workload, store.belonging("Pod", namespace, owner)
        service = store.of("Service", namespace).get(named.service)
        if service is not None:
            backing = store.belonging("EndpointSlice", namespace, ("Service", named.service))
            services[of], slices[of] = service, backing
    return {"workloads": workloads, "pods": pods, "services": services, "slices": slices}


def _housed(store: Store, hosts: tuple[str, ...], namespace: str) -> Housed:
    """The pods behind the hosts that name Services of the namespace, or such pods."""
    members: dict[str, tuple[str, ...]] = {}
    everyone = store.of("Pod", namespace)
    for host in hosts:
        pod, service = parts_of(host, namespace)
        if pod in everyone:
            members[host] = (pod,)
        elif service in store.of("Service", namespace):
            members |= _behind(store, host, (namespace, service))
    names = sorted({name for each in members.values() for name in each})
    pods = tuple(everyone[name] for name in names if name in everyone)
    owners = sorted({owner_of(pod) for pod in pods})
    sets = (store.of(kind, namespace).get(name) for kind, name in owners if kind in _WORKLOADS)
    return Housed(members, pods, tuple(each for each in sets if each is not None))


def _behind(store: Store, host: str, service: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """The pods that are ready behind a Service, if every end of it is one."""
    slices = store.belonging("EndpointSlice", service[0], ("Service", service[1]))
    ends = [end for piece in slices for end in piece.get("endpoints") or ()]
    refs = [end.get("targetRef") or {} for end in ends]
    if not ends or any(ref.get("kind") != "Pod" for ref in refs):
        return {}
    return {host: tuple(sorted(str(ref["name"]) for ref in refs))}


def _sorted(store: Store, kind: str, namespace: str) -> tuple[Manifest, ...]:
    def build() -> tuple[Manifest, ...]:
        objects = store.of(kind, namespace)
        return tuple(objects[name] for name in sorted(objects))

    return store.derived(f"sorted {kind}", namespace, (kind,), build)


def _named(store: Store, kind: str, namespace: str) -> Mapping[str, Manifest]:
    def build() -> Mapping[str, Manifest]:
        return MappingProxyType(dict(store.of(kind, namespace)))

    return store.derived(f"named {kind}", namespace, (kind,), build)


def _addresses(store: Store, namespace: str) -> Mapping[str, str]:
    """Addresses of running pods: one on the host's network has the node's, a finished one none."""

    def build() -> Mapping[str, str]:
        return MappingProxyType(
            {
                address["ip"]: name
                for name, pod in store.of("Pod", namespace).items()
                if not pod.get("spec", {}).get("hostNetwork")
                and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
                for address in pod.get("status", {}).get("podIPs") or ()
            }
        )

    return store.derived("addresses", namespace, ("Pod",), build)


def _configs(store: Store, namespace: str) -> Mapping[str, Mapping[str, str]]:
    def build() -> Mapping[str, Mapping[str, str]]:
        maps = store.of("ConfigMap", namespace).items()
        return MappingProxyType({name: config["data"] for name, config in maps})

    return store.derived("configs", namespace, ("ConfigMap",), build)


def _leaks(store: Store, namespace: str) -> tuple[Leak, ...]:
    def build() -> tuple[Leak, ...]:
        maps = store.of("ConfigMap", namespace)
        return tuple(leak for name in sorted(maps) for leak in maps[name]["leaks"])

    return store.derived("leaks", namespace, ("ConfigMap",), build)


def _grants(store: Store, namespace: str) -> tuple[Grant, ...]:
    def build() -> tuple[Grant, ...]:
        roles = {("Role", n): role for n, role in store.of("Role", namespace).items()}
        roles |= {("ClusterRole", n): role for n, role in store.of("ClusterRole").items()}
        bindings = (
            *store.of("RoleBinding", namespace).values(),
            *store.of("ClusterRoleBinding").values(),
        )
        return grants_of(bindings, roles, namespace)

    return store.derived("grants", namespace, _RBAC, build)


def _provided(workload: Manifest) -> bool:
    labels = workload["metadata"].get("labels") or {}
    return naming.SERVICE_LABEL in labels and naming.OURS.items() <= labels.items()


def _inventory(store: Store, namespace: str) -> tuple[str, ...]:
    """Every workload but those of data services, which are judged under their own names."""

    def build() -> tuple[str, ...]:
        found = ((kind, each) for kind in _WORKLOADS for each in store.of(kind, namespace).values())
        return tuple(sorted(f"{kind}/{w['metadata']['name']}" for kind, w in found if not _provided(w)))  # fmt: skip

    return store.derived("inventory", namespace, _MEMBERS, build)

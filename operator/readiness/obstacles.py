"""What may stand between the operator and a pod: NetworkPolicies and service meshes.

Read only to explain a probe that got no answer; it never decides that one is not sent. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from readiness.model import Manifest
from readiness.naming import COMPONENT
from readiness.snapshot import Snapshot
from readiness.workload import containers, matches

NAME_LABEL: Final = "kubernetes.io/metadata.name"
_MESHES: Final = {"istio-proxy": "Istio", "linkerd-proxy": "Linkerd"}


def mesh_of(snapshot: Snapshot, pods: Iterable[Manifest]) -> str:
    """The service mesh these pods are in (`Istio`, `Linkerd`, `Istio ambient`), or nothing."""
    for pod in pods:
        for container in containers(pod):
            if container.get("name") in _MESHES:
                return _MESHES[container["name"]]
        labels = dict(snapshot.namespace_labels) | (pod["metadata"].get("labels") or {})
        if labels.get("istio.io/dataplane-mode") == "ambient":
            return "Istio ambient"
    return ""


def closed_by(snapshot: Snapshot, pods: tuple[Manifest, ...], port: int) -> tuple[str, ...]:
    """NetworkPolicies that isolate the pods and together do not admit the operator to `port`.

    Names only, none when the way is open. What an ipBlock admits cannot be known: it counts as open.
    """
    isolating: dict[str, bool] = {}
    for policy in snapshot.network_policies:
        spec = policy.get("spec") or {}
        selected = [p for p in pods if matches(spec.get("podSelector"), _labels(p))]
        if selected and "Ingress" in (spec.get("policyTypes") or ("Ingress",)):
            rules = spec.get("ingress") or ()
            isolating[policy["metadata"]["name"]] = any(
                _admits(rule, snapshot, selected[0], port) for rule in rules
            )
    return () if any(isolating.values()) else tuple(sorted(isolating))


def opening(snapshot: Snapshot, workload: Manifest, port: int) -> str:
    """A NetworkPolicy, as YAML on one line, that lets the operator reach `port` of the workload."""
    selector = (workload.get("spec") or {}).get("selector") or {}
    peer = {"namespaceSelector": {"matchLabels": {NAME_LABEL: snapshot.operator_namespace}}}
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"allow-{COMPONENT}", "namespace": snapshot.namespace},
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [peer], "ports": [{"port": port}]}],
        },
    }
    return json.dumps(manifest)


def _labels(pod: Manifest) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _admits(rule: Manifest, snapshot: Snapshot, pod: Manifest, port: int) -> bool:
    ports = rule.get("ports") or ()
    if ports and not any(_covers(p, pod, port) for p in ports):
        return False
    peers = rule.get("from") or ()
    return not peers or any(_is_operator(peer, snapshot) for peer in peers)


def _covers(entry: Manifest, pod: Manifest, port: int) -> bool:
    wanted = entry.get("port")
    if isinstance(wanted, str):
        named = (p for c in containers(pod) for p in c.get("ports") or ())
        return any(p.get("name") == wanted and p.get("containerPort") == port for p in named)
    return wanted is None or int(wanted) <= port <= int(entry.get("endPort") or wanted)


def _is_operator(peer: Manifest, snapshot: Snapshot) -> bool:
    if "ipBlock" in peer:
        return True
    if "podSelector" in peer and not matches(
        peer["podSelector"], {"app.kubernetes.io/name": COMPONENT}
    ):
        return False
    if "namespaceSelector" not in peer:
        return snapshot.operator_namespace == snapshot.namespace
    return matches(peer["namespaceSelector"], {NAME_LABEL: snapshot.operator_namespace})

"""The ways to reach a target: addresses of its own pods and Service, and its declared URL.

Addresses come from the API and are used only when they belong to the policy's own namespace, so
that a tenant-written EndpointSlice or an ExternalName cannot point the operator elsewhere. A way
that was declared but cannot be asked becomes a problem: an Unknown verdict that says what to do.
Pure; it knows no request and no control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from readiness.control import unknown
from readiness.model import Manifest, Verdict
from readiness.request import Hop, HopKind
from readiness.snapshot import Snapshot
from readiness.workload import app_container, containers, is_ready, key_of, pod_spec

if TYPE_CHECKING:
    from readiness.api.target import Target

POD_HOPS: Final = 3


def hops_of(
    target: Target, snapshot: Snapshot, workload: Manifest | None, pods: tuple[Manifest, ...]
) -> tuple[tuple[Hop, ...], Mapping[str, Verdict]]:
    """The ways to a target, inner ones first, and why a declared way cannot be asked."""
    found: list[Hop] = []
    problems: dict[str, Verdict] = {}
    ways: dict[str, tuple[Hop, ...] | Verdict] = {HopKind.EDGE: _edge(target, snapshot)}
    if workload is not None:
        ways = {
            HopKind.POD: _pods(target, snapshot, workload, pods),
            HopKind.SERVICE: _service(target, snapshot, pods),
        } | ways
    for kind, way in ways.items():
        if isinstance(way, Verdict):
            problems[str(kind)] = way
        else:
            found += way
    return tuple(found), problems


def edge_of(url: str) -> Hop:
    """The hop of a URL that users see. Raises ValueError for a port that is none."""
    parts = urlsplit(url)
    tls, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if tls else 80)
    return Hop(HopKind.EDGE, host, host, port, tls=tls, prefix=parts.path.rstrip("/"))


def _pods(
    target: Target, snapshot: Snapshot, workload: Manifest, pods: tuple[Manifest, ...]
) -> tuple[Hop, ...] | Verdict:
    ready, namespace = [p for p in pods if is_ready(p)], snapshot.namespace
    if not ready:
        return unknown(
            "NoReadyPods",
            f"no pod of {key_of(workload)} is Ready",
            fix=f"kubectl -n {namespace} describe {key_of(workload).lower()}",
        )
    port, tls = container_port(target, snapshot, workload)
    if port is None:
        return unknown(
            "PortNotFound",
            f"{key_of(workload)} declares no container port to probe",
            fix=f"declare ports on its container, or spec.targets[{target.name}].service",
        )
    own = [p for p in ready if _own_address(p, snapshot)]
    if not own:
        return unknown(
            "EgressRefused",
            f"no pod of {key_of(workload)} has an address of its own (hostNetwork shares the node's)",
            fix="remove hostNetwork: the operator never probes addresses of nodes",
        )
    host = host_of(target, snapshot)
    return tuple(
        Hop(HopKind.POD, p["metadata"]["name"], host or ip, port, ip, tls, namespace)
        for p in _spread(own)
        for ip in (p["status"]["podIP"],)
    )


def _spread(pods: list[Manifest]) -> list[Manifest]:
    """The first pods by name, but one of each node before a second of any."""
    ranked, on_node = [], dict[str, int]()
    for pod in sorted(pods, key=lambda p: str(p["metadata"]["name"])):
        node = pod_spec(pod).get("nodeName", "")
        on_node[node] = on_node.get(node, 0) + 1
        ranked.append((on_node[node], pod["metadata"]["name"], pod))
    return [pod for _, _, pod in sorted(ranked, key=lambda r: r[:2])[:POD_HOPS]]


def _own_address(pod: Manifest, snapshot: Snapshot) -> bool:
    address = (pod.get("status") or {}).get("podIP")
    owner = snapshot.pod_addresses.get(address or "")
    return owner == pod["metadata"]["name"] and not pod_spec(pod).get("hostNetwork")


def host_of(target: Target, snapshot: Snapshot) -> str:
    """What clients write into the Host header: applications refuse names they do not know."""
    if target.external_url:
        return urlsplit(target.external_url).hostname or ""
    return f"{target.service.name}.{snapshot.namespace}.svc" if target.service else ""


def container_port(
    target: Target, snapshot: Snapshot, workload: Manifest
) -> tuple[int | None, bool]:
    """The port at which a pod of the workload is probed, if there is one, and whether it speaks TLS."""
    entry = _service_port(target, snapshot)
    app = app_container(workload, target.container) or {}
    if entry is None:
        first: Manifest = next(iter(app.get("ports") or ()), {})
        return first.get("containerPort"), first.get("name") == "https"
    wanted = entry.get("targetPort") or entry.get("port")
    if isinstance(wanted, int):
        return wanted, _is_tls(entry)
    named = (p for c in (app, *containers(workload)) for p in c.get("ports") or ())
    number = next((p.get("containerPort") for p in named if p.get("name") == wanted), None)
    return number, _is_tls(entry)


def _service_port(target: Target, snapshot: Snapshot) -> Manifest | None:
    """The port entry that the target names on its Service."""
    service = snapshot.services.get(target.name)
    if target.service is None or service is None:
        return None
    entries: list[Manifest] = service["spec"].get("ports") or []
    wanted = str(target.service.port)
    return next((e for e in entries if wanted in (e.get("name"), str(e.get("port")))), None)


def _is_tls(entry: Manifest) -> bool:
    name = entry.get("name") or ""
    return entry.get("appProtocol", "").lower() == "https" or name.partition("-")[0] == "https"


def service_hop(target: Target, snapshot: Snapshot) -> Hop | None:
    """The way through a target's Service, whoever is behind it now; None where it has no address, or not this port."""
    service, entry = snapshot.services.get(target.name), _service_port(target, snapshot)
    if service is None or entry is None or service["spec"].get("clusterIP") in (None, "", "None"):
        return None
    name, address = service["metadata"]["name"], service["spec"]["clusterIP"]
    host = host_of(target, snapshot)
    return Hop(HopKind.SERVICE, name, host, entry["port"], address, _is_tls(entry), snapshot.namespace)  # fmt: skip


def _service(
    target: Target, snapshot: Snapshot, pods: tuple[Manifest, ...]
) -> tuple[Hop, ...] | Verdict:
    if target.service is None:
        return ()
    name, namespace = target.service.name, snapshot.namespace
    service = snapshot.services.get(target.name)
    if service is None:
        return unknown(
            "ServiceNotFound",
            f"Service {name} does not exist in namespace {namespace}",
            fix=f"create it, or correct spec.targets[{target.name}].service.name",
        )
    refusal = _refusal(service, target, snapshot, pods)
    hop = service_hop(target, snapshot)
    return refusal or (() if hop is None else (hop,))


def _refusal(
    service: Manifest, target: Target, snapshot: Snapshot, pods: tuple[Manifest, ...]
) -> Verdict | None:
    """Why a Service is not asked: every address behind it must be a pod of the namespace."""
    name, field = service["metadata"]["name"], f"spec.targets[{target.name}].service"
    if service["spec"].get("type") == "ExternalName":
        return unknown(
            "EgressRefused",
            f"Service {name} is an ExternalName: it leads out of the namespace",
            fix=f"point {field} at a Service with a selector",
        )
    if _service_port(target, snapshot) is None:
        ports = ", ".join(
            str(e.get("name") or e.get("port")) for e in service["spec"].get("ports") or ()
        )
        return unknown(
            "PortNotFound", f"Service {name} has no such port; it has {ports or 'none'}",
            fix=f"correct {field}.port",
        )  # fmt: skip
    shared = {p["status"].get("podIP") for p in pods if pod_spec(p).get("hostNetwork")}
    slices = snapshot.slices.get(target.name, ())
    behind = {a for s in slices for e in s.get("endpoints") or () for a in e.get("addresses") or ()}
    if not behind:
        return unknown(
            "NoReadyPods", f"Service {name} has no endpoints",
            fix=f"compare its selector with the pods' labels: kubectl -n {snapshot.namespace} describe service {name}",
        )  # fmt: skip
    if not behind <= snapshot.pod_addresses.keys() - shared:
        return unknown(
            "EgressRefused",
            f"Service {name} has endpoints that are no pods of namespace {snapshot.namespace}",
            fix="remove the EndpointSlices that were written by hand; the operator probes own pods only",
        )
    return None


def _edge(target: Target, snapshot: Snapshot) -> tuple[Hop, ...] | Verdict:
    if target.external_url is None:
        return ()
    way = outside_of(target.external_url, snapshot)
    return (way,) if isinstance(way, Hop) else way


def outside_of(url: str, snapshot: Snapshot) -> Hop | Verdict:
    """The way to an address outside of the namespace, if the operator's own setting allows it."""
    hop = edge_of(url)
    if _allowed(hop.host, snapshot.egress):
        return hop
    return unknown(
        "EgressRefused",
        f"the operator may not send requests to {hop.host}",
        fix=f'add to the values of the operator\'s chart: egress: {{allow: ["{hop.host}"]}}',
    )


def _allowed(host: str, egress: Iterable[str]) -> bool:
    """Exactly, or as `*.suffix`, which does not include the suffix itself."""
    name = host.lower().rstrip(".")
    entries = {e.lower().rstrip(".") for e in egress}
    return name in entries or any(e[:2] == "*." and name.endswith(e[1:]) for e in entries)

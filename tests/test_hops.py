"""Which ways lead to a target, and which a tenant may not open."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.api.target import Target
from readiness.hops import edge_of, hops_of
from readiness.obstacles import closed_by, mesh_of, opening
from readiness.snapshot import Snapshot

WORKLOAD: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "api"},
    "spec": {
        "selector": {"matchLabels": {"app": "api"}},
        "template": {"spec": {"containers": [{"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}]}},
    },
}  # fmt: skip


def pod(
    name: str, ip: str, node: str = "n1", *, ready: str = "True", **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "api"}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}], **spec},
        "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
    }  # fmt: skip


def target(**fields: Any) -> Target:
    ref = {"kind": "Deployment", "name": "api"}
    return Target.model_validate({"name": "api", "workloadRef": ref, **fields})


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {"metadata": {"name": "api"}, "spec": {"clusterIP": "10.1.0.1", "ports": ports, **spec}}


def world(*pods: dict[str, Any], **fields: Any) -> Snapshot:
    return Snapshot(
        namespace="shop",
        pod_addresses={p["status"]["podIP"]: p["metadata"]["name"] for p in pods},
        **fields,
    )


def behind(*addresses: str) -> dict[str, Any]:
    return {"api": ({"endpoints": [{"addresses": list(addresses)}]},)}


WITH_SERVICE = target(service={"name": "api", "port": "http"})
A = pod("a", "10.0.0.1")


def kinds(
    declared: Target, snapshot: Snapshot, *pods: dict[str, Any]
) -> tuple[list[str], dict[str, str]]:
    found, problems = hops_of(declared, snapshot, WORKLOAD, pods)
    return [f"{h}@{h.address}:{h.port}" for h in found], {k: v.reason for k, v in problems.items()}


ROWS: dict[str, tuple[Target, Snapshot, tuple[dict[str, Any], ...], list[str], dict[str, str]]] = {
    "pods by the container's port": (target(), world(A), (A,), ["pod/a@10.0.0.1:8080"], {}),
    "pods and Service": (
        WITH_SERVICE, world(A, services={"api": service()}, slices=behind("10.0.0.1")), (A,),
        ["pod/a@10.0.0.1:8080", "service/api@10.1.0.1:80"], {},
    ),
    "the Service's port by number": (
        target(service={"name": "api", "port": 80}), world(A, services={"api": service()}, slices=behind("10.0.0.1")), (A,),
        ["pod/a@10.0.0.1:8080", "service/api@10.1.0.1:80"], {},
    ),
    "headless": (
        WITH_SERVICE, world(A, services={"api": service(clusterIP="None")}, slices=behind("10.0.0.1")), (A,),
        ["pod/a@10.0.0.1:8080"], {},
    ),
    "no Service of that name": (WITH_SERVICE, world(A), (A,), ["pod/a@10.0.0.1:8080"], {"service": "ServiceNotFound"}),
    "no such port": (
        target(service={"name": "api", "port": "grpc"}), world(A, services={"api": service()}, slices=behind("10.0.0.1")), (A,),
        ["pod/a@10.0.0.1:8080"], {"service": "PortNotFound"},
    ),
    "ExternalName": (
        WITH_SERVICE, world(A, services={"api": service(type="ExternalName", externalName="metadata.internal")}), (A,),
        ["pod/a@10.0.0.1:8080"], {"service": "EgressRefused"},
    ),
    "a slice that points at the API server": (
        WITH_SERVICE, world(A, services={"api": service()}, slices=behind("10.0.0.1", "10.96.0.1")), (A,),
        ["pod/a@10.0.0.1:8080"], {"service": "EgressRefused"},
    ),
    "endpoints of another namespace": (
        WITH_SERVICE, world(A, services={"api": service()}, slices=behind("10.0.9.9")), (A,),
        ["pod/a@10.0.0.1:8080"], {"service": "EgressRefused"},
    ),
    "no endpoints": (
        WITH_SERVICE, world(A, services={"api": service()}), (A,), ["pod/a@10.0.0.1:8080"], {"service": "NoReadyPods"},
    ),
    "an address of another pod": (
        target(), world(pod("other", "10.0.0.1")), (A,), [], {"pod": "EgressRefused"},
    ),
    "hostNetwork": (
        WITH_SERVICE, world(A, services={"api": service()}, slices=behind("10.0.0.1")), (pod("a", "10.0.0.1", hostNetwork=True),),
        [], {"pod": "EgressRefused", "service": "EgressRefused"},
    ),
    "nothing Ready": (target(), world(A), (pod("a", "10.0.0.1", ready="False"),), [], {"pod": "NoReadyPods"}),
    "scaled to zero": (target(), world(), (), [], {"pod": "NoReadyPods"}),
    "an allowed host": (
        target(externalURL="https://shop.example.com"), world(A, egress=("*.Example.com",)), (A,),
        ["pod/a@10.0.0.1:8080", "edge/shop.example.com@:443"], {},
    ),
    "the suffix itself is not below it": (
        target(externalURL="https://example.com"), world(A, egress=("*.example.com",)), (A,),
        ["pod/a@10.0.0.1:8080"], {"edge": "EgressRefused"},
    ),
    "a look-alike of the suffix": (
        target(externalURL="https://evilexample.com"), world(A, egress=("*.example.com", "example.org")), (A,),
        ["pod/a@10.0.0.1:8080"], {"edge": "EgressRefused"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_ways(name: str) -> None:
    declared, snapshot, pods, ways, problems = ROWS[name]
    assert kinds(declared, snapshot, *pods) == (ways, problems)


def test_every_problem_says_what_to_do() -> None:
    for declared, snapshot, pods, _, _ in ROWS.values():
        for problem in hops_of(declared, snapshot, WORKLOAD, pods)[1].values():
            assert problem.message
            assert problem.fix


def test_three_pods_of_different_nodes_first_whatever_the_order() -> None:
    pods = [pod("a", "1.1.1.1"), pod("b", "1.1.1.2"), pod("c", "1.1.1.3", "n2"), pod("d", "1.1.1.4", "n3"), pod("e", "1.1.1.5", "n3")]  # fmt: skip
    expected = ["pod/a@1.1.1.1:8080", "pod/c@1.1.1.3:8080", "pod/d@1.1.1.4:8080"]
    assert kinds(target(), world(*pods), *pods)[0] == expected
    assert kinds(target(), world(*pods), *reversed(pods))[0] == expected


@pytest.mark.parametrize(
    ("declared", "host"),
    [
        (target(), "10.0.0.1"),
        (WITH_SERVICE, "api.shop.svc"),
        (target(externalURL="https://shop.example.com/base"), "shop.example.com"),
    ],
)
def test_pods_are_asked_by_the_name_clients_use(declared: Target, host: str) -> None:
    assert hops_of(declared, world(A), WORKLOAD, (A,))[0][0].host == host


@pytest.mark.parametrize(
    ("entry", "tls"),
    [
        ({"name": "https"}, True),
        ({"name": "https-admin"}, True),
        ({"name": "x", "appProtocol": "HTTPS"}, True),
        ({"name": "httpsx"}, False),
        ({"name": "http"}, False),
    ],
)
def test_tls_by_the_service_port(entry: dict[str, Any], tls: bool) -> None:
    declared = target(service={"name": "api", "port": 80})
    svc = service(ports=[{"port": 80, "targetPort": 8443, **entry}])
    found, _ = hops_of(
        declared, world(A, services={"api": svc}, slices=behind("10.0.0.1")), WORKLOAD, (A,)
    )
    assert [(h.tls, h.port) for h in found] == [(tls, 8443), (tls, 80)]


def test_edge_of_a_url() -> None:
    hop = edge_of("https://Shop.example.com:8443/base/")
    assert (hop.host, hop.port, hop.tls, hop.prefix) == ("shop.example.com", 8443, True, "/base")
    assert (edge_of("http://x").port, edge_of("http://x").tls) == (80, False)


def test_only_the_url_without_a_workload() -> None:
    snapshot = world(egress=("x.example",))
    found, problems = hops_of(target(externalURL="https://x.example"), snapshot, None, ())
    assert ([str(h) for h in found], problems) == (["edge/x.example"], {})


OPERATOR = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "readiness-system"}}
}


@pytest.mark.parametrize(
    ("specs", "closed"),
    [
        ([], False),
        ([{"podSelector": {}}], True),
        ([{"podSelector": {}, "policyTypes": ["Egress"]}], False),
        ([{"podSelector": {"matchLabels": {"app": "other"}}}], False),
        ([{"podSelector": {}, "ingress": [{}]}], False),
        ([{"podSelector": {}, "ingress": [{"from": [OPERATOR]}]}], False),
        ([{"podSelector": {}, "ingress": [{"from": [OPERATOR], "ports": [{"port": 9090}]}]}], True),
        ([{"podSelector": {}, "ingress": [{"from": [OPERATOR], "ports": [{"port": "web"}]}]}], False),
        ([{"podSelector": {}, "ingress": [{"from": [OPERATOR], "ports": [{"port": 8000, "endPort": 8100}]}]}], False),
        ([{"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}], True),
        ([{"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}], False),
        ([{"podSelector": {}}, {"podSelector": {"matchLabels": {"app": "api"}}, "ingress": [{"from": [OPERATOR]}]}], False),
    ],
)  # fmt: skip
def test_network_policies_add_up(specs: list[dict[str, Any]], closed: bool) -> None:
    policies = tuple({"metadata": {"name": f"p{i}"}, "spec": s} for i, s in enumerate(specs))
    snapshot = world(A, network_policies=policies, operator_namespace="readiness-system")
    assert bool(closed_by(snapshot, (A,), 8080)) is closed


def test_the_opening_opens() -> None:
    import yaml

    deny = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}}}
    shut = world(A, network_policies=(deny,), operator_namespace="readiness-system")
    assert closed_by(shut, (A,), 8080) == ("deny",)
    added = yaml.load(opening(shut, WORKLOAD, 8080), yaml.CSafeLoader)
    opened = world(A, network_policies=(deny, added), operator_namespace="readiness-system")
    assert closed_by(opened, (A,), 8080) == ()


@pytest.mark.parametrize(
    ("spec", "labels", "namespace", "mesh"),
    [
        ({}, {}, {}, ""),
        ({"containers": [{"name": "linkerd-proxy"}]}, {}, {}, "Linkerd"),
        ({"containers": [], "initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}]}, {}, {}, "Istio"),
        ({}, {}, {"istio.io/dataplane-mode": "ambient"}, "Istio ambient"),
        ({}, {"istio.io/dataplane-mode": "none"}, {"istio.io/dataplane-mode": "ambient"}, ""),
    ],
)  # fmt: skip
def test_meshes(
    spec: dict[str, Any], labels: dict[str, str], namespace: dict[str, str], mesh: str
) -> None:
    seen = pod("a", "10.0.0.1", **spec)
    seen["metadata"]["labels"] |= labels
    assert mesh_of(world(seen, namespace_labels=namespace), (seen,)) == mesh

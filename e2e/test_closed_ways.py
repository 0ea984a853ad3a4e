"""A probe that something stops is Unknown, names it, and brings the remedy; applying the remedy opens the way."""

import re
import time
from collections.abc import Callable

import pytest

import demo
from operator_fixture import Manifest, Operator, policy, server

pytestmark = pytest.mark.e2e
SPACE = "closed"
SECONDS = 240


@pytest.fixture(scope="module")
def closed(operator: Operator) -> Operator:
    """A specimen that serves, in a namespace that admits nobody."""
    deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
    operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    deployment, service = server(SPACE, "api", operator.specimen)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [e for e in container["env"] if not e["name"].startswith("TLS")]
    container["volumeMounts"] = []
    deployment["spec"]["template"]["spec"]["volumes"] = []
    operator.apply(
        deployment,
        service,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "nobody", "namespace": SPACE},
            "spec": deny,
        },
    )
    operator.rolled_out(SPACE, SECONDS)
    return operator


def judged(operator: Operator, name: str, wanted: Callable[[Manifest], bool]) -> Manifest:
    """The finding HLT-001 of a policy, once it is as wanted."""
    deadline, seen = time.monotonic() + SECONDS, {}
    while time.monotonic() < deadline:
        for report in operator.get("rdr", SPACE):
            if report["report"]["policy"] == name:
                seen = next((r for r in report["report"]["results"] if r["id"] == "HLT-001"), {})
                if seen and wanted(seen):
                    return seen
        time.sleep(2)
    raise AssertionError(
        f"HLT-001 of {name} is not as wanted after {SECONDS} s: {seen}\n{demo.diagnosis(operator.cluster)}"
    )


def test_a_network_policy_leaves_it_unproven_and_its_remedy_opens_the_way(closed: Operator) -> None:
    target = {
        "name": "api",
        "workloadRef": {"kind": "Deployment", "name": "api"},
        "service": {"name": "api", "port": "http"},
        "health": {"path": "/health"},
    }
    spec = {"profiles": [], "controls": [{"id": "HLT-001"}], "targets": [target]}
    closed.apply(policy(SPACE, "closed", spec))

    found = judged(closed, "closed", lambda row: row["reason"] == "Unreachable")

    assert found["result"] == "Unknown"
    assert "NetworkPolicy nobody does not admit" in found["message"]
    snippet = re.search(r"<<< '(.*)'$", found["fix"], re.DOTALL)
    assert snippet, f"the remedy is a command to type: {found['fix']}"

    closed.cluster.run("kubectl", "apply", "-f", "-", text=snippet.group(1))

    assert judged(closed, "closed", lambda row: row["result"] != "Unknown")["result"] == "Pass"


def test_a_service_without_selector_cannot_point_the_operator_elsewhere(closed: Operator) -> None:
    """Endpoints written by a tenant: the API server's own address."""
    api = next(
        s for s in closed.get("services", "default") if s["metadata"]["name"] == "kubernetes"
    )
    closed.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "elsewhere", "namespace": SPACE},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 443}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "elsewhere-1",
                "namespace": SPACE,
                "labels": {"kubernetes.io/service-name": "elsewhere"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 443}],
            "endpoints": [{"addresses": [api["spec"]["clusterIP"]]}],
        },
    )
    target = {
        "name": "api",
        "workloadRef": {"kind": "Deployment", "name": "api"},
        "service": {"name": "elsewhere", "port": "https"},
        "health": {"path": "/healthz"},
    }
    spec = {"profiles": [], "controls": [{"id": "HLT-001"}], "targets": [target]}
    closed.apply(policy(SPACE, "elsewhere", spec))

    found = judged(closed, "elsewhere", lambda row: row["reason"] != "NotYetObserved")

    assert (found["result"], found["reason"]) == ("Unknown", "EgressRefused")

"""Metrics of data services, on a real API server: a ServiceMonitor that cannot be made stops nothing, and comes with its CRD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from holdrig import until
from holdworld import policy
from provisioning import grant, message, provisioned, stateful_sets

from readiness import naming

pytestmark = pytest.mark.api
NAME = naming.store("app", "cache")
GROUP = "/apis/monitoring.coreos.com/v1"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "servicemonitors", "kind": "ServiceMonitor"},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }],
    },
}  # fmt: skip
"""As much of the Prometheus operator's as an API server needs to serve the kind."""


@pytest.fixture
def crd(api_server) -> Iterator[Any]:
    """Installs the CRD when it is called; it is gone at the end."""
    yield lambda: api_server.running.apply(CRD)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servicemonitors.monitoring.coreos.com"
    api_server.request("DELETE", path)
    until(lambda: api_server.request("GET", path).get("code") == 404)


def cache(*, found: bool) -> dict[str, Any]:
    redis = {"image": "registry.example.com/redis:8", "metrics": {"serviceMonitor": found}}
    return policy(controls=(), targets=[], dataServices=[{"name": "cache", "redis": redis}])


def row(space) -> dict[str, Any]:
    return (space.status().get("dataServices") or [{}])[0]


def monitors(space) -> list[str]:
    found = space.api.request("GET", space.path("servicemonitors", group=GROUP))
    return [each["metadata"]["name"] for each in found.get("items", ())]


def run_pods(space) -> None:
    """Says that every pod is Ready, as a kubelet would."""
    for pod in space.api.request("GET", space.path("pods"))["items"]:
        rows = [{"type": each, "status": "True"} for each in ("ContainersReady", "Ready")]
        status = {"phase": "Running", "conditions": rows}
        space.patch("pods", pod["metadata"]["name"], {"status": status}, "status")


def test_without_the_kind_all_the_rest_stands_and_with_it_it_is_made_and_goes(launch, space, seat, crd):  # fmt: skip
    grant(space, seat)
    image = "registry.example.com/redis_exporter:1"
    operator = launch(stores_redis_exporter_image=image, prometheus_labels="release=prom")
    space.apply(cache(found=True))
    until(lambda: stateful_sets(space) == [NAME, f"{NAME}-sentinel"])
    exporter = space.path("deployments", f"{NAME}-exporter")
    until(lambda: space.api.request("GET", exporter).get("kind") == "Deployment", 10, "the exporter")  # fmt: skip
    until(lambda: run_pods(space) or provisioned(space) == "True/Provisioned", 60, "all of it")
    until(lambda: row(space).get("reason") == "MonitorNotServed", 10, "the reason")
    assert f"ServiceMonitor/{NAME} cannot be made" in message(space)
    assert row(space)["ready"] is True

    crd()
    operator.restart()  # in time it looks again by itself: within five minutes
    until(lambda: monitors(space) == [NAME], 30, "the ServiceMonitor")
    made = space.api.request("GET", space.path("servicemonitors", NAME, GROUP))
    assert made["metadata"]["labels"]["release"] == "prom"
    assert len(made["spec"]["endpoints"]) == 6
    until(lambda: not row(space).get("reason"), 20, "that nothing is in the way")

    space.apply(cache(found=False))
    until(lambda: monitors(space) == [], 30, "the end of the ServiceMonitor")
    assert stateful_sets(space) == [NAME, f"{NAME}-sentinel"]
    assert space.api.request("GET", exporter)["kind"] == "Deployment"

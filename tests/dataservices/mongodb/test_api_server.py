"""What is built, before a real API server: it takes every child, gives it back unchanged, and admits its pod as restricted."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import ApiServer

from readiness.api.dataservice import DataService
from readiness.dataservices.children import desired_of
from readiness.dataservices.drift import difference
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.order import Order
from readiness.model import Manifest

pytestmark = pytest.mark.api
SPACE = "mongo-children"
PATHS = {
    "Secret": "/api/v1/namespaces/{}/secrets", "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps", "Service": "/api/v1/namespaces/{}/services",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
}  # fmt: skip


def order() -> Order:
    spec = {"resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": "2000m", "memory": "2048Mi"}}, "storageClass": "fast"}  # fmt: skip
    service = DataService.model_validate({"name": "orders", "mongodb": spec})
    secrets = {each.key: f"secret-of-{each.key}" for each in MONGODB.credentials}
    return Order(
        SPACE, "checkout", service, "mongo:8", "operator:1", "readiness-system", 3, secrets
    )


def space(server: ApiServer) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}}
    assert "code" not in server.request("POST", "/api/v1/namespaces", body)


def test_the_server_gives_back_what_it_was_given(api_server: ApiServer) -> None:
    space(api_server)
    made: dict[str, tuple[Manifest, Any]] = {}
    for child in desired_of(MONGODB, order(), None):
        path = PATHS[child["kind"]].format(SPACE)
        answer = api_server.request("POST", path, child)
        assert answer.get("kind") == child["kind"], answer
        made[child["kind"]] = child, api_server.request("GET", f"{path}/{child['metadata']['name']}")  # fmt: skip

    assert set(made) == set(PATHS)
    assert {kind: difference(*both) for kind, both in made.items()} == dict.fromkeys(made, "")
    template = made["StatefulSet"][0]["spec"]["template"]
    spec = template["spec"]
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", **template["metadata"]},
        "spec": {**spec, "volumes": [*spec["volumes"], {"name": "data", "emptyDir": {}}]},
    }  # fmt: skip
    admitted = api_server.request("POST", f"/api/v1/namespaces/{SPACE}/pods", pod, dryRun="All")
    assert admitted.get("kind") == "Pod", admitted

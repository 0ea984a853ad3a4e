"""The CronJobs of backups before a real API server: taken, given back unchanged, their pods admitted as restricted."""

from __future__ import annotations

import pytest
from apiserver import ApiServer
from test_saving import RABBITMQ, children

from readiness.cluster.children import path_of
from readiness.dataservices.drift import difference
from readiness.model import Manifest

pytestmark = pytest.mark.api
SPACE = "saving-children"


@pytest.mark.parametrize(("kind", "service"), [("redis", {}), ("rabbitmq", RABBITMQ)])
def test_the_server_gives_back_what_it_was_given_and_admits_the_pods(
    api_server: ApiServer, kind: str, service: Manifest
):
    space = f"{SPACE}-{kind}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": space, "labels": labels}
    api_server.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})  # fmt: skip
    made = [moved(each, space) for each in children(service, schedule="30 */6 * * *").values()]
    made = [
        each
        for each in made
        if each["metadata"]["name"].endswith(("-backup", "-retention"))
        and each["kind"] != "PrometheusRule"  # this server does not know it
    ]

    assert sorted(each["kind"] for each in made) == ["ConfigMap", "CronJob", "CronJob", "NetworkPolicy", "ServiceAccount", "ServiceAccount"]  # fmt: skip
    for each in made:
        answer = api_server.request("POST", path_of(each, named=False), each)
        assert answer.get("kind") == each["kind"], answer
        assert difference(each, api_server.request("GET", path_of(each))) == ""
    for each in made:
        if each["kind"] == "CronJob":
            inner = each["spec"]["jobTemplate"]["spec"]["template"]
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", **inner["metadata"]}, "spec": inner["spec"]}  # fmt: skip
            admitted = api_server.request("POST", f"/api/v1/namespaces/{space}/pods", pod, dryRun="All")  # fmt: skip
            assert admitted.get("kind") == "Pod", admitted


def moved(child: Manifest, space: str) -> Manifest:
    return child | {"metadata": {**child["metadata"], "namespace": space}}

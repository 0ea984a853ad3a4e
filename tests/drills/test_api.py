"""A real API server takes everything a drill creates, from templates as it gives them itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from apiserver import ApiServer

from readiness.drills.isolation import build_isolation, build_runner_access
from readiness.drills.job import build_job
from readiness.drills.sink import build_sink, with_gate
from readiness.drills.stores import build_store
from readiness.failover import FailoverScript, StoreSubject
from readiness.model import Manifest
from readiness.script import Arm, Edit, Script, Store
from readiness.timeline import Problem

from .cloning import ARM, CACHE, NAMES, PLACE, SUBJECT, clone, deployment, template

pytestmark = pytest.mark.api
NAMESPACE = "shop"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
PATHS = {
    "Pod": "/api/v1/namespaces/shop/pods",
    "Job": "/apis/batch/v1/namespaces/shop/jobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
    "Deployment": "/apis/apps/v1/namespaces/shop/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/shop/statefulsets",
}
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "drill-test"},
    "value": -10, "preemptionPolicy": "Never",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    """With a namespace `shop` and the ServiceAccounts that templates name."""
    namespace = {"metadata": {"name": NAMESPACE, "labels": {}}}
    api_server.request("POST", "/api/v1/namespaces", namespace)
    for name in ("default", "web", "readiness-drill", "readiness-failover"):
        account = {"metadata": {"name": name}}
        api_server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    api_server.request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", PRIORITY)
    yield api_server
    api_server.request("DELETE", "/apis/scheduling.k8s.io/v1/priorityclasses/drill-test")
    api_server.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def tried(server: ApiServer, manifest: Manifest) -> Manifest:
    """What the server would store; it says so strictly when a field is wrong."""
    made = server.request("POST", PATHS[manifest["kind"]], manifest, dryRun="All", fieldValidation="Strict")  # fmt: skip
    assert made["kind"] == manifest["kind"], made
    return made


def served(server: ApiServer, name: str) -> Manifest:
    """A template of ours, with every default that the server sets."""
    workload = template(name)
    return tried(server, workload) if workload["kind"] in PATHS else workload


def values(manifest: Any, key: str) -> Iterator[Any]:
    if isinstance(manifest, dict):
        if key in manifest:
            yield manifest[key]
        for inner in manifest.values():
            yield from values(inner, key)
    elif isinstance(manifest, list):
        for inner in manifest:
            yield from values(inner, key)


@pytest.mark.parametrize("name", NAMES)
def test_a_clone_is_a_pod_that_nothing_is_mounted_in(server: ApiServer, name: str):
    place = replace(PLACE, avoid=("node-1", "node-2"), priority_class="drill-test")
    made = tried(server, clone(served(server, name), ARM, place, stores=(CACHE,)))

    for key in ("persistentVolumeClaim", "hostPath", "serviceAccountToken", "hostPort", "ephemeral", "csi", "nfs"):  # fmt: skip
        assert list(values(made["spec"], key)) == [], key
    assert made["spec"]["preemptionPolicy"] == "Never"
    assert made["spec"]["restartPolicy"] == "Never"
    assert all("livenessProbe" not in c for c in made["spec"]["containers"])


def test_an_explicit_environment_is_accepted_with_a_name_from_several_sources(server: ApiServer):
    arm = Arm("boot", (), (Edit("TOKEN"), Edit("MODE", "x")), explicit=True)
    made = tried(server, clone(served(server, "sources"), arm, declared=("APP_TOKEN", "TOKEN", "B")))  # fmt: skip
    names = [entry["name"] for entry in made["spec"]["containers"][0]["env"]]

    assert names.count("APP_TOKEN") == 3
    assert "TOKEN" not in names


def test_never_preempting_needs_a_class_that_says_so(server: ApiServer):
    pod = clone(deployment())
    tried(server, pod)
    pod["spec"]["preemptionPolicy"] = "Never"
    answer = server.request("POST", PATHS["Pod"], pod, dryRun="All")

    assert answer["code"] == 403
    assert "PreemptionPolicy" in answer["message"]


@pytest.fixture
def restricted(server: ApiServer) -> Iterator[None]:
    """The namespace admits what the restricted Pod Security Standard allows only."""
    path = f"/api/v1/namespaces/{NAMESPACE}"
    server.kubectl("label", "namespace", NAMESPACE, *(f"{k}={v}" for k, v in RESTRICTED.items()))
    assert server.request("GET", path)["metadata"]["labels"].items() >= RESTRICTED.items()
    yield
    server.kubectl("label", "namespace", NAMESPACE, *(f"{k}-" for k in RESTRICTED))


@pytest.mark.parametrize(
    "store",
    [CACHE, Store("jobs", "rabbitmq", ("jobs",), 5672), Store("db", "mongodb", ("db",), 27017, "s")],
    ids=lambda s: s.kind,
)  # fmt: skip
def test_a_store_is_a_restricted_pod(server: ApiServer, restricted: None, store: Store):
    made = build_store(store, "store:1", replace(PLACE, priority_class="drill-test"))
    assert not isinstance(made, Problem)
    tried(server, made)
    tried(server, with_gate(made, "operator:1"))


def test_the_sink_is_a_restricted_pod(server: ApiServer, restricted: None):
    tried(server, build_sink(replace(PLACE, priority_class="drill-test"), "operator:1", 16))


def test_the_job_and_its_restricted_pod(server: ApiServer, restricted: None):
    owner = {"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "name": "p", "uid": "9"}  # fmt: skip
    clones = Script("ab12", SUBJECT, (Arm("boot", (), (Edit("A", "$(B)"),)),))
    live = FailoverScript("ab13", StoreSubject("shop", "jobs", "rabbitmq", ("q-0.n",), 5672, "q", monitor="k"), ())  # fmt: skip
    for script in (clones, live):
        job = tried(server, build_job(script, "operator:1", owner))
        inner = job["spec"]["template"]
        tried(server, {"kind": "Pod", "metadata": {"name": "x", **inner["metadata"]}, "spec": inner["spec"]})  # fmt: skip


def test_network_policies(server: ApiServer):
    job = tried(server, build_job(Script("ab12", SUBJECT, (ARM,)), "operator:1"))
    for policy in (build_isolation(PLACE), build_runner_access(job)):
        assert tried(server, policy)["spec"]["policyTypes"] == ["Ingress", "Egress"]

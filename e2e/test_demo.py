"""`make demo` on real pods: both verdicts, every failure with its remedy, and rights that are needed and suffice."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.append(str(Path(__file__).resolve().parent))

import clusters
import demo
from clusters import Cluster
from localcluster import state

pytestmark = pytest.mark.e2e
USER = f"system:serviceaccount:{demo.NAMESPACE}:{demo.RELEASE}"
Right = tuple[str, str, str]
RARE = {  # what a run without restarts, conflicts, repetitions and departing targets does not do
    ("readiness.dev", "readinessreports", "get"),
    ("readiness.dev", "readinesspolicies", "get"),
    ("readiness.dev", "readinessreports", "create"),  # granted for applying what does not exist yet
    ("readiness.dev", "readinessreports", "delete"),
    ("events.k8s.io", "events", "patch"),
    ("argoproj.io", "rollouts", "watch"),  # where Argo Rollouts is installed
    ("monitoring.coreos.com", "prometheusrules", "watch"),  # where the Prometheus Operator is
    ("monitoring.coreos.com", "servicemonitors", "watch"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The demo's cluster with the demo in it; taken down if it was not up before."""
    before = clusters.NAME in state.cluster_names()
    found = clusters.up(os.environ)
    assert demo.main() == 0
    yield found
    if not before and found.kind != "current":
        clusters.down()


def status(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    return dict(demo.policy(cluster, namespace, name)["status"])


def test_good_application_is_compliant(cluster: Cluster) -> None:
    found = status(cluster, "shop", "checkout")
    assert found["failures"] == []
    assert found["level"] == "P3"


def test_every_failure_says_what_where_and_how_to_mend_it(cluster: Cluster) -> None:
    failures = status(cluster, "legacy", "orders")["failures"]
    failing = {row["id"] for row in failures if row["result"] == "Fail"}
    assert failing == {
        "CFG-003", "CFG-004", "HA-006", "HLT-005", "REL-001", "SEC-001", "SEC-009", "SEC-010", "SEC-011", "SHD-008",
    }  # fmt: skip
    for row in failures:
        assert all(row[field] for field in ("target", "message", "expected", "observed", "fix")), (
            row
        )


def test_no_secret_of_the_samples_is_written_anywhere(cluster: Cluster) -> None:
    kinds = "readinesspolicies,readinessreports,events"
    written = json.loads(cluster.run("kubectl", "get", kinds, "-n", "legacy", "-o", "json"))
    for item in written["items"]:
        item["metadata"].pop("annotations", None)
    pods = f"app.kubernetes.io/name={demo.RELEASE}"
    logs = cluster.run("kubectl", "logs", "-n", demo.NAMESPACE, "-l", pods, "--tail=-1")
    assert [
        text for text in ("Xk29vQz81LmT", "Wq83nfKp20sY") if text in json.dumps(written) + logs
    ] == []


def test_second_run_changes_nothing(cluster: Cluster) -> None:
    def generations() -> list[tuple[str, int]]:
        found = json.loads(cluster.run("kubectl", "get", "deployments,rdy", "-A", "-o", "json"))
        return sorted((i["metadata"]["name"], i["metadata"]["generation"]) for i in found["items"])

    before = generations()
    assert demo.main() == 0
    assert generations() == before


def test_rights_suffice_and_are_used(cluster: Cluster) -> None:
    if cluster.kind != "local":
        pytest.skip(f"the audit log of a {cluster.kind} cluster is out of reach")
    events = [
        json.loads(line) for line in state.load(cluster.name).audit_log.read_text().splitlines()
    ]
    ours = [each for each in events if each["user"]["username"] == USER]
    refused = [
        each["requestURI"] for each in ours if each.get("responseStatus", {}).get("code") == 403
    ]
    assert refused == []
    used = {right_of(each["objectRef"], each["verb"]) for each in ours if "objectRef" in each}
    assert granted(cluster) - used <= RARE


def right_of(ref: dict[str, str], verb: str) -> Right:
    inner = f"/{ref['subresource']}" if "subresource" in ref else ""
    return ref.get("apiGroup", ""), ref["resource"] + inner, verb


def granted(cluster: Cluster) -> set[Right]:
    text = cluster.run("kubectl", "get", "clusterrole", demo.RELEASE, "-o", "yaml")
    rules = yaml.safe_load(text)["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

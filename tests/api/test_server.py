"""What only a real API server shows: defaults, pruning, the status subresource, what kubectl prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver import ApiServer
from judges import collection, documents, manifest

pytestmark = pytest.mark.api
POLICIES = collection("ReadinessPolicy")
MINIMAL = {"targets": [{"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}]}


@pytest.fixture
def applied(api_server: ApiServer) -> Iterator[dict[str, dict[str, Any]]]:
    """The full object of every kind, as stored."""
    made = {}
    for kind, document in documents().items():
        made[kind] = api_server.request("POST", collection(kind), document)
        assert made[kind]["kind"] == kind, made[kind]
    yield made
    for kind in made:
        api_server.request("DELETE", f"{collection(kind)}/full")


def create(server: ApiServer, spec: Any, **query: str) -> dict[str, Any]:
    body = manifest("ReadinessPolicy", "spec", spec)
    return server.request("POST", POLICIES, body, dryRun="All", **query)


def test_the_server_defaults_as_the_description_says(api_server: ApiServer):
    assert create(api_server, MINIMAL)["spec"] == {
        "profiles": ["baseline"],
        "enforcement": "audit",
        "environment": "prod",
        "suspend": False,
        "deletionPolicy": "Retain",
        "safety": {"unisolated": False},
        "targets": [
            {
                "name": "api",
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                "shutdown": {
                    "drain": "15s",
                    "okExitCodes": [0, 143],
                    "refuseAfter": "2s",
                    "idleExit": "3s",
                    "propagation": "5s",
                    "standalone": False,
                },
            }
        ],
    }


def test_unknown_fields_are_pruned_where_they_are_not_refused(api_server: ApiServer):
    strange = {**MINIMAL, "nobody": 1, "controls": [{"id": "HDR-003", "params": {"any": [1]}}]}
    kept = create(api_server, strange, fieldValidation="Ignore")["spec"]

    assert "nobody" not in kept
    assert kept["controls"][0]["params"] == {"any": [1]}


def test_a_status_is_written_only_through_its_subresource_and_comes_back_as_it_was(
    api_server: ApiServer, applied: dict[str, dict[str, Any]]
):
    policy, told = applied["ReadinessPolicy"], documents()["ReadinessPolicy"]["status"]
    assert "status" not in policy

    forged = policy | {"status": told}
    assert "status" not in api_server.request("PUT", f"{POLICIES}/full", forged)

    changed = forged | {"spec": {"suspend": False}}
    answer = api_server.request("PUT", f"{POLICIES}/full/status", changed)
    assert answer["status"] == told
    assert answer["spec"] == policy["spec"]
    assert answer["metadata"]["generation"] == 1


@pytest.mark.parametrize("kind", ["ReadinessReport", "ReadinessWaiver", "ReadinessProfile"])
def test_the_other_kinds_have_no_status(
    kind: str, api_server: ApiServer, applied: dict[str, dict[str, Any]]
):
    assert api_server.request("GET", f"{collection(kind)}/full/status")["code"] == 404


def test_a_wrong_status_is_refused(api_server: ApiServer, applied: dict[str, dict[str, Any]]):
    told = documents()["ReadinessPolicy"]["status"] | {"level": "P9"}
    answer = api_server.request(
        "PUT", f"{POLICIES}/full/status", applied["ReadinessPolicy"] | {"status": told}
    )

    assert 'status.level: Unsupported value: "P9"' in answer["message"]


def test_kubectl_get_prints_the_verdict(api_server: ApiServer, applied: dict[str, dict[str, Any]]):
    told = documents()["ReadinessPolicy"]["status"]
    api_server.request(
        "PUT", f"{POLICIES}/full/status", applied["ReadinessPolicy"] | {"status": told}
    )

    def row(short: str) -> dict[str, str]:
        head, line = api_server.kubectl("get", short).splitlines()
        columns = [(found.group(), found.start()) for found in re.finditer(r"\S+", head)]
        ends = [*(start for _, start in columns[1:]), None]
        return {
            name: line[start:end].strip() for (name, start), end in zip(columns, ends, strict=True)
        }

    policy = row("rdy")
    told_columns = {k: v for k, v in policy.items() if k not in ("NAME", "AGE")}
    assert told_columns == {
        "READY": "True",
        "COMPLIANT": "False",
        "LEVEL": "",
        "FAIL": "2",
        "COVERAGE": "61/64",
        "REASON": "ControlsFail",
    }
    assert row("rdr")["FAIL"] == "1"
    assert row("rdw")["CONTROLS"] == '["HDR-003"]'
    assert row("rdw")["EXPIRES"] == "2027-01-31T12:00:00Z"
    assert row("rdp")["NAME"] == "full"
    assert len(api_server.kubectl("get", "readiness", "-o", "name").split()) == 4


def test_kubectl_explains_every_field_with_its_default(api_server: ApiServer):
    text = api_server.kubectl("explain", "rdy.spec.targets.health")

    assert "path\t<string> -required-" in text
    assert "Longest acceptable time for a health answer. Default: 1s." in text
    assert "<no description>" not in api_server.kubectl("explain", "rdy.spec", "--recursive")

"""The generated CRDs: committed as they are, structural, bounded, described, and as wide as our writers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness import report, status
from readiness.api.policy import PolicySpec
from readiness.api.status import PolicyStatus, ReportBody
from readiness.api.types import VALIDATIONS
from readiness.crd import KINDS, build_crds, render_crd
from readiness.model import Mode, Result, Safety, Severity

CRDS = Path(__file__).resolve().parents[1] / "crds"
BUILT = build_crds()
ALLOWED = {
    "description", "type", "enum", "format", "pattern", "default", "required", "properties",
    "items", "additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "maxProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    VALIDATIONS,
}  # fmt: skip
Node = dict[str, Any]


def schema_of(crd: Node) -> Node:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from walk(node[key], f"{path}{mark}")


NODES = [
    (path, node)
    for crd in BUILT.values()
    for path, node in walk(schema_of(crd), crd["spec"]["names"]["shortNames"][0])
]
FRAME = re.compile(r"^\w+\.(apiVersion|kind|metadata)$")
OURS = [(path, node) for path, node in NODES if not FRAME.match(path)]


def offenders(broken: Any, nodes: list[tuple[str, Node]] = OURS) -> list[str]:
    return [path for path, node in nodes if broken(node)]


def test_the_committed_files_are_the_generated_ones():
    committed = {path.name: path.read_text() for path in CRDS.glob("*.yaml")}

    assert committed == {name: render_crd(crd) for name, crd in BUILT.items()}
    assert all("Do not edit" in text.splitlines()[0] for text in committed.values())


# --- structural: what an API server refuses, found without one


def test_only_keywords_of_a_structural_schema():
    assert offenders(lambda node: node.keys() - ALLOWED, NODES) == []


def test_every_node_has_a_type():
    free = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    assert offenders(lambda n: "type" not in n and not any(k in n for k in free), NODES) == []
    assert offenders(lambda n: n.get("type") == "null", NODES) == []


def test_properties_and_additional_properties_exclude_each_other():
    assert offenders(lambda n: "properties" in n and "additionalProperties" in n) == []


def test_every_list_says_how_it_merges():
    assert offenders(lambda n: n.get("type") == "array" and "x-kubernetes-list-type" not in n) == []
    assert (
        offenders(
            lambda n: (
                n.get("x-kubernetes-list-type") == "set" and n["items"].get("type") == "object"
            )
        )
        == []
    )


def test_keys_of_list_maps_are_required():
    def without_key(node: Node) -> bool:
        keys = node.get("x-kubernetes-list-map-keys", ())
        return any(key not in node["items"]["required"] for key in keys)

    assert offenders(without_key) == []


def test_required_fields_exist_and_have_no_default():
    def wrong(node: Node) -> bool:
        properties = node.get("properties", {})
        return any("default" in properties.get(k, {"default": 0}) for k in node.get("required", ()))

    assert offenders(wrong) == []


def test_rules_are_one_line_and_blame_a_field_that_exists():
    def wrong(node: Node) -> bool:
        return any(
            "\n" in rule["message"]
            or rule.get("fieldPath", ".").removeprefix(".") not in ("", *node.get("properties", ()))
            for rule in node.get(VALIDATIONS, ())
        )

    assert offenders(wrong) == []


# --- bounded: CEL's budget, etcd and the status depend on it


def test_everything_that_grows_is_bounded():
    bound = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",)}
    assert offenders(lambda n: not any(k in n for k in bound.get(n.get("type"), n))) == []
    free = ("additionalProperties", "x-kubernetes-preserve-unknown-fields")
    assert offenders(lambda n: any(k in n for k in free) and "maxProperties" not in n) == []


def test_everything_is_described():
    unsaid = [
        path for path, node in OURS
        if not node.get("description") and not path.endswith(("[]", "{}"))
    ]  # fmt: skip
    assert unsaid == []
    assert (
        offenders(lambda n: not n.get("description", "x.").rstrip("`").endswith((".", ")"))) == []
    )


def test_no_field_names_a_namespace():
    named = [path for path, _ in NODES if "namespace" in path.rpartition(".")[2].lower()]

    assert named == ["rdp.spec.appliesTo.namespaceSelector"]


# --- defaults


def test_defaults_are_the_models_and_only_in_specs():
    found = {path: node["default"] for path, node in NODES if "default" in node}

    assert found == {
        "rdy.spec.profiles": ["baseline"],
        "rdy.spec.enforcement": "audit",
        "rdy.spec.environment": "prod",
        "rdy.spec.suspend": False,
        "rdy.spec.targets[].workloadRef.apiVersion": "apps/v1",
        "rdy.spec.targets[].health.maxLatency": "1s",
        "rdy.spec.targets[].shutdown": {},
        "rdy.spec.targets[].shutdown.drain": "15s",
        "rdy.spec.targets[].shutdown.drainEnv.unit": "s",
        "rdy.spec.targets[].shutdown.okExitCodes": [0, 143],
        "rdy.spec.targets[].shutdown.refuseAfter": "2s",
        "rdy.spec.targets[].shutdown.idleExit": "3s",
        "rdy.spec.targets[].shutdown.propagation": "5s",
        "rdy.spec.targets[].shutdown.standalone": False,
        "rdy.spec.safety": {},
        "rdy.spec.safety.unisolated": False,
        "rdy.spec.targets[].upstreams[].timeout": "30s",
        "rdy.spec.targets[].upstreams[].retryBudget": "60s",
        "rdy.spec.targets[].upstreams[].call.method": "GET",
        "rdy.spec.targets[].upstreams[].call.fallback": False,
        "rdy.spec.targets[].config.env[].required": False,
        "rdy.spec.targets[].config.startupFail": "30s",
        "rdy.spec.targets[].config.ephemeralPatterns": [":memory:", "mode=memory"],
        "rdy.spec.targets[].load.worstCase.body": "{}",
        "rdy.spec.targets[].load.worstCase.contentType": "application/json",
        "rdy.spec.targets[].load.worstCase.method": "POST",
        "rdy.spec.targets[].limits.body": "10M",
        "rdy.spec.targets[].limits.request.body": "{}",
        "rdy.spec.targets[].limits.request.contentType": "application/json",
        "rdy.spec.targets[].limits.request.method": "POST",
        "rdy.spec.targets[].errors.logFields": ["path", "method", "status", "timestamp", "message"],
        "rdy.spec.targets[].scenarios[].steps[].request.method": "GET",
        "rdy.spec.targets[].cors.credentials": False,
        "rdy.spec.targets[].metrics.path": "/metrics",
        "rdy.spec.targets[].data.pool[].workers": 1,
        "rdy.spec.targets[].qos.jobTTL": "24h",
        "rdy.spec.targets[].qos.priority.levels": 2,
        "rdy.spec.targets[].metrics.maxSeries": 10000,
        **{
            f"rdy.spec.dataServices[].{kind}.{field}": default
            for kind in ("redis", "mongodb", "rabbitmq")
            for field, default in (
                ("replicas", 3),
                ("storage", "1Gi"),
                ("metrics", {}),
                ("metrics.serviceMonitor", False),
            )
        },
        "rdy.spec.dataServices[].rabbitmq.storage": "10Gi",
        **{
            f"rdy.spec.dataServices[].external.{kind}.tls": False
            for kind in ("redis", "mongodb", "rabbitmq")
        },
        "rdy.spec.dataServices[].external.redis.sentinel.port": 26379,
        "rdy.spec.dataServices[].external.redis.sentinel.group": "mymaster",
        "rdy.spec.dataServices[].external.rabbitmq.managementPort": 15672,
        "rdy.spec.deletionPolicy": "Retain",
        "rdy.spec.backups.destination.s3.endpoint": "https://s3.amazonaws.com",
        "rdy.spec.backups.destination.sftp.port": 22,
        "rdy.spec.backups.destination.sftp.directory": "backups",
        "rdy.spec.backups.volumes[].user": 65532,
        "rdy.spec.backups.volumes[].group": 65532,
        "rdy.spec.backups.volumes[].scratch": "10Gi",
        "rdy.spec.backups.restoreDrill": {},
        "rdy.spec.backups.restoreDrill.schedule": "0 4 * * 0",
        "rdy.spec.backups.schedule": "0 2 * * *",
        "rdy.spec.backups.timeZone": "Etc/UTC",
        "rdy.spec.backups.retention": {},
        "rdy.spec.backups.retention.daily": 30,
        "rdy.spec.backups.retention.monthly": 12,
        "rdy.spec.backups.retention.keepLast": 3,
        "rdy.spec.dataServices[].backup.enabled": True,
        "rdy.spec.dataServices[].backup.retention.daily": 30,
        "rdy.spec.dataServices[].backup.retention.monthly": 12,
        "rdy.spec.dataServices[].backup.retention.keepLast": 3,
        "rdy.spec.safety.disruptive.window.timeZone": "Etc/UTC",
        "rdy.spec.config.forbidden[].environments": ["prod"],
        "rdp.spec.floor[].mode": "enforce",
    }


def defaulted(node: Node, value: Any) -> Any:
    """What an API server makes of a value: defaults, from the outside in."""
    if isinstance(value, list):
        return [defaulted(node["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = node.get("properties", {})
    filled = {k: v["default"] for k, v in fields.items() if "default" in v} | value
    return {k: defaulted(fields[k], v) if k in fields else v for k, v in filled.items()}


def test_a_defaulted_policy_parses_to_the_same_spec():
    written = {
        "targets": [
            {
                "name": "api",
                "workloadRef": {"kind": "Deployment", "name": "api"},
                "health": {"path": "/health"},
                "cors": {"allowedOrigins": ["https://a.example.com"]},
                "metrics": {},
            }
        ],
        "config": {"forbidden": [{"name": "A", "pattern": "b"}]},
    }
    served = defaulted(schema_of(BUILT[KINDS[0].filename])["properties"]["spec"], written)

    assert served["targets"][0]["shutdown"]["okExitCodes"] == [0, 143]
    assert PolicySpec.model_validate(served) == PolicySpec.model_validate(written)


# --- names and columns


@pytest.mark.parametrize(
    ("kind", "short", "scope", "columns"),
    [
        ("ReadinessPolicy", "rdy", "Namespaced", "READY COMPLIANT LEVEL FAIL COVERAGE REASON AGE"),
        ("ReadinessReport", "rdr", "Namespaced", "TARGET COMPLIANT FAIL UNKNOWN AGE"),
        ("ReadinessWaiver", "rdw", "Namespaced", "POLICY CONTROLS OWNER EXPIRES AGE"),
        ("ReadinessProfile", "rdp", "Cluster", "DESCRIPTION AGE"),
    ],
)
def test_names_scope_and_columns(kind: str, short: str, scope: str, columns: str):
    (crd,) = (c for c in BUILT.values() if c["spec"]["names"]["kind"] == kind)
    version = crd["spec"]["versions"][0]
    narrow = [c["name"] for c in version["additionalPrinterColumns"] if not c.get("priority")]

    assert crd["spec"]["names"]["shortNames"] == [short]
    assert crd["spec"]["names"]["categories"] == ["readiness"]
    assert crd["spec"]["scope"] == scope
    assert narrow == columns.split()
    assert ("subresources" in version) == (kind == "ReadinessPolicy")


# --- what the operator writes fits: a cap below a writer's would keep a verdict from being told


def test_closed_sets_are_the_models():
    rows = ReportBody.model_json_schema()["$defs"]["ReportRow"]["properties"]

    assert rows["result"]["enum"] == [r.value for r in Result]
    assert rows["severity"]["enum"] == [s.value for s in Severity]
    assert rows["safety"]["enum"] == [s.value for s in Safety]
    assert rows["mode"]["enum"] == [m.value for m in Mode]


def test_reports_are_cut_before_the_schema_would_refuse_them():
    schema = ReportBody.model_json_schema()
    rows = schema["$defs"]["ReportRow"]["properties"]

    assert {k: rows[k]["maxLength"] >= cap for k, cap in report._CAPS.items()} == dict.fromkeys(
        report._CAPS, True
    )
    assert schema["properties"]["results"]["maxItems"] >= report.ROWS
    assert PolicyStatus.model_json_schema()["properties"]["failures"]["maxItems"] >= status.FAILURES

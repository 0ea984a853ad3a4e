"""Bad input: an older object, poison, what is missing, what is forbidden. Each says what to do; none stops others."""

from __future__ import annotations

import json

import pytest
from apiserver import CRDS
from holdrig import until
from holdworld import PASSIVE, deployment, policy, target

pytestmark = pytest.mark.api
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/readinesspolicies.readiness.dev"


@pytest.fixture
def without_schema(api_server):
    """The CRD as if it came from a time without rules; calling it puts the rules back."""
    file = next(p for p in CRDS.glob("*.yaml") if "readinesspolicies" in p.read_text())
    crd = api_server.request("GET", CRD)
    for version in crd["spec"]["versions"]:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version["schema"]["openAPIV3Schema"] = {
            "type": "object", "properties": {"spec": anything, "status": anything},
        }  # fmt: skip
    assert "spec" in api_server.request("PUT", CRD, crd)

    def restore() -> None:
        api_server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(file))

    yield restore
    restore()


def create(space, body) -> bool:
    return "uid" in space.api.request("POST", space.path("readinesspolicies"), body).get(
        "metadata", {}
    )


def test_an_older_invalid_object_names_the_path(launch, space, without_schema):
    old = policy("old")
    old["spec"]["targets"][0]["shutdown"] = {"drain": "a while"}
    old["spec"]["targets"].append({"name": "B A D"})
    until(lambda: create(space, old), 20, "a lax CRD")
    without_schema()
    launch()
    until(lambda: space.condition("Accepted", "old") == "False/InvalidSpec", 30)
    rows = {c["type"]: c for c in space.status("old")["conditions"]}
    for words in ("spec.targets[0].shutdown.drain", "a while", "spec.targets[1]"):
        assert words in rows["Accepted"]["message"]
    assert rows["Compliant"]["status"] == "Unknown"
    assert rows["Ready"]["status"] == "False"
    until(lambda: space.events("old"), 10, "the event that follows the status")
    assert [e["reason"] for e in space.events("old")] == ["InvalidSpec"]


SHAPES = {
    "null": None, "text": "all of it", "number": 7, "list": [1, [2]],
    "no-targets": {"profiles": ["baseline"]}, "targets-null": {"targets": None},
    "targets-text": {"targets": ["app", 1, None]}, "ref-text": {"targets": [{"name": "a", "workloadRef": "x"}]},
    "names-odd": {"targets": [{"name": 1, "workloadRef": {"kind": [], "name": {}}, "service": {"name": 2}}]},
    "exempt-odd": {"targets": [], "exempt": ["x", {"ref": 3}]},
}  # fmt: skip


def test_no_shape_of_an_older_object_stops_the_others(launch, space, without_schema):
    until(lambda: create(space, policy("first")), 20, "a lax CRD")
    for name, spec in SHAPES.items():
        body = {
            "apiVersion": "readiness.dev/v1alpha1",
            "kind": "ReadinessPolicy",
            "metadata": {"name": name},
            "spec": spec,
        }
        if name != "null":
            create(space, body)
    operator = launch()
    space.apply(deployment("first"))
    space.await_verdict("True", "first")
    space.apply(deployment("first", good=False))
    space.await_verdict("False", "first")
    without_schema()
    assert operator.page("/healthz").status_code == 200
    refused = {name for name in SHAPES if space.condition("Accepted", name).startswith("False")}
    assert refused >= {"targets-text", "ref-text", "names-odd", "exempt-odd"}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_poison_costs_only_itself(launch, space):
    operator = launch()
    before = operator.memory()
    deep = policy("deep")
    deep["spec"]["controls"][0]["params"] = {"deep": nested(200)}
    long = policy("long", *(target(f"t{n}", f"w{n}") for n in range(20)))
    loud = deployment("loud")
    loud["metadata"]["annotations"] = {"noise": "x" * 250_000}
    wide = deployment("wide")
    wide["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": f"V{n}", "value": "y" * 40} for n in range(8000)
    ]
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "big"},
        "data": {"big": "password=" + "z" * 900_000},
    }
    space.apply(config, loud, wide)
    for poison in (deep, long, policy("loud"), policy("wide")):
        space.api.request("POST", space.path("readinesspolicies"), poison)
    for name in ("a", "b", "c"):
        space.apply(deployment(name), policy(name))
    for name in ("a", "b", "c", "loud", "wide"):
        space.await_verdict("True", name)
    space.await_verdict("Unknown", "long")
    assert len(json.dumps(space.status("long"))) <= 32 * 1024
    assert operator.memory() - before < 60
    assert not operator.said('"level": "error"')


def test_what_is_missing_is_named(launch, space, served):
    launch()
    space.apply(deployment(), policy("odd", target("app"), profiles=["nonesuch"]))
    until(lambda: space.condition("Accepted", "odd") == "False/ProfileNotFound")
    message = next(
        c["message"] for c in space.status("odd")["conditions"] if c["type"] == "Accepted"
    )
    assert "nonesuch" in message
    assert "baseline" in message, "the message must say what exists"

    address, port, _ = served
    workload = deployment(replicas=1)
    workload["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = port
    space.apply(workload)
    space.run_pod("app", address)
    service = {"name": "nowhere", "port": "http"}
    space.apply(policy("served", target("app", service=service), controls=(*PASSIVE, "CFG-009")))
    until(lambda: space.finding("CFG-009", "served").get("reason") == "ServiceNotFound", 30)
    row = space.finding("CFG-009", "served")
    assert "nowhere" in row["message"]
    assert row["fix"]


TAKEN = ("deployments", "pods", "configmaps")


@pytest.mark.parametrize("kind", TAKEN)
def test_a_right_taken_away_costs_only_its_controls(launch, space, seats, kind):
    """At run time, and given back: what cannot be read is Unknown/Forbidden, never absent or wrong."""
    seat = seats()
    operator = launch(seat.kubeconfig(), operator_namespace=seat.name, resync=3)
    workload = deployment()
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"configMapRef": {"name": "app"}}]
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "app"},
        "data": {"A": "b"},
    }
    space.apply(config, workload, policy(controls=(*PASSIVE, "CFG-003", "REL-004")))
    until(lambda: space.finding("SEC-010").get("result") == "Pass", 30)
    before = space.verdict()
    kept: list[dict[str, object]] = []

    def without(rules):
        kept.extend(rules)
        return [r | {"resources": [x for x in r["resources"] if x != kind]} for r in rules]

    def forbidden() -> set[str]:
        rows = [row for r in space.reports() for row in r["report"]["results"]]
        return {
            row["id"]
            for row in rows
            if row["reason"] == "Forbidden" and kind in row["message"].lower()
        }

    seat.rules(without)
    until(forbidden, 60, "Forbidden")
    assert space.verdict() == "Unknown/Unproven"
    everything = {c for c in (*PASSIVE, "CFG-003", "REL-004") if not c.startswith("GAT-")}
    wanted = {"deployments": everything, "pods": {"REL-004"}, "configmaps": {"SEC-001"}}[kind]
    until(lambda: forbidden() == wanted, 20, f"{wanted}, it is {forbidden()}")
    assert operator.page("/readyz").status_code == 200
    seat.rules(lambda _: kept)
    until(lambda: space.verdict() == before, 100, "recovery")

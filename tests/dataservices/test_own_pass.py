"""What the operator renders passes what it demands of data services, as far as objects tell."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

import readiness.controls
from readiness.api.policy import PolicySpec
from readiness.control import Requirement
from readiness.dataservices.children import credentials_of
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.order import Order
from readiness.inspection import StoreAnswer, Told
from readiness.model import Result
from readiness.naming import store_labels
from readiness.registry import discover
from readiness.snapshot import Provided, Snapshot
from readiness.subjects import subjects_of

CONTROLS: Any = discover(readiness.controls, Requirement)
TOLD = {
    "redis": {"info": {"aof_enabled": "1"}, "config": {"appendonly": "yes", "maxmemory-policy": "noeviction"}},
    "mongodb": {"storage": {"persistent": True}},
    "rabbitmq": {"nodes": [{"name": "rabbit@x", "disk_free": 9 * 2**30}]},
}  # fmt: skip


def subject_of(kind):
    spec = PolicySpec.model_validate({"dataServices": [{"name": "it", kind.name: {}}]})
    order = Order("shop", "pol", spec.data_services[0], "image", "operator", "readiness", 3, {})
    order = replace(order, credentials=credentials_of(kind, order, "token"))
    children = {}
    for child in kind.build(order):
        meta = child["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), **store_labels("pol", "it")}
        children[child["kind"], meta["name"]] = child
    pods = tuple(
        {
            "metadata": {"name": f"{each['metadata']['name']}-{n}", "labels": each["spec"]["template"]["metadata"]["labels"],
                         "ownerReferences": [{"kind": "StatefulSet", "name": each["metadata"]["name"]}]},
            "spec": {"nodeName": f"node-{n}"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        for each in children.values() if each["kind"] == "StatefulSet" for n in range(each["spec"]["replicas"])
    )  # fmt: skip
    budgets = tuple(c for c in children.values() if c["kind"] == "PodDisruptionBudget")
    nodes = {f"node-{n}": {} for n in range(3)}
    provided = Provided(children=children, pods={"it": pods})
    return subjects_of("pol", spec, Snapshot("shop", budgets=budgets, nodes=nodes, provided=provided), 0.0)["it"]  # fmt: skip


@pytest.mark.parametrize("id_", ["HA-005", "HA-009", "HLT-006"])
@pytest.mark.parametrize("kind", [*KINDS, MONGODB], ids=lambda kind: kind.name)
def test_ours_pass(kind, id_):
    subject, control = subject_of(kind), CONTROLS[id_]
    params = MappingProxyType({p.name: p.default for p in control.params})
    store = subject.store
    told = tuple(Told(store.request.way.name("") or p["metadata"]["name"], TOLD[kind.name]) for p in store.pods)  # fmt: skip
    verdict = control.judge(replace(subject, params=params), {store.request: StoreAnswer(told)})

    assert verdict.result is Result.PASS, verdict


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_ours_are_asked_by_the_names_in_their_certificates(kind):
    subject = subject_of(kind)
    hosts = subject.store.request.hosts
    headless = {c["metadata"]["name"] for c in subject.snapshot.provided.children.values() if c["kind"] == "Service" and c["spec"].get("clusterIP") == "None"}  # fmt: skip

    assert len(hosts) == 3
    assert {host.split(".")[1] for host in hosts} <= headless
    assert all(host.endswith(".shop.svc") for host in hosts)
    assert len(subject.store.request.sentinels) == (3 if kind.name == "redis" else 0)

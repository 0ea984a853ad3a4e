"""Whose clone is made: the address is the one that probes use, the stores are the declared ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.api import read_policy
from readiness.control import Subject
from readiness.drills.subject import drill_subject
from readiness.script import DrillSubject, Store, Upstream
from readiness.snapshot import Provided, Snapshot
from readiness.workload import template_hash

PORTS = [{"name": "web", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
WORKLOAD: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "api"},
    "spec": {"template": {"spec": {"containers": [{"name": "side"}, {"name": "app", "ports": PORTS}]}}},
}  # fmt: skip
CLONED = DrillSubject(
    "shop", "api", "apps/v1", "Deployment", "api", template_hash(WORKLOAD), "app", 8080
)
SERVICES = [
    {"name": "jobs", "external": {"rabbitmq": {"hosts": ["jobs"]}}},
    {"name": "cache", "external": {"redis": {"hosts": ["cache", "cache.shop.svc"], "port": 6380}}},
    {"name": "orders", "external": {"mongodb": {"hosts": ["db"], "secretRef": {"name": "db-auth"}}}},
    {"name": "mail", "external": {"rabbitmq": {"hosts": ["mail"], "tls": True}}},
    {"name": "ours", "redis": {}},
    {"name": "records", "mongodb": {}},
    {"name": "events", "rabbitmq": {"tls": {"secretRef": {"name": "events-tls"}}}},
]  # fmt: skip


def child(kind: str, name: str, service: str = "ours", **spec: Any) -> dict[str, Any]:
    labels = {"readiness.dev/data-service": service}
    return {"kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}


CHILDREN = [
    child("Service", "p-ours-1-members"),
    child("StatefulSet", "p-ours-1-sentinel", serviceName="p-ours-1-sentinels", replicas=1),
    child("StatefulSet", "p-ours-1", serviceName="p-ours-1-members", replicas=2),
    child("Service", "p-other-2", "other"),
    child("StatefulSet", "p-events-3", "events", serviceName="p-events-3-nodes", replicas=1),
]
HOSTS = (
    "p-ours-1-members.shop.svc",
    "p-ours-1-sentinel-0.p-ours-1-sentinels.shop.svc",
    "p-ours-1-0.p-ours-1-members.shop.svc",
    "p-ours-1-1.p-ours-1-members.shop.svc",
)
RUNNING = Snapshot(
    namespace="shop",
    provided=Provided(children={(c["kind"], c["metadata"]["name"]): c for c in CHILDREN}),
)


def service(**port: Any) -> Snapshot:
    entry = {"name": "http", "port": 80, **port}
    return Snapshot(namespace="shop", services={"api": {"spec": {"ports": [entry]}}})


def subject(
    snapshot: Snapshot, workload: dict[str, Any] | None = WORKLOAD, **fields: Any
) -> Subject:
    safety = {"unisolated": fields.pop("unisolated", False)}
    declared = {"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}, **fields}
    policy = read_policy({"targets": [declared], "dataServices": SERVICES, "safety": safety})
    return Subject(policy, policy.targets[0], snapshot, workload)


PLAIN = Snapshot(namespace="shop")
NAMED = {"name": "api", "port": "http"}
ROWS: dict[str, tuple[Subject, DrillSubject]] = {
    "as the template says": (subject(PLAIN), CLONED),
    "another container": (
        subject(PLAIN, container="side"), replace(CLONED, container="side", port=0),
    ),
    "the Service's port": (
        subject(service(targetPort="admin"), service=NAMED),
        replace(CLONED, port=9090, host="api.shop.svc"),
    ),
    "a Service that speaks TLS": (
        subject(service(targetPort=8443, appProtocol="https"), service=NAMED),
        replace(CLONED, port=8443, tls=True, host="api.shop.svc"),
    ),
    "the name that users know": (
        subject(PLAIN, externalURL="https://shop.example.com/a"),
        replace(CLONED, host="shop.example.com"),
    ),
    "a container that is not there": (
        subject(PLAIN, container="gone"), replace(CLONED, container="", port=0),
    ),
    "without a store by the owner's word": (
        subject(PLAIN, shutdown={"standalone": True}), replace(CLONED, standalone=True),
    ),
    "where no network isolates it, by the policy's word": (
        subject(PLAIN, unisolated=True), replace(CLONED, unisolated=True),
    ),
    "variables that are declared": (
        subject(PLAIN, config={"env": [{"name": "B"}, {"name": "A"}]}),
        replace(CLONED, declared=("B", "A")),
    ),
    "what it calls": (
        subject(PLAIN, upstreams=[{"name": "llm", "urlEnv": "LLM_URL", "path": "/v1", "hosts": ["api.example.com"]}]),
        replace(CLONED, upstreams=(Upstream("llm", "LLM_URL", "/v1", ("api.example.com",)),)),
    ),
    "a store that the operator provides": (
        subject(RUNNING, uses=["ours"]),
        replace(CLONED, stores=(Store("ours", "redis", HOSTS, 6379, "p-ours-1"),)),
    ),
    "a store that the operator provides with TLS": (
        subject(RUNNING, uses=["events"]),
        replace(CLONED, stores=(Store("events", "rabbitmq", ("p-events-3-0.p-events-3-nodes.shop.svc",), 5671, "p-events-3"),)),
    ),
    "stores that are not there yet": (subject(PLAIN, uses=["ours", "records"]), CLONED),
    "stores in the order of their use": (
        subject(PLAIN, uses=["orders", "cache", "jobs"]),
        replace(CLONED, stores=(
            Store("orders", "mongodb", ("db",), 27017, "db-auth"),
            Store("cache", "redis", ("cache", "cache.shop.svc"), 6380),
            Store("jobs", "rabbitmq", ("jobs",), 5672),
        )),
    ),
    "a store that speaks TLS": (
        subject(PLAIN, uses=["mail"]), replace(CLONED, stores=(Store("mail", "rabbitmq", ("mail",), 5671),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_subject(row: str):
    given, expected = ROWS[row]

    assert drill_subject(given) == expected


def test_nothing_is_cloned_of_no_workload():
    with pytest.raises(ValueError, match="no workload to clone"):
        drill_subject(subject(PLAIN, workload=None))

"""What is rendered for a RabbitMQ, line by line of what a highly available one needs."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from readiness.api.dataservice import DataService
from readiness.dataservices.order import Order
from readiness.dataservices.rabbitmq import RABBITMQ, build_rabbitmq
from readiness.dataservices.rabbitmq.users import APPLICATION, CREDENTIALS, USERS, password_hash

Object = dict[str, Any]
KNOWN = {each.key: f"{each.key}-secret" for each in CREDENTIALS}
GIB = 2**30


def order(nodes: int = 3, known: dict[str, str] | None = None, **spec: Any) -> Order:
    service = DataService.model_validate({"name": "jobs", "rabbitmq": spec})
    return Order("shop", "checkout", service, "rabbitmq:4", "op:1", "ops", nodes, known or KNOWN)


def built(**given: Any) -> dict[tuple[str, str], Object]:
    """Children by kind and part of their name."""
    asked = order(**given)
    main = asked.name()
    return {
        (child["kind"], child["metadata"]["name"].removeprefix(main).lstrip("-")): child
        for child in build_rabbitmq(asked)
    }


def members(**given: Any) -> Object:
    return built(**given)["StatefulSet", ""]["spec"]


def pod(**given: Any) -> Object:
    return members(**given)["template"]["spec"]


def server(**given: Any) -> Object:
    return pod(**given)["containers"][0]


def env(**given: Any) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in server(**given)["env"]}


def conf(file: str = "10-operator.conf", **given: Any) -> dict[str, str]:
    text = built(**given)["ConfigMap", "conf"]["data"][file]
    return dict(line.split(" = ", 1) for line in text.splitlines())


def secret(part: str, **given: Any) -> dict[str, str]:
    found = built(**given)["Secret", part]["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def wall() -> list[Object]:
    return built()["NetworkPolicy", ""]["spec"]["ingress"]


def test_the_whole_set_is_there():
    assert list(built()) == [
        ("ServiceAccount", ""),
        ("Secret", "cookie"),
        ("Secret", "definitions"),
        ("Secret", ""),
        ("ConfigMap", "plugins"),
        ("ConfigMap", "conf"),
        ("ConfigMap", "scripts"),
        ("Service", "nodes"),
        ("Service", ""),
        ("PodDisruptionBudget", ""),
        ("NetworkPolicy", ""),
        ("StatefulSet", ""),
    ]


OBJECTS: list[tuple[str, Callable[[], Any], Any]] = [
    ("three members", lambda: members()["replicas"], 3),
    ("start together", lambda: members()["podManagementPolicy"], "Parallel"),
    ("the operator rolls", lambda: members()["updateStrategy"], {"type": "OnDelete"}),
    ("volumes outlive all", lambda: members()["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"}),
    ("named by the headless service", lambda: members()["serviceName"], built()["Service", "nodes"]["metadata"]["name"]),
    ("no address of its own", lambda: built()["Service", "nodes"]["spec"]["clusterIP"], "None"),
    ("names before readiness", lambda: built()["Service", "nodes"]["spec"]["publishNotReadyAddresses"], True),
    ("ports of the cluster", lambda: [p["port"] for p in built()["Service", "nodes"]["spec"]["ports"]], [4369, 25672]),
    ("ports of clients", lambda: [p["port"] for p in built()["Service", ""]["spec"]["ports"]], [5672, 15672, 15692]),
    ("one at a time", lambda: built()["PodDisruptionBudget", ""]["spec"]["maxUnavailable"], 1),
    ("the cookie stays", lambda: built()["Secret", "cookie"]["immutable"], True),
    ("binding's type", lambda: built()["Secret", ""]["type"], "servicebinding.io/rabbitmq"),
    ("no token in the account", lambda: built()["ServiceAccount", ""]["automountServiceAccountToken"], False),
    ("no token in the pod", lambda: pod()["automountServiceAccountToken"], False),
    ("grace", lambda: pod()["terminationGracePeriodSeconds"], 900),
    ("user", lambda: [pod()["securityContext"][k] for k in ("runAsUser", "runAsGroup", "fsGroup", "runAsNonRoot")], [999, 999, 999, True]),
    ("read-only root", lambda: server()["securityContext"]["readOnlyRootFilesystem"], True),
    ("no capability", lambda: server()["securityContext"]["capabilities"], {"drop": ["ALL"]}),
    ("home can be written", lambda: [v for v in pod()["volumes"] if v["name"] == "home"], [{"name": "home", "emptyDir": {"sizeLimit": "256Mi"}}]),
    ("data", lambda: [m["mountPath"] for m in server()["volumeMounts"] if m["name"] == "data"], ["/var/lib/rabbitmq/mnesia"]),
    ("volume", lambda: members()["volumeClaimTemplates"][0]["spec"]["resources"], {"requests": {"storage": "10Gi"}}),
    ("memory is reserved", lambda: server(resources={"limits": {"memory": "2048Mi"}})["resources"]["requests"]["memory"], "2Gi"),
    ("memory is limited", lambda: server(resources={"limits": {"memory": "2048Mi"}})["resources"]["limits"], {"memory": "2Gi"}),
    ("readiness by protocol port", lambda: server()["readinessProbe"]["tcpSocket"], {"port": "amqp"}),
    ("310 s to start", lambda: server()["startupProbe"]["periodSeconds"] * server()["startupProbe"]["failureThreshold"], 310),
    ("liveness is patient", lambda: [server()["livenessProbe"][k] for k in ("timeoutSeconds", "periodSeconds", "failureThreshold")], [30, 60, 5]),
    ("names, not addresses", lambda: env()["RABBITMQ_NODENAME"], f"rabbit@$(POD_NAME).{order().name('nodes')}.shop.svc"),
    ("long names", lambda: env()["RABBITMQ_USE_LONGNAME"], "true"),
    ("one per node", lambda: list(pod()["affinity"]["podAntiAffinity"]), ["requiredDuringSchedulingIgnoredDuringExecution"]),
    ("unless nodes are too few", lambda: list(pod(nodes=2)["affinity"]["podAntiAffinity"]), ["preferredDuringSchedulingIgnoredDuringExecution"]),
    ("zones", lambda: pod()["topologySpreadConstraints"][0]["whenUnsatisfiable"], "ScheduleAnyway"),
    ("members only", lambda: [e["from"] for e in wall() if any(p["port"] in (4369, 25672, 35672) for p in e["ports"])], [[{"podSelector": {"matchLabels": order().selector("server")}}]]),
    ("the command line between members", lambda: [p["endPort"] for e in wall() for p in e["ports"] if p["port"] == 35672], [35682]),
    ("management for the operator, its drills, backups and restores", lambda: [e["from"] for e in wall() if e["ports"][0]["port"] == 15672], [[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}}, {"podSelector": {"matchExpressions": [{"key": "readiness.dev/drill-runner", "operator": "Exists"}]}}, {"podSelector": {"matchLabels": {"readiness.dev/policy": "checkout", "readiness.dev/data-service": "jobs"}, "matchExpressions": [{"key": "app.kubernetes.io/component", "operator": "In", "values": ["backup", "restore"]}]}}]]),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), [row[1:] for row in OBJECTS], ids=[row[0] for row in OBJECTS])  # fmt: skip
def test_objects(found: Callable[[], Any], expected: Any):
    assert found() == expected


CONF = {
    "cluster_formation.peer_discovery_backend": "classic_config",
    "cluster_formation.classic_config.nodes.3": f"rabbit@{order().name()}-2.{order().name('nodes')}.shop.svc",
    "cluster_formation.target_cluster_size_hint": "3",
    "cluster_partition_handling": "pause_minority",
    "net_ticktime": "15",
    "default_queue_type": "quorum",
    "queue_leader_locator": "balanced",
    "quorum_queue.continuous_membership_reconciliation.enabled": "true",
    "quorum_queue.continuous_membership_reconciliation.target_group_size": "3",
    "quorum_queue.continuous_membership_reconciliation.auto_remove": "false",
    "vm_memory_high_watermark.relative": "0.6",
    "auth_mechanisms.1": "PLAIN",
    "loopback_users": "none",
    "log.console": "true",
    "collect_statistics_interval": "10000",
}


@pytest.mark.parametrize("key", CONF)
def test_configuration(key: str):
    assert conf()[key] == CONF[key]


def test_a_member_that_finds_nobody_goes_on_looking_for_years():
    assert int(conf()["cluster_formation.discovery_retry_limit"]) > 30_000_000


@pytest.mark.parametrize(
    ("limit", "counted", "free"),
    [
        ("1Gi", GIB - GIB // 5, 2 * 10**9),
        ("8Gi", 8 * GIB - 8 * GIB // 5, 8 * GIB),
        ("64Gi", 62 * GIB, 64 * GIB),
    ],
)
def test_amounts_follow_memory(limit: str, counted: int, free: int):
    found = conf(resources={"limits": {"memory": limit}})

    assert int(found["total_memory_available_override_value"]) == counted
    assert int(found["disk_free_limit.absolute"]) == free


@pytest.mark.parametrize("replicas", [3, 7])
def test_the_longest_stop_ends_within_the_grace(replicas: int):
    """check_running; rounds until no new one may begin; the last round, its check, one for each other member; the drain, and leaving."""
    given = env(replicas=replicas)
    wait, round_, check, drain, leave = (int(given[f"STOP_{n}"]) for n in ("WAIT", "ROUND", "CHECK", "DRAIN", "LEAVE"))  # fmt: skip
    rounds = check + wait + round_ + check + (replicas - 1) * check + 2

    assert rounds <= 720
    assert (
        rounds + drain + check + 2 * leave + 30
        <= pod(replicas=replicas)["terminationGracePeriodSeconds"]
    )


def test_statements_of_the_stop_stand_apart():
    script = built()["ConfigMap", "scripts"]["data"]["stop.sh"]
    commands = [line for line in script.splitlines() if line.lstrip().startswith("timeout")]

    assert len(commands) == 6
    assert commands[3] == 'timeout "$STOP_DRAIN" rabbitmq-upgrade -q drain > /dev/null 2>&1'
    assert "skip-stop" in script
    assert pod()["volumes"][-1]["downwardAPI"]["items"][0]["fieldRef"] == {"fieldPath": "metadata.annotations['readiness.dev/skip-stop']"}  # fmt: skip


@pytest.mark.parametrize("name", ["prepare.sh", "start.sh", "stop.sh", "alive.sh"])
def test_scripts_are_posix(name: str):
    script = built()["ConfigMap", "scripts"]["data"][name]

    assert script.startswith("#!/bin/sh\n")
    subprocess.run(["dash", "-n"], input=script, text=True, check=True)


def test_users_have_what_they_need_and_guest_is_none_of_them():
    found = json.loads(secret("definitions")["definitions.json"])
    tags = {user["name"]: user["tags"] for user in found["users"]}

    assert tags == {
        "app-a": [], "app-b": [], "monitoring": ["monitoring"],
        "definitions": ["administrator"], "readiness-operator": ["administrator"],
    }  # fmt: skip
    assert [row["user"] for row in found["permissions"]] == [*APPLICATION, "monitoring"]
    assert {found["permissions"][-1][what] for what in ("configure", "write", "read")} == {"^$"}
    assert found["vhosts"] == [{"name": "/", "default_queue_type": "quorum"}]


def test_a_password_is_stored_as_rabbitmq_does():
    """Salt and SHA-256 over it and the password; equal passwords of two users differ."""
    stored = base64.b64decode(password_hash("app-a", "secret"))

    assert stored[4:] == hashlib.sha256(stored[:4] + b"secret").digest()
    assert password_hash("app-a", "secret") == password_hash("app-a", "secret")
    assert password_hash("app-a", "secret") != password_hash("app-b", "secret")


def test_the_binding_names_the_active_user():
    password = KNOWN["app-b-password"]
    host = order().host(order().name())
    known = {**KNOWN, "rotation.user": "app-b"}

    assert secret("", known=known) == {
        "type": "rabbitmq", "provider": "readiness-operator", "host": host, "port": "5672",
        "username": "app-b", "password": password, "virtual-host": "/",
        "uri": f"amqp://app-b:{password}@{host}:5672/%2F",
    }  # fmt: skip
    assert secret("")["username"] == "app-a"


def test_secrets_are_in_secrets_only():
    rest = [child for child in build_rabbitmq(order()) if child["kind"] != "Secret"]

    assert not [value for value in KNOWN.values() if value in json.dumps(rest)]
    definitions = secret("definitions")["definitions.json"]
    assert not [KNOWN[user.key] for user in USERS if KNOWN[user.key] in definitions]


def test_only_what_is_read_at_start_replaces_pods():
    def template(**given: Any) -> Object:
        return members(**given)["template"]

    rotated = {**KNOWN, "app-a-password": "another", "rotation.user": "app-b"}
    assert template(known=rotated) == template()
    assert template(config=[{"name": "channel_max", "value": "512"}]) != template()


REFUSALS = [
    ({}, []),
    ({"replicas": 5}, []),
    ({"replicas": 1}, ["FewerThanThree"]),
    ({"replicas": 4}, ["EvenMembers"]),
    ({"storage": "3Gi"}, ["StorageTooSmall"]),
    ({"storage": "10Gi", "resources": {"limits": {"memory": "6Gi"}}}, ["StorageTooSmall"]),
    ({"resources": {"requests": {"memory": "512Mi"}}}, ["MemoryNotReserved"]),
    ({"resources": {"requests": {"memory": "1024Mi"}}}, []),
    ({"config": [{"name": "channel_max", "value": "512"}]}, []),
    ({"config": [{"name": "cluster_partition_handling", "value": "ignore"}]}, ["ManagedSetting"]),
    ({"config": [{"name": "default_user", "value": "guest"}]}, ["ManagedSetting"]),
    ({"config": [{"name": "load_definitions", "value": "x"}, {"name": "log.file", "value": "x"}]}, ["ManagedSetting"]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "reasons"), REFUSALS)
def test_what_is_refused(spec: Object, reasons: list[str]):
    found = RABBITMQ.problems(order(**spec))

    assert [each.reason for each in found] == reasons
    assert all(each.message.startswith("jobs: ") and each.fix for each in found)


def test_a_managed_setting_wins_and_is_named():
    mine = [
        {"name": "cluster_partition_handling", "value": "ignore"},
        {"name": "channel_max", "value": "512"},
    ]
    (refusal,) = RABBITMQ.problems(order(config=mine))

    assert conf("90-user.conf", config=mine) == {"channel_max": "512"}
    assert conf(config=mine)["cluster_partition_handling"] == "pause_minority"
    assert "cluster_partition_handling" in refusal.message
    assert "channel_max" not in refusal.message

"""What is built for a MongoDB: every line that a replica set needs, on the rendered objects."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
import yaml
from pymongo.uri_parser import parse_uri

from readiness import naming
from readiness.api.dataservice import DataService
from readiness.dataservices.children import credentials_of, desired_of
from readiness.dataservices.mongodb import KEYFILE, MONGODB
from readiness.dataservices.mongodb.build import GRACE, hosts_of
from readiness.dataservices.mongodb.commands import CATCH_UP_SECONDS
from readiness.dataservices.mongodb.settings import QUIESCE_SECONDS
from readiness.dataservices.order import Order
from readiness.model import Manifest
from readiness.resident import HAND_OVER_SECONDS

SET = "checkout-orders-761027a5"
SECRETS = {each.key: f"secret-of-{each.key}" for each in MONGODB.credentials}


def order_of(spec: dict[str, Any] | None = None, **credentials: str) -> Order:
    return Order(
        namespace="shop",
        policy="checkout",
        service=DataService.model_validate({"name": "orders", "mongodb": spec or {}}),
        image="mongo:8",
        operator_image="operator:1",
        operator_namespace="readiness-system",
        nodes=3,
        credentials={**SECRETS, **credentials},
    )


def built(order: Order) -> dict[str, Manifest]:
    """The children by kind; there is one of each."""
    found = {child["kind"]: child for child in MONGODB.build(order)}
    assert len(found) == len(MONGODB.build(order))
    return found


def at(thing: Any, path: str) -> Any:
    """What stands at a path such as `spec.containers.0.image`; a name picks from a list of named things."""
    for step in path.split("/"):
        if isinstance(thing, list):
            thing = thing[int(step)] if step.isdigit() else next(x for x in thing if x["name"] == step)  # fmt: skip
        else:
            thing = thing[step]
    return thing


def config(order: Order) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(built(order)["ConfigMap"]["data"]["mongod.conf"])
    return found


def secret(order: Order) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in built(order)["Secret"]["data"].items()}  # fmt: skip


ORDER = order_of()
BUILT = built(ORDER)
HEADLESS = f"{SET}-members"
SELECTOR = {
    "readiness.dev/policy": "checkout",
    "readiness.dev/data-service": "orders",
    "app.kubernetes.io/component": "mongodb",
}
POD = "spec/template/spec"
RESIDENT = f"{POD}/initContainers/resident"
MONGOD = f"{POD}/containers/mongod"


def test_the_set_of_children_is_whole() -> None:
    assert {kind: child["metadata"]["name"] for kind, child in BUILT.items()} == {
        "ServiceAccount": SET,
        "Secret": SET,
        "ConfigMap": f"{SET}-config",
        "NetworkPolicy": SET,
        "Service": HEADLESS,
        "PodDisruptionBudget": SET,
        "StatefulSet": SET,
    }
    assert [c.key for c in MONGODB.credentials] == ["keyfile", "operator", "app", "monitor", "backup", "inspector"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("ServiceAccount", "automountServiceAccountToken", False),
        ("Service", "spec/clusterIP", "None"),
        ("Service", "spec/publishNotReadyAddresses", True),
        ("Service", "spec/ports", [{"name": "mongo", "port": 27017, "targetPort": "mongo", "protocol": "TCP", "appProtocol": "mongo"}]),
        ("Service", "spec/selector", SELECTOR),
        ("PodDisruptionBudget", "spec", {"maxUnavailable": 1, "selector": {"matchLabels": SELECTOR}}),
        ("NetworkPolicy", "spec/podSelector/matchLabels", SELECTOR),
        ("NetworkPolicy", "spec/policyTypes", ["Ingress"]),
        ("NetworkPolicy", "spec/ingress/0/ports", [{"port": 27017, "protocol": "TCP"}]),
        ("StatefulSet", "spec/serviceName", HEADLESS),
        ("StatefulSet", "spec/replicas", 3),
        ("StatefulSet", "spec/podManagementPolicy", "Parallel"),
        ("StatefulSet", "spec/updateStrategy", {"type": "OnDelete"}),
        ("StatefulSet", "spec/minReadySeconds", 20),
        ("StatefulSet", "spec/persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"}),
        ("StatefulSet", "spec/selector/matchLabels", SELECTOR),
        ("StatefulSet", "spec/volumeClaimTemplates/0/spec", {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
        ("StatefulSet", f"{POD}/automountServiceAccountToken", False),
        ("StatefulSet", f"{POD}/serviceAccountName", SET),
        ("StatefulSet", f"{POD}/enableServiceLinks", False),
        ("StatefulSet", f"{POD}/terminationGracePeriodSeconds", 90),
        ("StatefulSet", f"{POD}/securityContext", {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
                                                   "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}}),
        ("StatefulSet", f"{POD}/topologySpreadConstraints/0/topologyKey", "topology.kubernetes.io/zone"),
        ("StatefulSet", f"{POD}/topologySpreadConstraints/0/maxSkew", 1),
        ("StatefulSet", f"{POD}/topologySpreadConstraints/0/whenUnsatisfiable", "ScheduleAnyway"),
        ("StatefulSet", f"{POD}/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/topologyKey", "kubernetes.io/hostname"),
        # the keyfile: copied by a program of the image to memory, for its user alone
        ("StatefulSet", f"{POD}/initContainers/0/name", "keyfile"),
        ("StatefulSet", f"{POD}/initContainers/keyfile/command", ["install", "-m", "0400", "/secret/keyfile", "/keyfile/keyfile"]),
        ("StatefulSet", f"{POD}/volumes/keyfile/emptyDir/medium", "Memory"),
        ("StatefulSet", f"{POD}/volumes/secret/secret/items", [{"key": "keyfile", "path": "keyfile"}]),
        # the resident: a native sidecar, so that it outlives mongod
        ("StatefulSet", f"{RESIDENT}/restartPolicy", "Always"),
        ("StatefulSet", f"{RESIDENT}/image", "operator:1"),
        ("StatefulSet", f"{RESIDENT}/args/0", "mongod-resident"),
        ("StatefulSet", f"{POD}/volumes/password/secret/items", [{"key": "operator", "path": "operator"}]),
        # probes: none starts a program
        ("StatefulSet", f"{MONGOD}/startupProbe", {"tcpSocket": {"port": "mongo"}, "timeoutSeconds": 5, "periodSeconds": 10, "failureThreshold": 720}),
        ("StatefulSet", f"{MONGOD}/livenessProbe", {"tcpSocket": {"port": "mongo"}, "timeoutSeconds": 5, "periodSeconds": 20, "failureThreshold": 6}),
        ("StatefulSet", f"{MONGOD}/readinessProbe/httpGet", {"path": "/ready", "port": 27000}),
        ("StatefulSet", f"{MONGOD}/lifecycle/preStop", {"httpGet": {"path": "/step-down", "port": 27000}}),
        ("StatefulSet", f"{MONGOD}/image", "mongo:8"),
        ("StatefulSet", f"{MONGOD}/command", ["mongod", "--config", "/config/mongod.conf"]),
        ("StatefulSet", f"{MONGOD}/resources", {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        ("StatefulSet", f"{MONGOD}/volumeMounts/data/mountPath", "/data/db"),
        ("StatefulSet", f"{MONGOD}/volumeMounts/configdb/mountPath", "/data/configdb"),
        ("StatefulSet", f"{MONGOD}/volumeMounts/tmp/mountPath", "/tmp"),
    ],
    ids=lambda each: each.rpartition("spec/")[2] if isinstance(each, str) else "",
)  # fmt: skip
def test_every_line_of_the_checklist(kind: str, path: str, expected: Any) -> None:
    assert at(BUILT[kind], path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("replication/replSetName", "rs0"),
        ("replication/oplogSizeMB", 256),
        ("storage/oplogMinRetentionHours", 48),
        ("storage/dbPath", "/data/db"),
        ("storage/wiredTiger/engineConfig/cacheSizeGB", 0.25),
        ("security/authorization", "enabled"),
        ("security/keyFile", "/keyfile/keyfile"),
        ("security/clusterAuthMode", "keyFile"),
        ("net/bindIpAll", True),
        ("net/port", 27017),
        ("setParameter/shutdownTimeoutMillisForSignaledShutdown", 10_000),
        ("processManagement/fork", False),
    ],
)
def test_every_line_of_the_configuration(path: str, expected: Any) -> None:
    found = at(config(ORDER), path)

    assert (found, type(found)) == (expected, type(expected))
    assert "systemLog" not in config(ORDER), "the log goes to stdout"


def test_every_container_is_restricted_and_nothing_runs_a_shell() -> None:
    pod = at(BUILT["StatefulSet"], POD)
    containers = [*pod["initContainers"], *pod["containers"]]

    assert len(containers) == 3
    for each in containers:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert each["resources"]["limits"]["memory"]
        assert "sh" not in each.get("command", [])
        hooks = [each.get(f"{name}Probe", {}) for name in ("startup", "liveness", "readiness")]
        assert not [hook for hook in (*hooks, each.get("lifecycle", {}).get("preStop", {})) if "exec" in hook]  # fmt: skip


def test_the_hook_and_the_stop_end_within_the_grace() -> None:
    checkpoint = 30
    assert CATCH_UP_SECONDS < HAND_OVER_SECONDS
    assert HAND_OVER_SECONDS + 2 * QUIESCE_SECONDS + checkpoint < GRACE


def test_the_keyfile_is_one_that_mongod_takes() -> None:
    made = credentials_of(MONGODB, replace(ORDER, credentials={}), "token")["keyfile"]

    assert len(made) == KEYFILE.length == 1008 == len(base64.b64encode(bytes(756)))
    assert len(base64.b64decode(made, validate=True)) >= 6


def test_the_binding_names_every_member_and_waits_for_a_majority() -> None:
    found = secret(order_of(app="p/w@:"))
    parsed = parse_uri(found["uri"], validate=True)

    assert BUILT["Secret"]["type"] == "servicebinding.io/mongodb"
    assert {key: found[key] for key in ("type", "provider", "host", "port", "username", "password", "database")} == {
        "type": "mongodb", "provider": "readiness", "host": f"{HEADLESS}.shop.svc", "port": "27017",
        "username": "app", "password": "p/w@:", "database": "orders",
    }  # fmt: skip
    assert parsed["nodelist"] == [(f"{SET}-{n}.{HEADLESS}.shop.svc", 27017) for n in range(3)]
    assert (parsed["username"], parsed["password"], parsed["database"]) == ("app", "p/w@:", "orders")  # fmt: skip
    assert dict(parsed["options"]) == {"replicaSet": "rs0", "authSource": "admin", "w": "majority", "retryWrites": True, "readPreference": "primary"}  # fmt: skip


def test_the_binding_follows_the_user_that_is_in_use() -> None:
    found = secret(order_of(**{"rotation.user": "app-b", "app": "second"}))

    assert (found["username"], found["password"]) == ("app-b", "second")
    assert "app-b:second@" in found["uri"]


def test_no_secret_stands_anywhere_but_in_secrets() -> None:
    for kind, child in BUILT.items():
        text = str(child)
        if kind != "Secret":
            assert "secret-of-" not in text, kind
    assert [key for key in SECRETS if f"secret-of-{key}" in secret(ORDER)["uri"]] == ["app"]


def test_members_are_known_to_the_resident_without_a_new_pod() -> None:
    three, five = built(ORDER), built(order_of({"replicas": 5}))

    assert three["ConfigMap"]["data"]["members"].split() == list(hosts_of(ORDER))
    assert five["ConfigMap"]["data"]["members"] != three["ConfigMap"]["data"]["members"]
    assert five["StatefulSet"]["spec"]["template"]["metadata"] == three["StatefulSet"]["spec"]["template"]["metadata"]  # fmt: skip
    for name in ("initContainers", "containers", "volumes"):
        assert at(five["StatefulSet"], f"{POD}/{name}") == at(three["StatefulSet"], f"{POD}/{name}")


def test_another_configuration_is_another_template() -> None:
    slow = order_of({"config": [{"name": "operationProfiling.slowOpThresholdMs", "value": "50"}]})

    assert config(slow)["operationProfiling"] == {"slowOpThresholdMs": 50}
    assert built(slow)["StatefulSet"]["spec"]["template"]["metadata"] != BUILT["StatefulSet"]["spec"]["template"]["metadata"]  # fmt: skip


@pytest.mark.parametrize(
    ("memory", "cache"), [("512Mi", 0.25), ("1Gi", 0.25), ("2Gi", 0.5), ("4Gi", 1.5), ("16Gi", 7.5), ("3584Mi", 1.25)]
)  # fmt: skip
def test_the_cache_follows_the_limit(memory: str, cache: float) -> None:
    order = order_of({"resources": {"limits": {"memory": memory}}})

    assert at(config(order), "storage/wiredTiger/engineConfig/cacheSizeGB") == cache
    requests = at(built(order)["StatefulSet"], f"{MONGOD}/resources")
    assert requests["requests"]["memory"] == requests["limits"]["memory"]


@pytest.mark.parametrize(("storage", "oplog"), [("1Gi", 256), ("2Gi", 512), ("10Gi", 990), ("100Gi", 5120), ("4Ti", 51_200)])  # fmt: skip
def test_the_oplog_follows_the_volume(storage: str, oplog: int) -> None:
    assert at(config(order_of({"storage": storage})), "replication/oplogSizeMB") == oplog


def test_on_too_few_nodes_members_only_prefer_to_be_apart() -> None:
    affinity = at(built(replace(ORDER, nodes=2))["StatefulSet"], f"{POD}/affinity/podAntiAffinity")

    assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]


@pytest.mark.parametrize(
    ("spec", "reasons"),
    [
        ({}, []),
        ({"replicas": 1}, ["FewerThanThree"]),
        ({"replicas": 2}, ["FewerThanThree", "EvenMembers"]),
        ({"replicas": 4}, ["EvenMembers"]),
        ({"resources": {"limits": {"memory": "256Mi"}}}, ["MemoryTooSmall"]),
        ({"config": [{"name": "operationProfiling.mode", "value": "slowOp"}]}, []),
        ({"config": [{"name": "storage.oplogMinRetentionHours", "value": "12"}]}, []),
        ({"config": [{"name": "storage.wiredTiger.collectionConfig.blockCompressor", "value": "zstd"}]}, []),
        ({"config": [{"name": "security.authorization", "value": "disabled"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "security.javascriptEnabled", "value": "true"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "storage", "value": "1"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "storage.dbPath.x", "value": "1"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "net.tls.mode", "value": "disabled"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "setParameter.enableTestCommands", "value": "1"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "systemLog.path", "value": "/tmp/x"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "cache.size", "value": "1"}]}, ["UnknownSetting"]),
        ({"config": [{"name": "net..x", "value": "1"}]}, ["UnknownSetting"]),
        ({"config": [{"name": "net.a", "value": "1"}, {"name": "net.a.b", "value": "1"}]}, ["UnknownSetting", "UnknownSetting"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(spec: dict[str, Any], reasons: list[str]) -> None:
    found = MONGODB.problems(order_of(spec))

    assert [each.reason for each in found] == reasons
    assert all(each.message and each.fix for each in found)


def test_a_managed_setting_wins_even_where_nobody_refused_it() -> None:
    order = order_of({"config": [{"name": "security.authorization", "value": "disabled"}, {"name": "operationProfiling.x", "value": "a: b #"}]})  # fmt: skip

    assert at(config(order), "security/authorization") == "enabled"
    assert at(config(order), "operationProfiling/x") == "a: b #"


def test_the_frame_takes_every_child() -> None:
    found = desired_of(MONGODB, ORDER, None)

    assert found[0]["kind"] == "Secret"
    assert found[0]["metadata"]["annotations"] == {naming.CREATE_ONLY: "true"}
    assert {child["metadata"]["namespace"] for child in found} == {"shop"}

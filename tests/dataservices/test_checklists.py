"""What holds for every kind of data service, on every rendered object; and lines of the checklists that no other test has.

A kind or a container that is new is held to all of it without being named here; a hook before a stop has to be.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rendered import KNOWN, NAME, built

from readiness.dataservices.mongodb.build import RESIDENT_PORT
from readiness.dataservices.mongodb.settings import QUIESCE_SECONDS
from readiness.dataservices.redis.build import CATCH_UP, PAUSE, STAY
from readiness.dataservices.redis.settings import SHUTDOWN
from readiness.model import Manifest
from readiness.resident import HAND_OVER_SECONDS

CHILDREN = {kind: built(kind) for kind in KNOWN}
SETS = [(kind, name) for kind, found in CHILDREN.items() for name in found if name.startswith("StatefulSet/")]  # fmt: skip
PODS = [(kind, name) for kind, found in CHILDREN.items() for name, child in found.items() if "template" in child.get("spec", {})]  # fmt: skip


def pod_of(kind: str, name: str) -> Manifest:
    return dict(CHILDREN[kind][name]["spec"]["template"]["spec"])


def containers(kind: str, name: str) -> Iterator[Manifest]:
    pod = pod_of(kind, name)
    yield from (*pod.get("initContainers", ()), *pod["containers"])


def at(thing: Any, path: str) -> Any:
    for step in path.split("."):
        thing = thing[int(step)] if isinstance(thing, list) else thing.get(step)
    return thing


def test_every_kind_has_pods_and_all_are_looked_at():
    assert [f"{kind} {name}" for kind, name in PODS] == [
        "redis StatefulSet/", "redis StatefulSet/sentinel", "redis Deployment/exporter",
        "rabbitmq StatefulSet/", "mongodb StatefulSet/", "mongodb Deployment/exporter",
    ]  # fmt: skip


LATER = {"ConfigMap/formed"}
"""What is made once a set has formed."""
RESIDENT = {RESIDENT_PORT}
"""The kubelet asks there, and nobody else is let in."""
POD_LINES = [
    ("automountServiceAccountToken", False),
    ("serviceAccountName", NAME),
    ("enableServiceLinks", False),
    ("securityContext.runAsNonRoot", True),
    ("securityContext.fsGroupChangePolicy", "OnRootMismatch"),
    ("securityContext.seccompProfile", {"type": "RuntimeDefault"}),
]
CONTAINER_LINES = [
    ("securityContext.allowPrivilegeEscalation", False),
    ("securityContext.readOnlyRootFilesystem", True),
    ("securityContext.capabilities", {"drop": ["ALL"]}),
    ("imagePullPolicy", "IfNotPresent"),
]
SET_LINES = [
    ("podManagementPolicy", "Parallel"),
    ("updateStrategy", {"type": "OnDelete"}),
    ("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"}),
    ("volumeClaimTemplates.0.spec.accessModes", ["ReadWriteOnce"]),
    ("replicas", 3),
    ("template.spec.topologySpreadConstraints.0.topologyKey", "topology.kubernetes.io/zone"),
    ("template.spec.topologySpreadConstraints.0.maxSkew", 1),
    ("template.spec.topologySpreadConstraints.0.whenUnsatisfiable", "ScheduleAnyway"),
    ("template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.0.topologyKey", "kubernetes.io/hostname"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), PODS)
@pytest.mark.parametrize(("path", "value"), POD_LINES)
def test_a_pod_says(kind: str, name: str, path: str, value: Any):
    assert at(pod_of(kind, name), path) == value


@pytest.mark.parametrize(("kind", "name"), PODS)
@pytest.mark.parametrize(("path", "value"), CONTAINER_LINES)
def test_a_container_says(kind: str, name: str, path: str, value: Any):
    assert {each["name"]: at(each, path) for each in containers(kind, name)} == {each["name"]: value for each in containers(kind, name)}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), SETS)
@pytest.mark.parametrize(("path", "value"), SET_LINES)
def test_a_stateful_set_says(kind: str, name: str, path: str, value: Any):
    assert at(CHILDREN[kind][name]["spec"], path) == value


@pytest.mark.parametrize(("kind", "name"), PODS)
def test_what_a_container_may_use_is_said(kind: str, name: str):
    for each in containers(kind, name):
        resources = each["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), each["name"]
        assert "memory" in resources["limits"], each["name"]


@pytest.mark.parametrize(("kind", "name"), SETS)
def test_members_are_named_kept_apart_kept_in_number_and_walled_in(kind: str, name: str):
    spec, found = CHILDREN[kind][name]["spec"], CHILDREN[kind]
    labels = spec["template"]["metadata"]["labels"]
    headless = found[f"Service/{spec['serviceName'].removeprefix(NAME).strip('-')}"]["spec"]
    part = name.partition("/")[2]
    budget, wall = found[f"PodDisruptionBudget/{part}"]["spec"], found[f"NetworkPolicy/{part}"]["spec"]  # fmt: skip

    assert (headless["clusterIP"], headless["publishNotReadyAddresses"]) == ("None", True)
    assert budget["maxUnavailable"] == 1
    (term,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]  # fmt: skip
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    for selector in (spec["selector"], budget["selector"], wall["podSelector"], term["labelSelector"], spread["labelSelector"]):  # fmt: skip
        assert selector["matchLabels"].items() <= labels.items()
    assert headless["selector"].items() <= labels.items()
    assert "Ingress" in wall["policyTypes"]


@pytest.mark.parametrize(("kind", "name"), SETS)
def test_a_server_is_probed_at_its_start_in_its_life_and_before_it_serves(kind: str, name: str):
    (server,) = pod_of(kind, name)["containers"]

    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= server.keys()
    assert server["terminationMessagePolicy"] == "FallbackToLogsOnError"


def services() -> list[tuple[str, str]]:
    return [(kind, name) for kind, found in CHILDREN.items() for name in found if name.startswith("Service/")]  # fmt: skip


def ports_of(kind: str, name: str) -> dict[str, int]:
    """The ports of a pod's containers by their names."""
    return {port["name"]: port["containerPort"] for each in containers(kind, name) for port in each.get("ports", ())}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), services())
def test_a_service_leads_to_one_kind_of_pods_and_to_ports_that_they_have(kind: str, name: str):
    spec = CHILDREN[kind][name]["spec"]
    (pods,) = [pod for of, pod in PODS if of == kind and spec["selector"].items() <= CHILDREN[kind][pod]["spec"]["template"]["metadata"]["labels"].items()]  # fmt: skip

    assert {port["targetPort"]: port["port"] for port in spec["ports"]}.items() <= ports_of(kind, pods).items()  # fmt: skip
    assert {port["name"] for port in spec["ports"]} == {port["targetPort"] for port in spec["ports"]}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), PODS)
def test_whatever_a_pod_is_asked_at_it_listens_at_and_its_wall_knows(kind: str, name: str):
    part = name.partition("/")[2]
    ports = ports_of(kind, name)
    asked = [thing[how]["port"] for each in containers(kind, name) for thing in (*(each.get(f"{when}Probe", {}) for when in ("startup", "liveness", "readiness")), each.get("lifecycle", {}).get("preStop", {})) for how in ("tcpSocket", "httpGet") if how in thing]  # fmt: skip
    opened = {port["port"] for rule in CHILDREN[kind][f"NetworkPolicy/{part}"]["spec"]["ingress"] for port in rule["ports"]}  # fmt: skip

    assert {port for port in asked if isinstance(port, str)} <= ports.keys()
    assert set(ports.values()) - RESIDENT <= opened


@pytest.mark.parametrize(("kind", "name"), PODS)
def test_whatever_a_container_mounts_is_a_volume_of_what_is_rendered(kind: str, name: str):
    spec, own = CHILDREN[kind][name]["spec"], {*CHILDREN[kind], *LATER}
    pod = pod_of(kind, name)
    volumes = {each["name"]: each for each in pod.get("volumes", ())}
    claimed = {each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", ())}

    mounted = {mount["name"] for each in containers(kind, name) for mount in each.get("volumeMounts", ())}  # fmt: skip
    assert mounted == volumes.keys() | claimed
    sources = {f"Secret/{v['secret']['secretName']}" for v in volumes.values() if "secret" in v}
    sources |= {f"ConfigMap/{v['configMap']['name']}" for v in volumes.values() if "configMap" in v}
    assert {each.replace(NAME, "").replace("/-", "/") for each in sources} <= own


def rabbitmq() -> float:
    """Rounds of waiting, the last one with its checks, the drain, and leaving."""
    (server,) = pod_of("rabbitmq", "StatefulSet/")["containers"]
    env = {each["name"]: each.get("value", "") for each in server["env"]}
    wait, round_, check, drain, leave = (int(env[f"STOP_{each}"]) for each in ("WAIT", "ROUND", "CHECK", "DRAIN", "LEAVE"))  # fmt: skip
    others = int(env["REPLICAS"]) - 1
    return check + wait + round_ + check + others * check + 2 + drain + check + 2 * leave


CALL = 2.0
"""Seconds that one question of a Redis' scripts takes at most."""
WORST: dict[tuple[str, str], tuple[Callable[[], float], float]] = {
    ("redis", "StatefulSet/"): (lambda: 4 * CALL + PAUSE + 2 * CALL, SHUTDOWN),
    ("redis", "StatefulSet/sentinel"): (lambda: STAY + 10 * (1 + CALL), 5),
    ("rabbitmq", "StatefulSet/"): (rabbitmq, 30),
    ("mongodb", "StatefulSet/"): (lambda: HAND_OVER_SECONDS, 2 * QUIESCE_SECONDS + 30),
}
"""The longest that a hook may take, and the server's own end after it."""


def hooked() -> list[tuple[str, str]]:
    return [(kind, name) for kind, name in PODS if any("preStop" in each.get("lifecycle", {}) for each in containers(kind, name))]  # fmt: skip


def test_every_hook_before_a_stop_is_reckoned_with():
    assert hooked() == [*WORST]


@pytest.mark.parametrize(("kind", "name"), WORST)
def test_the_longest_hook_and_the_end_after_it_fit_into_the_grace(kind: str, name: str):
    hook, end = WORST[kind, name]

    assert hook() + end < pod_of(kind, name)["terminationGracePeriodSeconds"]
    assert CATCH_UP < PAUSE, "a hand-over that cannot catch up lets writes go on"


def text(kind: str, child: str, key: str) -> str:
    found = CHILDREN[kind][child]["data"][key]
    return base64.b64decode(found).decode() if child.startswith("Secret/") else str(found)


def env_of(kind: str, name: str) -> dict[str, str]:
    (server,) = pod_of(kind, name)["containers"]
    return {each["name"]: each.get("value", "") for each in server["env"]}


LINES: list[tuple[str, Callable[[], Any], Any]] = [
    # Redis: sentinels, probes, and what members log in with
    ("sentinel announce-ip $me", lambda: "sentinel announce-ip $me\n" in text("redis", "ConfigMap/config", "sentinel.sh"), True),
    ("sentinel parallel-syncs 1", lambda: "sentinel parallel-syncs $GROUP 1\n" in text("redis", "ConfigMap/config", "sentinel.sh"), True),
    ("sentinel deny-scripts-reconfig", lambda: "sentinel deny-scripts-reconfig yes\n" in text("redis", "ConfigMap/config", "sentinel.sh"), True),
    ("sentinel times", lambda: [env_of("redis", "StatefulSet/sentinel")[each] for each in ("DOWN_AFTER", "FAILOVER_TIMEOUT", "MAJORITY")], ["5000", "30000", "2"]),
    ("sentinel group", lambda: env_of("redis", "StatefulSet/sentinel")["GROUP"], f"shop-{NAME}"),
    ("members' login", lambda: text("redis", "Secret/access", "member.conf").split()[::2], ["masteruser", "masterauth"]),
    ("host names", lambda: '--replica-announce-ip "$me"' in text("redis", "ConfigMap/config", "start.sh"), True),
    ("alive while it loads", lambda: "alive:LOADING* | alive:MASTERDOWN*" in text("redis", "ConfigMap/config", "probe.sh"), True),
    ("ready when it follows", lambda: "is master_link_status:up && is master_sync_in_progress:0" in text("redis", "ConfigMap/config", "probe.sh"), True),
    ("no password in an argument", lambda: [each for each in CHILDREN["redis"]["ConfigMap/config"]["data"].values() if " -a " in each or "--pass" in each], []),
    ("no shrinking by reset", lambda: [each for each in CHILDREN["redis"]["ConfigMap/config"]["data"].values() if "sentinel reset" in each.lower()], []),
    # RabbitMQ: plug-ins, the cookie, its name, who comes in
    ("plugins", lambda: text("rabbitmq", "ConfigMap/plugins", "enabled_plugins"), "[rabbitmq_management,rabbitmq_prometheus].\n"),
    ("cookie", lambda: 'chmod 400 "$HOME/.erlang.cookie"' in text("rabbitmq", "ConfigMap/scripts", "prepare.sh"), True),
    ("waits for its own name", lambda: "until getent hosts" in text("rabbitmq", "ConfigMap/scripts", "prepare.sh"), True),
    ("clients of the namespace", lambda: [each["from"] for each in CHILDREN["rabbitmq"]["NetworkPolicy/"]["spec"]["ingress"] if each["ports"][0]["port"] == 5672], [[{"podSelector": {}}]]),
    ("no token for an API", lambda: "peer_discovery_backend = classic_config\n" in text("rabbitmq", "ConfigMap/conf", "10-operator.conf"), True),
    ("disk", lambda: "disk_free_limit.absolute = 2000000000\n" in text("rabbitmq", "ConfigMap/conf", "10-operator.conf"), True),
    ("no end to discovery", lambda: "discovery_retry_limit = 1000000000\n" in text("rabbitmq", "ConfigMap/conf", "10-operator.conf"), True),
    # MongoDB: who may do what, and where a connection string leads
    ("users", lambda: [each for each in ("app", "monitor", "backup", "inspector", "operator") if each not in CHILDREN["mongodb"]["Secret/credentials"]["data"]], []),
    ("majority", lambda: "w=majority" in text("mongodb", "Secret/", "uri") and "retryWrites=true" in text("mongodb", "Secret/", "uri"), True),
    ("appProtocol", lambda: CHILDREN["mongodb"]["Service/members"]["spec"]["ports"][0]["appProtocol"], "mongo"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])  # fmt: skip
def test_a_line_of_a_checklist(found: Callable[[], Any], expected: Any):
    assert found() == expected

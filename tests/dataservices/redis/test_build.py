"""What is built for a Redis: every line that a highly available set needs, on the rendered objects."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from readiness.dataservices.order import Order
from readiness.dataservices.redis import REDIS
from readiness.dataservices.redis.build import CATCH_UP, GRACE, PAUSE, SCRIPTS, STAY
from readiness.dataservices.redis.settings import SHUTDOWN
from readiness.model import Manifest

from .orders import PASSWORDS, manifests_of, order_of

ORDER = order_of()
SET = "checkout-cache-9cd7d755"


def key_of(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


BUILT = {key_of(each): each for each in manifests_of(ORDER)}


def at(thing: Any, path: str) -> Any:
    """What stands at a path such as `spec.containers.0.image`."""
    for step in path.split("."):
        thing = thing[int(step)] if isinstance(thing, list) else thing[step]
    return thing


def pods(of: str) -> Manifest:
    return dict(BUILT["StatefulSet", SET + of]["spec"]["template"]["spec"])


def config(order: Order = ORDER) -> dict[str, str]:
    """redis.conf as the server understands it: the last line of two holds."""
    (found,) = [each for each in REDIS.build(order) if each["metadata"]["name"] == order.name("config")]  # fmt: skip
    lines = found["data"]["redis.conf"].splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def secret(name: str) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in BUILT["Secret", name]["data"].items()}  # fmt: skip


def test_the_set_of_children_is_whole():
    assert sorted(BUILT) == sorted(
        [
            ("ConfigMap", f"{SET}-config"),
            *[("NetworkPolicy", f"{SET}{part}") for part in ("", "-sentinel")],
            *[("PodDisruptionBudget", f"{SET}{part}") for part in ("", "-sentinel")],
            *[("Secret", f"{SET}{part}") for part in ("", "-access", "-credentials")],
            *[("Service", f"{SET}{part}") for part in ("-members", "-sentinel", "-sentinels")],
            ("ServiceAccount", SET),
            *[("StatefulSet", f"{SET}{part}") for part in ("", "-sentinel")],
        ]
    )


@pytest.mark.parametrize("of", ["", "-sentinel"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 3),
        ("podManagementPolicy", "Parallel"),
        ("updateStrategy", {"type": "OnDelete"}),
        ("minReadySeconds", 15),
        ("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"}),
        ("volumeClaimTemplates.0.spec.accessModes", ["ReadWriteOnce"]),
        ("template.spec.automountServiceAccountToken", False),
        ("template.spec.enableServiceLinks", False),
        ("template.spec.serviceAccountName", SET),
        ("template.spec.dnsConfig.options", [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "2"}]),
        ("template.spec.terminationGracePeriodSeconds", 60),
        ("template.spec.securityContext.runAsNonRoot", True),
        ("template.spec.securityContext.runAsUser", 999),
        ("template.spec.securityContext.runAsGroup", 999),
        ("template.spec.securityContext.fsGroup", 999),
        ("template.spec.securityContext.fsGroupChangePolicy", "OnRootMismatch"),
        ("template.spec.securityContext.seccompProfile", {"type": "RuntimeDefault"}),
        ("template.spec.containers.0.image", "redis:7"),
        ("template.spec.containers.0.securityContext.allowPrivilegeEscalation", False),
        ("template.spec.containers.0.securityContext.readOnlyRootFilesystem", True),
        ("template.spec.containers.0.securityContext.capabilities", {"drop": ["ALL"]}),
        ("template.spec.containers.0.startupProbe.periodSeconds", 5),
        ("template.spec.containers.0.startupProbe.failureThreshold", 120),
        ("template.spec.containers.0.livenessProbe.periodSeconds", 10),
        ("template.spec.containers.0.livenessProbe.timeoutSeconds", 5),
        ("template.spec.containers.0.livenessProbe.failureThreshold", 6),
        ("template.spec.topologySpreadConstraints.0.topologyKey", "topology.kubernetes.io/zone"),
        ("template.spec.topologySpreadConstraints.0.maxSkew", 1),
        ("template.spec.topologySpreadConstraints.0.whenUnsatisfiable", "ScheduleAnyway"),
    ],
)  # fmt: skip
def test_a_stateful_set_says(of: str, path: str, value: Any):
    assert at(BUILT["StatefulSet", SET + of]["spec"], path) == value


@pytest.mark.parametrize("of", ["", "-sentinel"])
def test_pods_keep_apart_and_can_be_lost_one_at_a_time(of: str):
    spec = BUILT["StatefulSet", SET + of]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    (rule,) = pods(of)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]  # fmt: skip
    budget = BUILT["PodDisruptionBudget", SET + of]["spec"]
    wall = BUILT["NetworkPolicy", SET + of]["spec"]

    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert budget["maxUnavailable"] == 1
    for selector in (spec["selector"], rule["labelSelector"], budget["selector"], wall["podSelector"]):  # fmt: skip
        assert selector["matchLabels"].items() <= labels.items()
        assert selector["matchLabels"]["app.kubernetes.io/component"] in ("redis", "sentinel")
    (allowed,) = wall["ingress"]
    assert [each["port"] for each in allowed["ports"]] == [26379 if of else 6379]
    assert allowed["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "readiness-system"}}},
    ]


def test_on_few_nodes_pods_only_prefer_to_be_apart():
    few = REDIS.build(replace(ORDER, nodes=2))
    rules = [each["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"] for each in few if each["kind"] == "StatefulSet"]  # fmt: skip

    assert [list(rule) for rule in rules] == [["preferredDuringSchedulingIgnoredDuringExecution"]] * 2  # fmt: skip


@pytest.mark.parametrize("name", ["members", "sentinels"])
def test_names_are_published_before_pods_are_ready(name: str):
    spec = BUILT["Service", f"{SET}-{name}"]["spec"]

    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True
    assert {each["spec"]["serviceName"] for kind, each in BUILT.items() if kind[0] == "StatefulSet"} == {f"{SET}-members", f"{SET}-sentinels"}  # fmt: skip


def test_the_service_of_the_sentinels_leads_to_ready_ones():
    spec = BUILT["Service", f"{SET}-sentinel"]["spec"]

    assert spec["ports"] == [{"name": "sentinel", "port": 26379, "targetPort": "sentinel", "protocol": "TCP"}]  # fmt: skip
    assert "publishNotReadyAddresses" not in spec


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bind", "* -::*"),
        ("protected-mode", "no"),
        ("aclfile", "/secret/member.acl"),
        ("include", "/secret/member.conf"),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("aof-timestamp-enabled", "no"),
        ("save", "3600 1 300 100 60 10000"),
        ("stop-writes-on-bgsave-error", "yes"),
        ("replica-announce-port", "6379"),
        ("min-replicas-to-write", "1"),
        ("min-replicas-max-lag", "10"),
        ("repl-backlog-size", "64mb"),
        ("repl-diskless-sync", "yes"),
        ("repl-diskless-sync-delay", "0"),
        ("repl-timeout", "60"),
        ("maxmemory", str(512 * 1024**2 * 70 // 100)),
        ("maxmemory-policy", "noeviction"),
        ("shutdown-timeout", "10"),
        ("tcp-keepalive", "60"),
        ("dir", "/data"),
        ("enable-debug-command", "no"),
    ],
)
def test_the_configuration_says(key: str, value: str):
    assert config()[key] == value


def test_what_the_policy_sets_holds_where_the_operator_does_not_have_to():
    given = [{"name": "maxmemory-policy", "value": "allkeys-lru"}, {"name": "APPENDONLY", "value": "no"}]  # fmt: skip
    order = order_of({"config": given, "resources": {"limits": {"memory": "2Gi"}}})

    assert config(order)["maxmemory-policy"] == "allkeys-lru"
    assert config(order)["appendonly"] == "yes"
    assert config(order)["maxmemory"] == str(2 * 1024**3 * 70 // 100)
    assert [each.reason for each in REDIS.problems(order)] == ["ManagedSetting"]


@pytest.mark.parametrize(
    ("spec", "reasons"),
    [
        ({}, []),
        ({"replicas": 5}, []),
        ({"replicas": 2}, ["FewerThanThree"]),
        ({"config": [{"name": "maxmemory-policy", "value": "volatile-ttl"}]}, []),
        ({"config": [{"name": "requirepass", "value": "x"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "slave-priority", "value": "0"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "min-slaves-to-write", "value": "0"}]}, ["ManagedSetting"]),
        ({"config": [{"name": "Include", "value": "/tmp/x"}], "replicas": 1}, ["ManagedSetting", "FewerThanThree"]),
    ],
)  # fmt: skip
def test_what_is_refused(spec: dict[str, Any], reasons: list[str]):
    found = REDIS.problems(order_of(spec))

    assert [each.reason for each in found] == reasons
    assert all(each.message and each.fix for each in found)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("member.acl", "user default off"),
        ("member.acl", "user probe on # -@all +ping +info +role"),
        ("member.acl", "user backup on # -@all +ping +info +psync +sync +replconf"),
        ("member.acl", "user replication on # -@all +psync +replconf +ping"),
        ("member.acl", ("user sentinel on # allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite "
         "+role +publish +info +client|setname +client|kill +script|kill")),
        ("member.acl", "user keeper on # -@all +ping +info +role +client|pause +client|unpause +client|kill"),
        ("sentinel.acl", "user default off"),
        ("sentinel.acl", "user quorum on # allchannels +@all"),
    ],
)  # fmt: skip
def test_each_purpose_has_a_user_of_its_own(name: str, line: str):
    user = line.split()[1]
    digest = hashlib.sha256(PASSWORDS.get(user, "").encode()).hexdigest()

    assert line.replace("#", f"#{digest}") in secret(f"{SET}-access")[name].splitlines()


def test_while_a_password_is_replaced_both_are_accepted():
    order = order_of(app="new", **{"app.previous": "old"})
    both = [hashlib.sha256(each).hexdigest() for each in (b"new", b"old")]
    (access,) = [each for each in REDIS.build(order) if each["metadata"]["name"] == f"{SET}-access"]

    for name in ("member.acl", "sentinel.acl"):
        text = base64.b64decode(access["data"][name]).decode()
        assert f"user app on #{both[0]} #{both[1]} " in text


def test_applications_are_told_everything_in_one_secret():
    found = secret(SET)

    assert BUILT["Secret", SET]["type"] == "servicebinding.io/redis"
    assert {key: found[key] for key in ("type", "username", "password", "port", "host")} == {
        "type": "redis",
        "username": "app",
        "password": PASSWORDS["app"],
        "port": "26379",
        "host": f"{SET}-sentinel.shop.svc",
    }
    assert found["master-name"] == f"shop-{SET}"
    assert len(found["sentinels"].split(",")) == 3


def test_passwords_stand_in_secrets_only():
    open_ones = [each for key, each in BUILT.items() if key[0] != "Secret"]

    assert [key for key, text in PASSWORDS.items() if text in json.dumps(open_ones)] == []
    hashed = secret(f"{SET}-access")
    assert [key for key, text in PASSWORDS.items() if text in hashed["member.acl"]] == []
    for of in ("", "-sentinel"):
        (server,) = pods(of)["containers"]
        assert "valueFrom" not in str([each for each in server["env"] if each["name"] != "POD_NAME"])  # fmt: skip


def test_a_sentinels_state_outlives_it():
    claims = BUILT["StatefulSet", f"{SET}-sentinel"]["spec"]["volumeClaimTemplates"]

    assert at(claims, "0.spec.resources.requests.storage") == "64Mi"
    assert "readOnly" not in next(m for m in pods("-sentinel")["containers"][0]["volumeMounts"] if m["name"] == "data")  # fmt: skip
    script = SCRIPTS["sentinel.sh"]
    first = script.index("sentinel resolve-hostnames yes"), script.index("sentinel announce-hostnames yes")  # fmt: skip
    assert max(first) < script.index("sentinel monitor")
    assert 'if [ -s "$conf" ]' in script
    assert "reset" not in script.lower()


def test_a_member_sees_whether_the_set_has_formed_and_needs_no_token_for_it():
    (volume,) = [each for each in pods("")["volumes"] if each["name"] == "formed"]

    assert volume["configMap"] == {"name": f"{SET}-formed", "optional": True, "defaultMode": 0o444}
    (mark,) = set(map(key_of, REDIS.build(replace(ORDER, formed=True)))) - set(BUILT)
    assert mark == ("ConfigMap", f"{SET}-formed")


def test_the_longest_hand_over_ends_before_the_grace():
    call = 2  # what one question takes at most
    before = 4 * call  # role, votes, a willing sentinel, and the pause itself
    held = (
        PAUSE + 2 * call
    )  # the last look may begin just before the pause ends, and clients are sent away
    server = pods("")["containers"][0]

    assert {"name": "PAUSE_SECONDS", "value": str(PAUSE)} in server["env"]
    assert "timeout 2 redis-cli" in SCRIPTS["ask.sh"]
    assert "PAUSE_SECONDS - 2" in SCRIPTS["handover.sh"]
    assert CATCH_UP + 3 * call < PAUSE
    assert before + held + SHUTDOWN < GRACE
    assert server["lifecycle"]["preStop"]["exec"]["command"] == ["sh", "/config/handover.sh"]


def test_a_sentinel_stays_for_a_hand_over_and_still_stops_in_time():
    (server,) = pods("-sentinel")["containers"]
    assert server["lifecycle"]["preStop"]["exec"]["command"] == ["sh", "/config/stay.sh"]
    assert {"name": "STAY_SECONDS", "value": str(STAY)} in server["env"]
    rounds, asking = 10, 1 + 2
    assert f"left={rounds}" in SCRIPTS["stay.sh"]
    assert STAY + rounds * asking < GRACE - 15
    assert STAY > CATCH_UP, "a hand-over that begins late still meets it"


@pytest.mark.parametrize(
    ("spec", "path", "value"),
    [
        ({"storage": "1024Mi"}, "volumeClaimTemplates.0.spec.resources.requests.storage", "1Gi"),
        ({"storageClass": "fast"}, "volumeClaimTemplates.0.spec.storageClassName", "fast"),
        ({"resources": {"limits": {"memory": "2048Mi", "cpu": "2000m"}}}, "template.spec.containers.0.resources",
         {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}),
        ({}, "template.spec.containers.0.resources",
         {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}),
    ],
)  # fmt: skip
def test_what_the_policy_gives_arrives_as_the_server_would_spell_it(
    spec: dict[str, Any], path: str, value: Any
):
    (found,) = [each for each in REDIS.build(order_of(spec)) if each["metadata"]["name"] == SET and each["kind"] == "StatefulSet"]  # fmt: skip

    assert at(found["spec"], path) == value


def test_pods_are_replaced_when_what_they_read_at_the_start_changes():
    def template(order: Order) -> Any:
        (found,) = [each for each in REDIS.build(order) if each["kind"] == "StatefulSet" and each["metadata"]["name"] == SET]  # fmt: skip
        return found["spec"]["template"]

    changed = {"config": [{"name": "maxmemory-policy", "value": "allkeys-lru"}]}
    assert template(order_of(changed)) != template(ORDER)
    assert template(order_of(app="another")) == template(ORDER), "passwords change without a restart"  # fmt: skip

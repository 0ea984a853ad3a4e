"""What a restore makes beside a live data service: its policy, its Job and the only ways of that, or why it makes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_saving import BACKUPS, FRAME, children

from readiness import naming
from readiness.api import read_policy
from readiness.backups.runbook import build_runbook, way_of
from readiness.cli.restore import build_parser
from readiness.dataservices.beside import (
    Live,
    beside_of,
    next_of,
    plan_of,
    refusals_of,
    row_of,
)
from readiness.dataservices.order import NAMES
from readiness.model import Manifest

POLICY = naming.restored("checkout", "cache")
STORE = naming.store(POLICY, "cache")
MEMBER, NODE = (
    f"{STORE}-0.{naming.store(POLICY, 'cache', part)}.shop.svc" for part in ("members", "nodes")
)
SAVED = {"lastSuccess": "2026-11-21T02:13:05Z", "snapshot": "86543352", "backupSet": "20261121T0213Z", "size": 12345}  # fmt: skip
TLS = {"tls": {"secretRef": {"name": "certificate"}}}
REDIS: dict[str, Any] = {"redis": {"replicas": 5, "storage": "2Gi", "storageClass": "fast", "unsafe": ["EvenMembers"]}}  # fmt: skip
RABBITMQ: dict[str, Any] = {"rabbitmq": {"storage": "4Gi"}}


def live(service: dict[str, Any], row: Manifest | None = None, **spec: Any) -> Live:
    """As the API server and the operator would have it, with the CronJobs that the operator makes."""
    declared = {"dataServices": [{"name": "other", "redis": {}}, {"name": "cache", **service}], "backups": BACKUPS, **spec}  # fmt: skip
    status = {"dataServices": [{"name": "cache", "backup": SAVED if row is None else row}]}
    policy = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": declared, "status": status}  # fmt: skip
    drill = None
    if declared["backups"] and not {"external", "mongodb"} & service.keys():
        made = children({"redis": None, **service} if "redis" not in service else service)
        drill = made.get(f"CronJob/{naming.store('checkout', 'cache', naming.RESTORE_DRILL)}")
    return Live(policy, read_policy(declared), "cache", drill)


@pytest.mark.parametrize(
    ("service", "image", "into", "login"),
    [
        (REDIS, FRAME.images["redis"], f"{MEMBER}:6379", ("admin", "admin")),
        ({"redis": {"image": "mirror/redis:8"}}, "mirror/redis:8", f"{MEMBER}:6379", ("admin", "admin")),
        (RABBITMQ, FRAME.images["rabbitmq"], f"{NODE}:15672", ("readiness-operator", "readiness-operator-password")),
    ],
)  # fmt: skip
def test_the_same_is_made_a_second_time_and_filled(service: dict[str, Any], image: str, into: str, login: tuple[str, str]):  # fmt: skip
    case = live(service, environment="staging")
    assert list(refusals_of(case, "latest")) == []
    made = beside_of(case, "20261121T0213Z")
    kind, wanted = next(iter(service.items()))

    assert made.policy["metadata"] == {
        "name": POLICY, "namespace": "shop",
        "labels": {naming.RESTORED_FROM: "checkout", naming.SERVICE_LABEL: "cache"},
    }  # fmt: skip
    assert made.policy["spec"] == {
        "environment": "staging", "deletionPolicy": "Delete",
        "dataServices": [{"name": "cache", kind: {**wanted, "image": image}, "backup": {"enabled": False}}],
    }  # fmt: skip
    read_policy(made.policy["spec"])

    pod = made.job["spec"]["template"]["spec"]
    (ours,) = pod["containers"]
    assert ours["args"][:2] == ["restore", f"--kind={kind}"]
    assert {f"--into={into}", f"--user={login[0]}", "--snapshot=20261121T0213Z", "--yes", "--directory=/restore"} <= set(ours["args"])  # fmt: skip
    assert {"--namespace=shop", "--policy=checkout", "--service=cache"} <= set(ours["args"])
    assert not any("--run" in each for each in ours["args"])
    typed = build_parser("readiness restore", "r").parse_args(ours["args"][1:])
    assert (typed.into, typed.namespace, typed.name, typed.directory.name) == (into, "shop", "", "restore")  # fmt: skip
    secret = next(each["secret"] for each in pod["volumes"] if each["name"] == "target")
    assert (secret["secretName"], secret["items"]) == (naming.store(POLICY, "cache", "credentials"), [{"key": login[1], "path": "password"}])  # fmt: skip
    assert [c["name"] for c in (*pod["initContainers"], *pod["containers"]) if "/target" in str(c["volumeMounts"])] == ["restore"]  # fmt: skip
    assert (made.job["spec"]["backoffLimit"], pod["initContainers"][0]["image"]) == (0, image)


@pytest.mark.parametrize("service", [REDIS, RABBITMQ])
def test_its_pod_is_nobody_elses(service: dict[str, Any]):
    """No wall, Service or count of the live one has it; its own lets it out to the new instance and the destination."""
    case = live(service)
    made = beside_of(case, "latest")
    labels = made.job["spec"]["template"]["metadata"]["labels"]
    chosen = made.wall["spec"]["podSelector"]
    (part,) = chosen["matchExpressions"]

    assert chosen["matchLabels"].items() <= labels.items()
    assert labels[part["key"]] in part["values"]
    assert labels[naming.POLICY_LABEL] == POLICY
    out = made.wall["spec"]["egress"]
    (way,) = [rule for rule in out if "to" in rule]
    assert way["to"] == [{"podSelector": {"matchLabels": {naming.POLICY_LABEL: POLICY, naming.SERVICE_LABEL: "cache"}}}]  # fmt: skip
    assert [[p["port"] for p in rule["ports"]] for rule in out][0::2] == [[53, 53], [9000]]
    assert naming.POLICY_LABEL not in made.wall["metadata"]["labels"], "the operator would prune it"
    assert (
        made.wall["metadata"]["name"]
        == made.job["metadata"]["name"]
        == naming.store(POLICY, "cache", "restore")
    )
    assert case.drill is not None
    assert "restore-drill" in case.drill["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"], "untouched"  # fmt: skip


def test_the_pod_of_a_restore_reaches_the_management_of_a_new_rabbitmq():
    labels = beside_of(live(RABBITMQ), "latest").job["spec"]["template"]["metadata"]["labels"]
    wall = children({"redis": None, **RABBITMQ})[f"NetworkPolicy/{naming.store('checkout', 'cache')}"]  # fmt: skip
    (rule,) = [each for each in wall["spec"]["ingress"] if each["ports"] == [{"port": 15672, "protocol": "TCP"}]]  # fmt: skip
    (jobs,) = [each["podSelector"]["matchExpressions"] for each in rule["from"] if "matchLabels" in each.get("podSelector", {})]  # fmt: skip

    assert jobs == [{"key": naming.PART_LABEL, "operator": "In", "values": ["backup", labels[naming.PART_LABEL]]}]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "wanted", "reason", "fix"),
    [
        (live({"external": {"redis": {"hosts": ["cache.example.com"]}}}), "latest", "External", "--into"),
        (replace(live({"mongodb": {}}), drill={}), "latest", "NotFilled", "--into"),
        (live({"redis": TLS}), "latest", "CertificateNotOurs", "--authority"),
        (live({"redis": {}}, backups=None), "latest", "NothingDeclared", "--into"),
        (live({"redis": {}, "backup": {"enabled": False}}), "latest", "NothingDeclared", "--into"),
        (replace(live({"redis": {}}), drill=None), "latest", "NotProvided", "Provisioned"),
        (live({"redis": {}}, row={}), "latest", "NoSnapshot", "--snapshot"),
        (replace(live({"redis": {}}), there={"kind": "ReadinessPolicy"}), "latest", "ExistsAlready", f"delete readinesspolicy {POLICY}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_anything_is_made(case: Live, wanted: str, reason: str, fix: str):  # fmt: skip
    (refused,) = refusals_of(case, wanted)

    assert refused.reason == reason
    assert fix in refused.fix


@pytest.mark.parametrize(
    ("wanted", "row", "says"),
    [
        ("latest", SAVED, "the newest snapshot; the last that the operator knows is 86543352 of 2026-11-21T02:13:05Z, backup set 20261121T0213Z, 12345 bytes"),
        ("latest", {"newest": "2026-11-21T02:13:05Z"}, "the last that the operator knows is of unknown size"),
        ("86543352", SAVED, "from  snapshot 86543352 of"),
        ("20261121T0213Z", SAVED, "from  snapshot 86543352 of"),
        ("20261001T0213Z", {}, "snapshot 20261001T0213Z; its size, and whether there is such a one, the repository tells"),
    ],
)  # fmt: skip
def test_the_plan_says_what_is_known_and_what_is_not(wanted: str, row: Manifest, says: str):
    case = live(REDIS, row=row)
    assert list(refusals_of(case, wanted)) == []
    made = beside_of(case, wanted)
    plan = plan_of(case, made, wanted)

    assert says in plan
    assert f"into  ReadinessPolicy/{POLICY}, which is made: 5 members with 2Gi each" in plan
    assert plan.splitlines()[-1].strip() == made.removal == f"kubectl -n shop delete readinesspolicy {POLICY}"  # fmt: skip


@pytest.mark.parametrize("service", [{"redis": {}}, {"redis": TLS}, RABBITMQ, {"mongodb": {}}, {"external": {"redis": {"hosts": ["cache.example.com"]}}}], ids=str)  # fmt: skip
def test_the_runbook_names_the_command_where_it_is_not_refused(service: dict[str, Any]):
    case = live(service)
    declared = case.service.external or case.service
    kind = next(name for name in NAMES if getattr(declared, name) is not None)
    assert case.spec.backups
    page = build_runbook(way_of(kind, ("shop", "checkout", "cache"), case.spec.backups, case.service))  # fmt: skip

    refused = {each.reason for each in refusals_of(case, "latest")} - {"NotProvided"}
    assert ("$ readiness restore cache --namespace shop --policy checkout" in page) is not bool(
        refused
    )
    assert ("--into" in page) is True


def test_what_comes_next_names_both_secrets_and_both_ends():
    case = live(REDIS)
    made = beside_of(case, "latest")
    told = next_of(case, made)

    assert f"name Secret {STORE} (host, port, username, password, uri) wherever a workload names {naming.store('checkout', 'cache')}\n" in told  # fmt: skip
    assert f"kubectl -n shop patch readinesspolicy {POLICY} --type=merge" in told
    assert told.endswith(f"{made.removal}\n")


@pytest.mark.parametrize(
    ("status", "ready", "says"),
    [
        ({}, False, "not looked at it yet"),
        ({"observedGeneration": 1, "dataServices": [{"name": "cache", "ready": True}]}, False, "not looked at it yet"),
        ({"observedGeneration": 2, "dataServices": [{"name": "cache", "ready": False, "reason": "NoImage"}], "conditions": [
            {"type": "Provisioned", "reason": "NoImage", "message": "no image of redis is known"}]}, False, "NoImage: no image of redis is known"),
        ({"observedGeneration": 2, "dataServices": [{"name": "cache", "ready": True}], "conditions": [
            {"type": "Provisioned", "reason": "Provisioned", "message": "all is there"}]}, True, "Provisioned: all is there"),
    ],
)  # fmt: skip
def test_ready_is_what_the_operator_says_of_this_very_spec(status: Manifest, ready: bool, says: str):  # fmt: skip
    found = row_of({"metadata": {"generation": 2}, "status": status}, "cache")

    assert found[0] is ready
    assert says in found[1]


def test_the_name_is_of_policy_and_service_and_no_other_pair_has_it():
    names = {naming.restored(*each) for each in (("a-b", "c"), ("a", "b-c"), ("x" * 200, "cache"), ("x" * 199, "cache"))}  # fmt: skip

    assert POLICY.startswith("checkout-cache-restored-")
    assert len(names) == 4
    assert max(map(len, names)) <= naming.NAME_LIMIT

"""The CronJobs of a data service's backups, line by line of what they have to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.api import read_policy
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.runs import smeared
from readiness.dataservices.wish import Wish, children_of, order_of, refusals_of
from readiness.model import Manifest
from readiness.schedule import due_after
from readiness.snapshot import Provided, Snapshot

NAME = "checkout-cache-9cd7d755"
BUCKET = {"s3": {"bucket": "bak", "endpoint": "https://s3.example.com:9000", "secretRef": {"name": "writer"}}}  # fmt: skip
BACKUPS = {"destination": BUCKET, "passwordSecretRef": {"name": "password-of-backups"}}
RABBITMQ: dict[str, Any] = {"redis": None, "rabbitmq": {}}
FRAME = Provided(images={"redis": "redis:8", "rabbitmq": "rabbitmq:4"}, operator_image="operator:1")


def children(service: dict[str, Any] | None = None, **backups: Any) -> dict[str, Manifest]:
    asked = {"name": "cache", "redis": {"storage": "2Gi"}, **(service or {})}
    spec = {"dataServices": [{key: value for key, value in asked.items() if value is not None}], "backups": BACKUPS | backups}  # fmt: skip
    policy = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": spec}
    wish = Wish(policy, read_policy(spec), 0.0, "token")
    order = order_of(wish, Snapshot("shop", provided=FRAME), wish.spec.data_services[0])
    kind = next(each for each in KINDS if each.name == order.kind)
    assert refusals_of(kind, order, ()) == ()
    return {f"{c['kind']}/{c['metadata']['name']}": c for c in children_of(wish, kind, order)}


def job(found: dict[str, Manifest], part: str = "backup") -> tuple[Manifest, Manifest, Manifest]:
    """The specs of the CronJob, of its Job and of its pod."""
    cron = found[f"CronJob/{NAME}-{part}"]["spec"]
    inner = cron["jobTemplate"]["spec"]
    return cron, inner, inner["template"]["spec"]


def containers(pod: Manifest) -> dict[str, Manifest]:
    return {c["name"]: c for c in (*pod.get("initContainers", ()), *pod["containers"])}


@pytest.mark.parametrize("part", ["backup", "retention", "restore-drill"])
def test_a_cron_job_starts_once_ends_and_tells(part: str):
    cron, inner, pod = job(children(), part)

    settings = ("timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")  # fmt: skip
    assert [cron[each] for each in settings] == ["Etc/UTC", "Forbid", 3600, 3, 5]
    assert (inner["backoffLimit"], inner["activeDeadlineSeconds"], inner["ttlSecondsAfterFinished"]) == (2, 14400, 172800)  # fmt: skip
    assert inner["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]
    assert pod["restartPolicy"] == "Never"


@pytest.mark.parametrize("part", ["backup", "retention", "restore-drill"])
def test_a_pod_may_nothing(part: str):
    _, _, pod = job(children(), part)

    assert pod["automountServiceAccountToken"] is False
    account = children()[f"ServiceAccount/{pod['serviceAccountName']}"]
    assert account["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == f"{NAME}-{'retention' if part == 'retention' else 'backup'}"
    assert pod["securityContext"]["runAsNonRoot"] is True
    for each in containers(pod).values():
        security = each["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"]


def test_each_container_is_given_its_own_secrets_as_files_and_no_other():
    pod = job(children())[2]
    volumes = {v["name"]: v["secret"] for v in pod["volumes"] if "secret" in v}
    given = {
        name: {m["name"] for m in each["volumeMounts"]} & volumes.keys()
        for name, each in containers(pod).items()
    }

    assert given == {"dump": {"passwords"}, "verify": set(), "save": {"destination", "password"}}
    assert volumes["passwords"]["items"] == [{"key": "backup", "path": "password"}]
    assert volumes["destination"]["secretName"] == "writer"
    assert volumes["password"]["secretName"] == "password-of-backups"


@pytest.mark.parametrize("part", ["backup", "retention"])
def test_no_secret_is_an_argument_or_a_variable(part: str):
    for each in containers(job(children(), part)[2]).values():
        assert not [e for e in each.get("env", ()) if "secretKeyRef" in e.get("valueFrom", {})]
        assert "envFrom" not in each


def test_dump_and_verification_are_the_vendors_and_share_a_volume_with_what_saves():
    pod = job(children())[2]
    found = containers(pod)

    assert [c["name"] for c in pod["initContainers"]] == ["dump", "verify"]
    assert [found[name]["image"] for name in ("dump", "verify", "save")] == ["redis:8", "redis:8", "operator:1"]  # fmt: skip
    assert all({"name": "backup", "mountPath": "/backup"} in c["volumeMounts"] for c in found.values())  # fmt: skip
    (claim,) = [v["ephemeral"] for v in pod["volumes"] if "ephemeral" in v]
    assert claim["volumeClaimTemplate"]["spec"]["resources"] == {"requests": {"storage": "2Gi"}}
    assert not any("|" in word for c in found.values() for word in c.get("command", ()))


def test_what_is_saved_says_whose_it_is_and_where_it_goes():
    args = containers(job(children())[2])["save"]["args"]

    assert args == [
        "backup", "run", "--kind=redis", "--run=$(JOB_NAME)", "--namespace=shop", "--policy=checkout", "--service=cache",
        "--repository=s3:https://s3.example.com:9000/bak/shop/checkout/cache",
    ]  # fmt: skip


def test_retention_has_an_identity_of_its_own():
    pod = job(children(pruneSecretRef={"name": "pruner"}, retention={"daily": 7}), "retention")[2]
    (destination,) = [v["secret"]["secretName"] for v in pod["volumes"] if v["name"] == "destination"]  # fmt: skip

    assert destination == "pruner"
    assert {"--daily=7", "--monthly=12", "--keep-last=3"} <= set(containers(pod)["prune"]["args"])
    assert "writer" not in str(pod)


def test_the_wall_lets_nobody_in_and_out_to_the_store_and_the_destination():
    spec = children()[f"NetworkPolicy/{NAME}-backup"]["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    ports = [[p["port"] for p in rule["ports"]] for rule in spec["egress"]]
    assert ports == [[53, 53], [6379], [9000]]
    inside = BUCKET["s3"] | {"endpoint": "http://minio.storage.svc:80"}
    spec = children(destination={"s3": inside})[f"NetworkPolicy/{NAME}-backup"]["spec"]
    assert spec["egress"][-1] == {"to": [{"namespaceSelector": {}}]}


@pytest.mark.parametrize(
    ("host", "way"),
    [
        ("backup.example.com", {"ports": [{"port": 2022, "protocol": "TCP"}]}),
        ("files.storage.svc", {"to": [{"namespaceSelector": {}}]}),
    ],
)
def test_a_server_of_sftp_is_reached_and_its_secret_is_a_file(host: str, way: Manifest):
    sftp = {"host": host, "port": 2022, "user": "b", "secretRef": {"name": "key"}}
    found = children(destination={"sftp": sftp})
    pod = job(found)[2]

    assert found[f"NetworkPolicy/{NAME}-backup"]["spec"]["egress"][-1] == way
    (secret,) = [v["secret"]["secretName"] for v in pod["volumes"] if v["name"] == "destination"]
    assert secret == "key"
    assert f"--repository=sftp://b@{host}:2022/backups/shop/checkout/cache" in containers(pod)["save"]["args"]  # fmt: skip


def test_a_volume_takes_the_place_of_a_bucket_in_development():
    pod = job(children(destination={"volume": {"claimName": "disk"}}))[2]
    save = containers(pod)["save"]

    assert {"name": "repository", "persistentVolumeClaim": {"claimName": "disk"}} in pod["volumes"]
    assert "--repository=/repository/shop/checkout/cache" in save["args"]
    assert "destination" not in {m["name"] for m in save["volumeMounts"]}


def test_a_service_that_is_to_have_no_backups_has_none():
    found = children({"backup": {"enabled": False}})

    assert not [name for name in found if name.startswith("CronJob/") or name.endswith("-backup")]


def test_what_a_service_says_otherwise_is_its_own():
    own = {"schedule": "15 */6 * * *", "retention": {"daily": 3}, "scratch": "4096Mi"}
    found = children({"backup": own}, schedule="0 2 * * *")

    assert job(found)[0]["schedule"].endswith(" */6 * * *")
    assert "--daily=3" in containers(job(found, "retention")[2])["prune"]["args"]
    assert "'storage': '4Gi'" in str(job(found)[2]["volumes"])


@pytest.mark.parametrize("schedule", ["0 2 * * *", "59 2 * * *", "30 23 * * 0", "5 */6 1 * *"])
def test_a_plain_minute_is_moved_within_its_hour_and_always_alike(schedule: str):
    moved = {smeared(schedule, "ns", f"policy-{n}") for n in range(50)}

    assert len(moved) > 1 or schedule.startswith("59")
    for each in moved:
        minute, rest = each.split(" ", 1)
        assert int(schedule.split(" ", maxsplit=1)[0]) <= int(minute) < 60
        assert rest == schedule.split(" ", 1)[1]
        assert due_after(each, "Etc/UTC", 0.0)
    assert smeared(schedule, "ns", "a") == smeared(schedule, "ns", "a")


def test_minutes_that_somebody_chose_stay():
    assert smeared("*/15 * * * *", "ns", "a") == "*/15 * * * *"
    assert smeared("0,30 * * * *", "ns", "a") == "0,30 * * * *"


def test_all_stores_of_a_policy_are_saved_in_the_same_minute():
    one = job(children())[0]["schedule"]
    other = smeared("0 2 * * *", "shop", "checkout")

    assert one == other


def test_a_kind_without_backups_is_refused_by_name():
    spec = {"dataServices": [{"name": "jobs", "rabbitmq": {}}], "backups": BACKUPS}
    policy = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": spec}
    wish = Wish(policy, read_policy(spec), 0.0, "token")
    order = order_of(wish, Snapshot("shop", provided=FRAME), wish.spec.data_services[0])
    kind = replace(next(each for each in KINDS if each.name == "rabbitmq"), dump=None)

    (refusal,) = refusals_of(kind, order, ())
    assert (refusal.reason, refusal.message) == ("BackupsNotSupported", "this version makes no backups of rabbitmq")  # fmt: skip
    assert children_of(wish, kind, order)


def test_a_rabbitmq_exports_to_a_user_of_its_own_at_a_port_that_lets_backups_in():
    """Dumped without the cookie, verified by a server that boots with the dump, drilled by the same script."""
    found = {name.replace(NAME, ""): each for name, each in children(RABBITMQ).items()}
    pod = found["CronJob/-backup"]["spec"]["jobTemplate"]["spec"]["template"]
    volumes = {v["name"]: v["secret"] for v in pod["spec"]["volumes"] if "secret" in v}
    walls = [found[f"NetworkPolicy/{name}"]["spec"] for name in ("-backup", "")]
    ports = [[p["port"] for p in rule["ports"]] for rule in walls[0]["egress"]]
    (let_in,) = [rule["from"] for rule in walls[1]["ingress"] if rule["ports"] == [{"port": 15672, "protocol": "TCP"}]]  # fmt: skip
    labels = [each["podSelector"]["matchLabels"] for each in let_in if "matchLabels" in each.get("podSelector", {})]  # fmt: skip

    assert volumes["passwords"]["items"] == [{"key": "definitions-password", "path": "password"}]  # fmt: skip
    assert "cookie" not in str(pod)
    assert [c["image"] for c in pod["spec"]["initContainers"]] == ["rabbitmq:4", "rabbitmq:4"]
    assert ports == [[53, 53], [15672], [9000]]
    assert [each.items() <= pod["metadata"]["labels"].items() for each in labels] == [True]
    assert {"dump.sh", "fetch.erl", "verify.sh", "count.erl", "sorts.json", "drill.sh"} == set(found["ConfigMap/-backup"]["data"])  # fmt: skip


def test_a_drill_is_a_server_on_loopback_that_waits_and_one_that_asks_nobody_else():
    found = children(restoreDrill={"schedule": "0 3 * * 6"})
    cron, _, pod = job(found, "restore-drill")
    server, drill = containers(pod)["server"], containers(pod)["drill"]

    assert (cron["schedule"].split(" ", 1)[1], server["image"], drill["image"]) == ("3 * * 6", "redis:8", "operator:1")  # fmt: skip
    assert (server["restartPolicy"], server["command"]) == ("Always", ["sh", "/scripts/drill.sh", "/restore", "6379"])  # fmt: skip
    assert "--bind 127.0.0.1" in found[f"ConfigMap/{NAME}-backup"]["data"]["drill.sh"]
    assert {"--directory=/restore", "--port=6379"} <= set(drill["args"])
    assert not any(each.startswith("--host") for each in drill["args"])
    assert {each["name"] for each in server["volumeMounts"]} == {"tmp", "scripts", "restore"}
    assert {each["name"] for each in drill["volumeMounts"]} == {"tmp", "restore", "password", "destination"}  # fmt: skip
    assert f"PersistentVolumeClaim/{NAME}" not in str(pod)


def test_nobody_but_a_dump_reaches_the_store():
    found = children()
    walls = {name: found[f"NetworkPolicy/{NAME}-{name}"]["spec"] for name in ("backup", "restore-drill")}  # fmt: skip
    parts = {name: wall["podSelector"]["matchExpressions"][0]["values"] for name, wall in walls.items()}  # fmt: skip
    ways = {name: [rule for rule in wall["egress"] if "podSelector" in str(rule)] for name, wall in walls.items()}  # fmt: skip

    assert parts == {
        "backup": ["backup"],
        "restore-drill": ["restore-drill", "retention", "listing"],
    }
    assert (len(ways["backup"]), ways["restore-drill"]) == (1, [])
    assert all("ingress" not in wall and "Ingress" in wall["policyTypes"] for wall in walls.values())  # fmt: skip

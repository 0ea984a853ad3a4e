"""Data services of others that are backed up: what their Jobs are given, when they are written, and what is told of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from test_saving import BACKUPS, FRAME, containers

from readiness import naming
from readiness.api import read_policy
from readiness.backups.named import holds_up, named_secrets
from readiness.backups.standing import stores_of
from readiness.dataservices.backed import backups_of
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.provision import Act, Provision
from readiness.dataservices.telling import provisioned_of, service_row
from readiness.dataservices.whole import provide_all
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.snapshot import Provided, Snapshot

NAME = naming.store("checkout", "cache")
NOW = datetime.fromisoformat("2026-11-21T12:00:00Z").timestamp()
REDIS = {"redis": {"hosts": ["cache.example.com"], "secretRef": {"name": "cache-auth"}}}
SEEN = replace(FRAME, images=FRAME.images | {"mongodb": "mongo:8"})


def policy(external: Manifest | None = None, **service: Any) -> Manifest:
    asked = {"name": "cache", "external": external or REDIS, **service}
    return {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": {"dataServices": [asked], "backups": BACKUPS}}  # fmt: skip


def decided(its: Manifest, seen: Provided = SEEN) -> Provision:
    wish = Wish(its, read_policy(its["spec"]), NOW, "token")
    return provide_all(wish, Snapshot("shop", provided=seen), KINDS)


def children(external: Manifest | None = None, **service: Any) -> dict[str, Manifest]:
    writes = decided(policy(external, **service)).writes
    return {f"{w.child['kind']}/{w.child['metadata']['name']}": w.child for w in writes}


def pod(external: Manifest | None = None, part: str = "backup", **service: Any) -> Manifest:
    job = children(external, **service)[f"CronJob/{NAME}-{part}"]["spec"]["jobTemplate"]
    return dict(job["spec"]["template"]["spec"])


def told(found: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in containers(found)["dump"]["env"]}


def test_it_has_the_jobs_of_a_store_and_no_store():
    assert sorted(children()) == sorted([
        f"ConfigMap/{NAME}-backup", f"ConfigMap/{NAME}-runbook", f"CronJob/{NAME}-backup", f"CronJob/{NAME}-restore-drill", f"CronJob/{NAME}-retention",
        f"NetworkPolicy/{NAME}-backup", f"NetworkPolicy/{NAME}-restore-drill", f"PrometheusRule/{NAME}-backup", f"ServiceAccount/{NAME}-backup",
        f"ServiceAccount/{NAME}-retention",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("external", "hosts", "port"),
    [
        (REDIS, "cache.example.com", "6379"),
        ({"redis": {"hosts": ["a.example.com", "b.example.com"], "port": 6380}}, "a.example.com b.example.com", "6380"),
        ({"rabbitmq": {"hosts": ["jobs"], "managementPort": 15671}}, "jobs", "15671"),
        ({"mongodb": {"hosts": ["db-0", "db-1"], "port": 27018}}, "db-0:27018 db-1:27018", "27017"),
    ],
)  # fmt: skip
def test_it_is_dumped_where_the_policy_says(external: Manifest, hosts: str, port: str):
    found = told(pod(external))

    assert (found["MEMBERS"], found["PORT"]) == (hosts, port)
    assert "needs" in found["NEEDS"]
    assert "LOGIN" not in found, "its user stands in its Secret"


def test_sentinels_name_the_members():
    sentinels = {"hosts": ["s-0", "s-1"], "sentinel": {"port": 26380, "group": "cache"}}
    found = told(pod({"redis": sentinels}))

    assert (found["SENTINEL"], found["GROUP"], found["MEMBERS"]) == ("26380", "cache", "s-0 s-1")


@pytest.mark.parametrize(
    ("service", "secret"),
    [({}, "cache-auth"), ({"backup": {"secretRef": {"name": "cache-backup"}}}, "cache-backup")],
)
def test_one_login_is_given_to_who_dumps_and_to_nobody_else(service: Manifest, secret: str):
    found = pod(None, **service)
    (passwords,) = [v for v in found["volumes"] if v["name"] == "passwords"]
    mounted = {name for name, each in containers(found).items() for m in each["volumeMounts"] if m["name"] == "passwords"}  # fmt: skip

    assert passwords["secret"]["secretName"] == secret
    assert [each["key"] for each in passwords["secret"]["items"]] == ["username", "password", "ca.crt"]  # fmt: skip
    assert passwords["secret"]["optional"], "a login need not have a user, nor an authority"
    assert mounted == {"dump"}
    assert secret not in str([pod(None, part, **service) for part in ("retention", "restore-drill")])  # fmt: skip


def test_without_a_login_it_is_dumped_as_anybody_may():
    found = pod({"redis": {"hosts": ["cache"]}})

    assert "passwords" not in {each["name"] for each in found["volumes"]}
    assert "needs" in told(found)["NEEDS"]


def test_tls_is_spoken_with_the_authority_beside_the_login():
    assert told(pod({"redis": REDIS["redis"] | {"tls": True}}))["TLS"] == "/passwords"
    assert "TLS" not in told(pod())


@pytest.mark.parametrize(
    ("host", "peers"),
    [("cache.example.com", [None]), ("cache", [[{"namespaceSelector": {}}], None])],
)
def test_its_pods_reach_the_port_and_behind_a_service_its_pods(host: str, peers: list[Any]):
    wall = children({"redis": {"hosts": [host], "port": 6390}})[f"NetworkPolicy/{NAME}-backup"]
    names, *ways, destination = wall["spec"]["egress"]

    assert [way.get("to") for way in ways] == peers
    assert ways[-1]["ports"] == [{"port": 6390, "protocol": "TCP"}]
    assert "to" not in names
    assert destination["ports"][0]["port"] == 9000


def test_sizes_are_declared_or_modest():
    declared = pod(None, backup={"memory": "4Gi", "scratch": "30Gi", "image": "redis:7.4"})
    found = pod()

    assert [_sizes(each) for each in (found, declared)] == [
        ("redis:8", "1Gi", "10Gi"),
        ("redis:7.4", "4Gi", "30Gi"),
    ]


def _sizes(found: Manifest) -> tuple[str, str, str]:
    (backup,) = [v for v in found["volumes"] if v["name"] == "backup"]
    verify = containers(found)["verify"]
    asked = backup["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    return verify["image"], verify["resources"]["limits"]["memory"], asked


@pytest.mark.parametrize(
    ("seen", "reason", "fix"),
    [
        (replace(SEEN, images={}), "NoImage", "spec.dataServices[cache].backup.image"),
        (replace(SEEN, operator_image=""), "NoImage", "READINESS_IMAGE"),
    ],
)
def test_what_it_lacks_is_named(seen: Provided, reason: str, fix: str):
    (service,) = (found := decided(policy(), seen)).services

    assert found.writes == ()
    assert [each.reason for each in service.obstacles] == [reason]
    assert fix in service.obstacles[0].fix


def test_it_may_be_meant_to_have_no_backups():
    assert decided(policy(None, backup={"enabled": False})) == Provision()
    assert decided(policy(None, backup={"enabled": False}), replace(SEEN, images={})) == Provision()


def there(its: Manifest, created: str = "2026-11-21T11:00:00Z") -> Provided:
    """All that a policy wants written, as it is there then."""
    made = [w.child for w in decided(its).writes]
    for each in made:
        each["metadata"] |= {"uid": "c", "creationTimestamp": created}
    return replace(SEEN, children={(c["kind"], c["metadata"]["name"]): c for c in made})


def test_backups_that_are_no_longer_wanted_go():
    found = decided(policy(None, backup={"enabled": False}), there(policy()))

    assert {write.act for write in found.writes} == {Act.DELETE}
    assert len(found.writes) == len(children())


def ours() -> Manifest:
    return {"metadata": policy()["metadata"], "spec": {"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS}}  # fmt: skip


def test_a_store_that_we_ran_under_its_name_goes_on_running():
    """Somebody else's Redis takes the name of ours: nothing of ours is deleted until somebody confirms it."""
    (service,) = (found := decided(policy(), there(ours()))).services

    assert found.writes == ()
    assert [each.reason for each in service.obstacles] == ["RemovalPending"]


def test_a_store_of_ours_takes_the_backups_over():
    found = decided(ours(), there(policy()))

    assert not any(each.obstacles for each in found.services)
    assert f"CronJob/{NAME}-backup" in {f"{w.child['kind']}/{w.child['metadata']['name']}" for w in found.writes if w.act is Act.APPLY}  # fmt: skip


def test_what_is_told_of_it():
    seen = there(policy())
    (service,) = decided(policy(), seen).services
    row = service_row(service, {}, seen, "2026-11-21T12:00:00Z")
    spec = read_policy(policy()["spec"])

    assert row == {"name": "cache", "kind": "redis", "ready": True}
    assert provisioned_of(decided(policy(), seen))[0] == "True"
    assert backups_of(spec, [row], NOW)[:2] == ("Unknown", "NoBackupYet")
    assert set(stores_of(policy())) == {"cache"}


def test_a_login_that_is_not_there_is_named_and_holds_up_nobody_else():
    asked = {each.field: each for each in named_secrets(policy())}
    own = policy(None, backup={"secretRef": {"name": "cache-backup"}})
    field = "spec.dataServices[cache].external.redis.secretRef"

    assert asked[field].name == "cache-auth"
    assert "create secret generic cache-auth --from-literal=username=" in asked[field].absence("shop")  # fmt: skip
    assert "cache-backup" in {each.name for each in named_secrets(own)}
    assert "cache-auth" not in {each.name for each in named_secrets(own)}
    assert not holds_up({field: "is not there"})
    assert holds_up({"spec.backups.passwordSecretRef": "is not there"})


def test_a_missed_night_is_caught_up():
    """Nobody of it is a member that we know to be Ready."""
    writes = decided(policy(), there(policy(), "2026-11-01T00:00:00Z")).writes

    assert [(w.act, w.child["metadata"]["name"].rpartition("-")[0]) for w in writes] == [(Act.START, f"{NAME}-listing")]  # fmt: skip

"""Plain volumes: what their Jobs are, when they are written, and that nothing of a data service is touched by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from apiserver import ApiServer
from test_saving import BACKUPS, FRAME, containers

from readiness import naming
from readiness.api import read_policy
from readiness.backups.standing import stores_of
from readiness.cluster.children import path_of
from readiness.dataservices.backed import backups_of
from readiness.dataservices.drift import difference
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.provision import Act, Provision
from readiness.dataservices.telling import provisioned_of, service_row
from readiness.dataservices.whole import provide_all
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.snapshot import Provided, Snapshot

VOLUME = {"name": "uploads", "claimName": "shop-uploads", "mountedBy": {"app": "shop"}, "user": 1000, "group": 2000, "scratch": "20480Mi"}  # fmt: skip
NAME = naming.store("checkout", "uploads")
NOW = datetime.fromisoformat("2026-11-21T12:00:00Z").timestamp()


def policy(*volumes: dict[str, Any], **spec: Any) -> Manifest:
    backups = BACKUPS | {"volumes": list(volumes)}
    return {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": {"backups": backups, **spec}}  # fmt: skip


def decided(its: Manifest, seen: Provided = FRAME) -> Provision:
    wish = Wish(its, read_policy(its["spec"]), NOW, "token")
    return provide_all(wish, Snapshot("shop", provided=seen), KINDS)


def children(**spec: Any) -> dict[str, Manifest]:
    writes = decided(policy(VOLUME, **spec)).writes
    return {f"{w.child['kind']}/{w.child['metadata']['name']}": w.child for w in writes}


def pod(part: str) -> Manifest:
    job = children()[f"CronJob/{NAME}-{part}"]["spec"]["jobTemplate"]
    return dict(job["spec"]["template"]["spec"])


def test_it_has_the_jobs_of_a_store_and_nothing_else():
    assert sorted(children()) == sorted([
        f"CronJob/{NAME}-backup", f"CronJob/{NAME}-restore-drill", f"CronJob/{NAME}-retention", f"NetworkPolicy/{NAME}-backup",
        f"ServiceAccount/{NAME}-backup", f"ServiceAccount/{NAME}-retention", f"ConfigMap/{NAME}-runbook", f"PrometheusRule/{NAME}-backup",
    ])  # fmt: skip
    for each in children().values():
        assert naming.store_labels("checkout", "uploads").items() <= each["metadata"]["labels"].items()  # fmt: skip


def test_the_volume_is_mounted_read_only_by_whoever_packs_and_by_nobody_else():
    found = pod("backup")
    (source,) = [v for v in found["volumes"] if v["name"] == "source"]
    mounts = {name: {m["name"]: m.get("readOnly", False) for m in each["volumeMounts"]} for name, each in containers(found).items()}  # fmt: skip

    assert source["persistentVolumeClaim"] == {"claimName": "shop-uploads", "readOnly": True}
    assert mounts == {
        "dump": {"tmp": False, "backup": False, "source": True},
        "verify": {"tmp": False, "backup": False},
        "save": {"tmp": False, "backup": False, "password": True, "destination": True},
    }
    assert "shop-uploads" not in str([pod("retention"), pod("restore-drill")])


def test_it_is_read_by_its_owner_and_its_group_is_left_as_it_is():
    found = pod("backup")
    users = {name: each["securityContext"].get("runAsUser") for name, each in containers(found).items()}  # fmt: skip

    assert users == {"dump": 1000, "verify": None, "save": None}
    assert (found["securityContext"]["fsGroup"], found["securityContext"]["runAsUser"]) == (2000, 65532)  # fmt: skip
    (term,) = found["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["labelSelector"] == {"matchLabels": {"app": "shop"}}


def test_what_is_run_is_what_the_command_line_knows():
    args = {name: each["args"] for name, each in containers(pod("backup")).items()}
    drill = containers(pod("restore-drill"))["drill"]["args"]

    assert (args["dump"], args["verify"]) == (["backup", "pack"], ["backup", "inspect"])
    assert args["save"][:4] == ["backup", "run", "--kind=volume", "--run=$(JOB_NAME)"]
    assert "--repository=s3:https://s3.example.com:9000/bak/shop/checkout/uploads" in args["save"]
    assert drill[:2] == ["restore-drill", "--kind=volume"]
    assert "'storage': '20Gi'" in str(pod("backup")["volumes"])
    assert "'storage': '20Gi'" in str(pod("restore-drill")["volumes"])


def test_no_pod_of_it_reaches_a_store():
    spec = children()[f"NetworkPolicy/{NAME}-backup"]["spec"]

    assert sorted(spec["podSelector"]["matchExpressions"][0]["values"]) == ["backup", "listing", "restore-drill", "retention"]  # fmt: skip
    assert not [rule for rule in spec["egress"] if "podSelector" in str(rule)]


def seen(its: Manifest) -> Provided:
    """As the cluster is once everything was written."""
    found = {}
    for write in decided(its).writes:
        meta = write.child["metadata"] | {"uid": "u-1", "creationTimestamp": "2026-11-01T00:00:00Z"}
        found[write.child["kind"], meta["name"]] = write.child | {"metadata": meta}
    return replace(FRAME, children=found)


def test_it_is_written_once_and_told():
    its = policy(VOLUME)
    first = decided(its)
    again = decided(its, seen(its))

    assert {write.act for write in first.writes} == {Act.CREATE}
    assert provisioned_of(first)[:2] == ("False", "Provisioning")
    assert [w.child["metadata"]["name"] for w in again.writes if w.act is not Act.START] == []
    assert provisioned_of(again)[:2] == ("True", "Provisioned")
    row = service_row(again.services[0], {}, FRAME, "now")
    assert (row["name"], row["kind"], row["ready"]) == ("uploads", "volume", True)
    assert NOW < again.next_at < NOW + 301


def test_a_missed_schedule_of_it_is_made_up_for():
    its = policy(VOLUME)
    (start,) = [w for w in decided(its, seen(its)).writes if w.act is Act.START]

    assert start.child["metadata"]["name"].startswith(f"{NAME}-listing-")
    assert "--service=uploads" in start.child["spec"]["template"]["spec"]["containers"][0]["args"]


def test_one_that_is_no_longer_declared_waits_for_a_word():
    there = seen(policy(VOLUME))
    gone = decided(policy(), there)

    assert gone.writes == ()
    assert [(s.name, s.obstacles[0].reason) for s in gone.services] == [("uploads", "RemovalPending")]  # fmt: skip


def test_one_that_takes_the_name_of_a_store_deletes_nothing_of_it():
    its = policy(VOLUME)
    labels = naming.store_labels("checkout", "uploads") | {naming.KIND_LABEL: "redis"}
    store = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": NAME, "labels": labels}, "spec": {}}  # fmt: skip
    found = decided(its, replace(FRAME, children={("StatefulSet", NAME): store}))

    assert found.writes == ()
    assert found.services[0].obstacles[0].reason == "RemovalPending"


def test_without_our_image_it_is_refused():
    (told,) = decided(policy(VOLUME), replace(FRAME, operator_image="")).services
    assert told.obstacles[0].reason == "NoImage"


@pytest.mark.parametrize(
    ("row", "expected"),
    [({}, ("Unknown", "NoBackupYet")), ({"lastSuccess": "2026-11-21T02:13:00Z"}, ("True", "BackedUp")),
     ({"lastSuccess": "2026-11-19T02:13:00Z"}, ("False", "Overdue"))],
)  # fmt: skip
def test_it_counts_for_the_health_of_backups(row: Manifest, expected: tuple[str, str]):
    spec = read_policy(policy(VOLUME)["spec"])

    assert backups_of(spec, [{"name": "uploads", "backup": row}], NOW)[:2] == expected
    assert stores_of(policy(VOLUME)).keys() == {"uploads"}


@pytest.mark.api
def test_the_server_gives_back_what_it_was_given_and_admits_the_pods(api_server: ApiServer):
    space = "saved-volumes"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": space, "labels": labels}})  # fmt: skip
    for each in children().values():
        if each["kind"] == "PrometheusRule":
            continue  # this server has no such kind; promtool reads the rules
        moved = each | {"metadata": {**each["metadata"], "namespace": space}}
        answer = api_server.request("POST", path_of(moved, named=False), moved)
        assert answer.get("kind") == each["kind"], answer
        assert difference(moved, api_server.request("GET", path_of(moved))) == ""
        if each["kind"] == "CronJob":
            inner = each["spec"]["jobTemplate"]["spec"]["template"]
            whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", **inner["metadata"]}, "spec": inner["spec"]}  # fmt: skip
            admitted = api_server.request("POST", f"/api/v1/namespaces/{space}/pods", whole, dryRun="All")  # fmt: skip
            assert admitted.get("kind") == "Pod", admitted

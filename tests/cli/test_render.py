"""`readiness render`: what the operator would create, from its own code, without a cluster or a secret."""

from __future__ import annotations

import yaml

from readiness import naming

POLICY = """
apiVersion: readiness.dev/v1alpha1
kind: ReadinessPolicy
metadata: {name: checkout, namespace: shop}
spec:
  dataServices:
  - {name: cache, redis: {storage: 2Gi}}
  - {name: legacy, external: {redis: {hosts: [legacy.example.com]}}}
"""
IMAGE = ("--redis-image", "redis:8")


def test_every_child_is_printed_with_placeholders(readiness):
    ended = readiness("render", "-", *IMAGE, stdin=POLICY)
    found = list(yaml.safe_load_all(ended.out))
    places = [(each["kind"], each["metadata"]["name"]) for each in found]
    name = naming.store("checkout", "cache")

    assert (ended.code, ended.err) == (0, "")
    assert places[0] == ("Secret", f"{name}-credentials")
    assert {("StatefulSet", name), ("StatefulSet", f"{name}-sentinel")} <= set(places)
    assert {each["metadata"]["namespace"] for each in found} == {"shop"}
    assert found[0]["stringData"]["admin"] == "GENERATED-admin"
    assert "desired-hash" not in ended.out
    claims = [c for each in found for c in each.get("spec", {}).get("volumeClaimTemplates", ())]
    assert claims[0]["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_an_owner_is_known_in_the_cluster_only(readiness):
    ended = readiness("render", "-", *IMAGE, stdin=f"{POLICY}  deletionPolicy: Delete\n")

    assert ended.code == 0
    assert "ownerReferences" not in ended.out
    assert "whenDeleted: Delete" in ended.out


def test_nodes_decide_how_strictly_members_are_kept_apart(readiness):
    strict = readiness("render", "-", *IMAGE, stdin=POLICY).out
    loose = readiness("render", "-", *IMAGE, "--nodes", "1", stdin=POLICY).out

    assert "requiredDuringScheduling" in strict
    assert "requiredDuringScheduling" not in loose


def test_what_is_refused_says_why(readiness):
    ended = readiness("render", "-", stdin=POLICY)

    assert (ended.code, ended.out) == (1, "")
    assert "checkout: cache: no image of redis is known (set spec.dataServices[cache].redis.image" in ended.err  # fmt: skip


def test_what_cannot_be_read_is_a_usage_error(readiness):
    assert readiness("render", "/none").code == 2
    assert readiness("render").code == 2
    broken = POLICY.replace("storage: 2Gi", "storage: 2")
    assert readiness("render", "-", stdin=broken).code == 2

"""Children against a real API server: created, adopted, applied, pruned, and never anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bench import CACHE, NAME, PLACES, Bench, KilledError, bench, provided
from toykind import Object

from readiness import naming
from readiness.cluster import ApiError
from readiness.dataservices.telling import provisioned_of

__all__ = ["bench"]
pytestmark = pytest.mark.api


async def test_everything_is_created_once_and_then_nothing_is_written(bench: Bench):
    policy = await provided(bench)
    posts = [write for write in bench.writes if write.startswith("POST")]
    adopted = set(bench.writes) - set(
        posts
    )  # again after a conflict: controllers write at the same time
    assert (len(posts), len(adopted)) == (8, 7), "a POST each, and all but the credentials adopted"
    bench.everything()

    for _ in range(3):
        await bench.pass_(policy)
        assert bench.writes == []
    bench.be_born()
    await bench.pass_(policy)
    assert bench.writes == [], "a restart writes nothing either"


async def test_a_late_watch_makes_nobody_write_twice(bench: Bench):
    policy = await provided(bench)
    _, notes = await bench.pass_(policy, blind=True)

    assert (bench.writes, notes) == ([], ())


async def test_secrets_say_the_same_after_any_restart_and_no_text_may_hold_them(bench: Bench):
    policy = await provided(bench)
    secret = bench.get("Secret", f"{NAME}-credentials")["data"]
    bench.be_born()
    await bench.pass_(policy)

    assert bench.get("Secret", f"{NAME}-credentials")["data"] == secret
    assert len(bench.learnt) == 2


async def test_credentials_that_could_not_be_read_are_not_made_anew(bench: Bench):
    policy = await provided(bench)
    bench.be_born()
    real = bench.connection.request

    async def cut(method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        raise ApiError(0, "cut")

    await bench.watch()
    bench.connection.request = cut
    with pytest.raises(ApiError):
        await bench.pass_(policy, blind=True)
    bench.connection.request = real
    await bench.pass_(policy)

    assert bench.writes == []


async def test_lost_credentials_are_written_again_as_they_were(bench: Bench):
    policy = await provided(bench)
    before = bench.get("Secret", f"{NAME}-credentials")["data"]
    bench.server.request("DELETE", bench.path("Secret", f"{NAME}-credentials"))
    bench.now += 301
    await bench.pass_(policy)

    assert bench.get("Secret", f"{NAME}-credentials")["data"] == before


# --- a stranger's


@pytest.mark.parametrize("at", range(len(PLACES)), ids=lambda at: "/".join(PLACES[at]))
async def test_what_is_not_ours_is_not_touched(bench: Bench, at: int):
    kind, name = PLACES[at]
    bench.server.request("POST", bench.path(kind, "").rstrip("/"), stranger(kind, name))
    before = untouched(bench.get(kind, name))
    policy = await provided(bench)

    assert await bench.told(policy) == "NameTaken"
    assert untouched(bench.get(kind, name)) == before
    assert bench.woken == [(bench.namespace, "shop")], "the obstacle is told at once"
    await bench.pass_(policy)
    assert bench.writes == [], "and not tried again at once"
    bench.server.request("DELETE", bench.path(kind, name), {"gracePeriodSeconds": 0})
    bench.now += 20
    await bench.pass_(policy)
    bench.everything()
    assert bench.children.case(policy).obstacles == {}


def untouched(found: Object) -> Object:
    """An object without what its own controller writes."""
    meta = {k: v for k, v in found["metadata"].items() if k not in ("resourceVersion", "managedFields")}  # fmt: skip
    return {**found, "metadata": meta, "status": None}


def stranger(kind: str, name: str) -> Object:
    api = {"StatefulSet": "apps/v1", "NetworkPolicy": "networking.k8s.io/v1", "PodDisruptionBudget": "policy/v1"}  # fmt: skip
    labels = {naming.POLICY_LABEL: "shop", naming.SERVICE_LABEL: "other"}
    selector = {"matchLabels": {"a": "b"}}
    spec: Object = {
        "Service": {"clusterIP": "None", "ports": [{"port": 1}]},
        "NetworkPolicy": {"podSelector": selector},
        "PodDisruptionBudget": {"selector": selector, "maxUnavailable": 1},
        "StatefulSet": {
            "replicas": 0, "serviceName": "x", "selector": selector,
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
        },
    }  # fmt: skip
    found = {
        "apiVersion": api.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
    }
    return found | ({"spec": spec[kind]} if kind in spec else {})


# --- changes


async def test_a_field_that_is_no_longer_wished_goes(bench: Bench):
    await provided(bench)
    assert bench.get("ConfigMap", f"{NAME}-config")["data"] == {"a": "1"}
    await bench.pass_(bench.policy({"name": "cache", "redis": {"replicas": 5}}))

    assert "data" not in bench.get("ConfigMap", f"{NAME}-config")
    assert bench.get("StatefulSet")["spec"]["replicas"] == 5
    assert sorted(bench.writes) == [f"PATCH configmaps/{NAME}-config", f"PATCH statefulsets/{NAME}"]


DRIFTS: list[tuple[str, Object, Callable[[Object], Any]]] = [
    ("StatefulSet", {"spec": {"replicas": 1}}, lambda o: o["spec"]["replicas"]),
    ("Service", {"spec": {"publishNotReadyAddresses": False}}, lambda o: o["spec"]["publishNotReadyAddresses"]),
    ("NetworkPolicy", {"spec": {"ingress": [{}]}}, lambda o: o["spec"]["ingress"]),
    ("PodDisruptionBudget", {"spec": {"maxUnavailable": 3}}, lambda o: o["spec"]["maxUnavailable"]),
    ("ServiceAccount", {"automountServiceAccountToken": True}, lambda o: o["automountServiceAccountToken"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "read"), DRIFTS, ids=[row[0] for row in DRIFTS])
async def test_drift_is_put_back_once_a_minute_and_told(
    bench: Bench, kind: str, change: Object, read: Callable[[Object], Any]
):
    policy = await provided(bench)
    right = read(bench.get(kind))
    bench.merge(kind, change)
    _, notes = await bench.pass_(policy)

    assert read(bench.get(kind)) == right
    assert [note.reason for note in notes] == ["DriftRepaired"]
    assert f"{kind}/{NAME}: " in notes[0].message
    bench.merge(kind, change)
    _, notes = await bench.pass_(policy)
    assert (bench.writes, notes) == ([], ()), "within the minute it stands"
    bench.now += 60
    await bench.pass_(policy)
    assert read(bench.get(kind)) == right


async def test_what_others_add_is_left_alone(bench: Bench):
    policy = await provided(bench)
    bench.merge(
        "StatefulSet", {"metadata": {"annotations": {"team": "x"}, "labels": {"cost": "y"}}}
    )
    await bench.pass_(policy)

    assert bench.writes == []
    assert bench.get("StatefulSet")["metadata"]["annotations"]["team"] == "x"


async def test_a_child_under_a_new_uid_is_not_mistaken_for_the_old_one(bench: Bench):
    policy = await provided(bench)
    await bench.watch()
    bench.server.request("DELETE", bench.path("ConfigMap", f"{NAME}-config"))
    bench.server.request("POST", bench.path("ConfigMap", "").rstrip("/"), stranger("ConfigMap", f"{NAME}-config"))  # fmt: skip
    changed = bench.policy({"name": "cache", "redis": {}})
    with pytest.raises(ApiError) as error:
        await bench.pass_(changed, blind=True)

    assert error.value.status == 409
    assert "data" not in bench.get("ConfigMap", f"{NAME}-config")
    await bench.pass_(policy)
    assert await bench.told(policy) == "NameTaken"


async def test_what_the_api_server_refuses_is_told_with_its_object(bench: Bench):
    await provided(bench)
    grown = bench.policy({"name": "cache", "redis": {"storageClass": "other"}})
    await bench.pass_(grown)
    decided, _ = await bench.pass_(grown)

    status, reason, message = provisioned_of(decided)
    assert (status, reason) == ("False", "Immutable")
    assert f"StatefulSet/{NAME}" in message


# --- owning and removing


async def test_a_policy_that_comes_back_takes_its_stores_back(bench: Bench):
    await provided(bench)
    bench.be_born()
    await bench.pass_(bench.policy(CACHE, uid="u-2"))

    assert bench.writes == []


async def test_ownership_follows_the_deletion_policy_both_ways(bench: Bench):
    await provided(bench)
    before = {place: bench.get(*place)["metadata"]["uid"] for place in PLACES}
    path = f"/apis/readiness.dev/v1alpha1/namespaces/{bench.namespace}/readinesspolicies"
    body = {"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": "shop"}, "spec": {}}  # fmt: skip
    uid = bench.server.request("POST", path, body)["metadata"]["uid"]
    await bench.pass_(bench.policy(CACHE, uid=uid, deletionPolicy="Delete"))
    owned = {place: bench.get(*place)["metadata"].get("ownerReferences") for place in PLACES}
    await bench.pass_(bench.policy(CACHE))

    assert all(owned.values()), "what was there before is deleted with the policy, too"
    assert not any(bench.get(*place)["metadata"].get("ownerReferences") for place in PLACES)
    assert {place: bench.get(*place)["metadata"]["uid"] for place in PLACES} == before


async def test_removal_waits_for_its_confirmation_and_leaves_the_credentials(bench: Bench):
    await provided(bench)
    assert await bench.told(bench.policy()) == "RemovalPending"
    assert bench.writes == []
    bench.be_born()
    await bench.pass_(bench.policy(confirm="cache"))
    await bench.pass_(bench.policy(confirm="cache"))

    left = [place for place in PLACES if bench.get(*place).get("code") != 404]
    assert left == [("Secret", f"{NAME}-credentials")]
    assert await bench.told(bench.policy()) == "NothingDeclared"


# --- killed between any two writes


async def outcome(bench: Bench) -> dict[str, Any]:
    """What a policy comes to, however often its operator died on the way."""
    await asyncio.sleep(0)
    await bench.pass_(bench.policy(CACHE))
    await bench.pass_(bench.policy(CACHE))
    assert bench.writes == []
    return bench.everything()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 16))
async def test_killed_at_any_write_it_ends_in_the_same_state(
    bench: Bench, number: int, after: bool
):
    if after:
        bench.connection.dies_after = number
    else:
        bench.connection.dies_before = number
    with pytest.raises(KilledError):
        await bench.pass_(bench.policy(CACHE))
    bench.be_born()

    found = await outcome(bench)
    managers = {managed for *_, spec, _, managed in found.values() if spec for managed in managed}
    assert managers == {(naming.STORE_MANAGER, "Apply")}, "what is left out later will go"

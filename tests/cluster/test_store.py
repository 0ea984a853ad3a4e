"""What the watches saw, in tables: ownership, indexes, newest-wins, and who is woken by what."""

from __future__ import annotations

import asyncio

import pytest

from readiness.cluster.interest import Interest
from readiness.cluster.own import POLICY, Own
from readiness.cluster.store import Store, members, owner_of


def pod(name, owner=None, labels=None, ip="10.0.0.1", namespace="shop", **spec):
    owners = [{"kind": owner[0], "name": owner[1], "uid": "u", "controller": True}] if owner else []
    meta = {"name": name, "namespace": namespace, "labels": labels or {}, "ownerReferences": owners}
    status = {"phase": "Running", "podIPs": [{"ip": ip}]}
    return {"kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def thing(kind, name, namespace="shop", **rest):
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **rest}


def policy(name, workload="api", service="", version=1, exempt=()):
    target = {"name": "t", "workloadRef": {"kind": "Deployment", "name": workload}}
    target |= {"service": {"name": service}} if service else {}
    meta = {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": str(version)}
    spec = {"targets": [target], "exempt": [{"ref": ref} for ref in exempt]}
    return {"kind": POLICY, "metadata": meta, "spec": spec}


@pytest.mark.parametrize(
    ("found", "owner"),
    [
        (pod("a"), ("Pod", "a")),
        (pod("a", ("StatefulSet", "db")), ("StatefulSet", "db")),
        (pod("a", ("ReplicaSet", "api-7f9"), {"pod-template-hash": "7f9"}), ("Deployment", "api")),
        (pod("a", ("ReplicaSet", "api-7f9"), {"rollouts-pod-template-hash": "7f9"}), ("Rollout", "api")),
        (pod("a", ("ReplicaSet", "bare")), ("ReplicaSet", "bare")),
        (pod("a", ("ReplicaSet", "api-7f9"), {"pod-template-hash": "forged"}), ("ReplicaSet", "api-7f9")),
    ],
)  # fmt: skip
def test_owner_of(found, owner):
    assert owner_of(found) == owner


def test_pods_are_found_by_workload_through_every_change():
    store = Store()
    mine = ("Deployment", "api")
    labels = {"pod-template-hash": "1"}
    store.put(pod("b", ("ReplicaSet", "api-1"), labels))
    store.put(pod("a", ("ReplicaSet", "api-1"), labels))
    assert [p["metadata"]["name"] for p in store.belonging("Pod", "shop", mine)] == ["a", "b"]
    assert store.belonging("Pod", "other", mine) == ()

    store.put(pod("a", ("ReplicaSet", "web-1"), labels))
    assert [p["metadata"]["name"] for p in store.belonging("Pod", "shop", mine)] == ["b"]
    store.drop("Pod", "shop", "b")
    store.replace("Pod", "", [])
    assert store._index == {}
    assert store._objects == {}


def test_an_equal_object_is_no_change():
    store = Store()

    assert store.put(pod("a")) != []
    assert store.put(pod("a")) == []


def test_replace_tells_what_came_changed_and_went_and_only_in_its_namespace():
    store = Store()
    for name, namespace in (("keep", "shop"), ("gone", "shop"), ("far", "other")):
        store.put(thing("Service", name, namespace))
    changes = store.replace("Service", "shop", [thing("Service", "keep"), thing("Service", "new")])

    names = [(old and old["metadata"]["name"], new and new["metadata"]["name"]) for old, new in changes]  # fmt: skip
    assert names == [(None, "new"), ("gone", None)]
    assert "far" in store.of("Service", "other")


def test_what_is_derived_is_built_once_until_something_it_reads_changes():
    store, built = Store(), []

    def inventory():
        return store.derived("x", "shop", (members("Service"),), lambda: built.append(1) or len(built))  # fmt: skip

    store.put(thing("Service", "a"))
    assert [inventory(), inventory()] == [1, 1]
    store.put(thing("Service", "a", spec={"changed": True}))
    store.put(thing("Service", "b", "other"))
    assert inventory() == 1
    store.put(thing("Service", "b"))
    assert inventory() == 2
    store.drop("Service", "shop", "b")
    assert inventory() == 3


class Hearing:
    """An Own with a store, and what it told."""

    def __init__(self) -> None:
        self.store, self.heard = Store(), []
        self.own = Own(self.store, self.heard.extend)

    def version(self):
        found = self.own.get(POLICY, ("shop", "p"))
        return found and found["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("first", "then", "kept"), [(5, 6, "6"), (5, 5, "5"), (5, 4, "5"), (9, 10, "10")]
)
def test_the_newest_version_wins(first, then, kept):
    it = Hearing()
    it.own.offer(POLICY, policy("p", version=first))
    it.own.offer(POLICY, policy("p", version=then))

    assert it.version() == kept
    assert len(it.heard) == (2 if then > first else 1)


def test_the_answer_to_a_write_is_kept_silently_and_its_echo_is_no_news():
    it = Hearing()
    it.own.offer(POLICY, policy("p", version=1))
    with it.own.writing(POLICY, ("shop", "p")):
        it.own.offer(POLICY, policy("p", version=2))  # the echo is faster than the answer
        assert it.version() == "1"
        it.own.answered(POLICY, policy("p", version=2))

    assert it.version() == "2"
    assert len(it.heard) == 1


def test_news_that_came_during_a_write_is_told_after_it():
    it = Hearing()
    it.own.offer(POLICY, policy("p", version=1))
    with it.own.writing(POLICY, ("shop", "p")):  # and the write fails
        it.own.offer(POLICY, policy("p", version=3))

    assert it.version() == "3"
    assert len(it.heard) == 2


def test_an_answer_does_not_bring_back_what_was_deleted_or_made_anew():
    it = Hearing()
    it.own.answered(POLICY, policy("p", version=9))
    assert it.version() is None
    anew = policy("p", version=3)
    anew["metadata"]["uid"] = "other"
    it.own.offer(POLICY, anew)
    it.own.answered(POLICY, policy("p", version=9))
    assert it.version() == "3"


def test_a_late_delete_does_not_hit_what_was_made_anew():
    it = Hearing()
    it.own.offer(POLICY, policy("p", version=8))
    it.own.gone(POLICY, policy("p", version=7))
    assert it.version() == "8"
    it.own.gone(POLICY, policy("p", version=9))
    assert it.version() is None


def test_a_list_forgets_only_what_is_older_than_it():
    it = Hearing()
    for name, version in (("old", 3), ("young", 30), ("listed", 4)):
        it.own.offer(POLICY, policy(name, version=version))
    it.own.keep_only(POLICY, {("shop", "listed")}, 10, "")

    assert set(it.store.of(POLICY, "shop")) == {"young", "listed"}


LABELS = {"pod-template-hash": "1"}


@pytest.mark.parametrize(
    ("change", "woken"),
    [
        ((None, thing("Deployment", "api")), {"p"}),
        ((thing("Deployment", "api"), None), {"p"}),
        ((None, thing("StatefulSet", "api")), set()),
        ((None, thing("Deployment", "api", "other")), set()),
        ((None, pod("x", ("ReplicaSet", "api-1"), LABELS)), {"p"}),
        ((pod("x", ("ReplicaSet", "web-1"), LABELS), None), {"q"}),
        ((None, thing("Service", "front")), {"q"}),
        ((None, {"kind": "EndpointSlice", "metadata": {"name": "front-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "front"}}}), {"q"}),
        ((None, thing("ReadinessWaiver", "w", spec={"policyRef": "q"})), {"q"}),
        ((None, thing("NetworkPolicy", "n")), {"p", "q"}),
        ((None, thing("NetworkPolicy", "n", "other")), set()),
        ((None, {"kind": "ClusterRole", "metadata": {"name": "c"}}), {"p", "q"}),
        ((None, {"kind": "ReadinessProfile", "metadata": {"name": "c"}}), {"p", "q"}),
        ((None, {"kind": "Namespace", "metadata": {"name": "shop"}}), {"p", "q"}),
    ],
)  # fmt: skip
async def test_who_is_woken(change, woken, monkeypatch):
    for delay in ("NAMESPACE_DELAY", "CLUSTER_DELAY"):
        monkeypatch.setattr(f"readiness.cluster.interest.{delay}", 0.0)
    heard = set()
    interest = Interest(lambda key, _delay: heard.add(key[1]))
    for found in (policy("p"), policy("q", "web", "front")):
        interest.changed([(None, found)])
    assert heard == set(), "nobody is woken while the first lists come in"
    interest.awake = True
    interest.changed([change])
    await asyncio.sleep(0.01)

    assert heard == woken


async def test_a_storm_of_events_costs_one_look_a_second():
    delays = []
    interest = Interest(lambda _key, delay: delays.append(delay))
    interest.changed([(None, policy("p"))])
    interest.awake = True
    for _ in range(100):
        interest.changed([(None, thing("Deployment", "api"))])

    assert delays[0] == 0.0
    assert all(0.5 < delay <= 1.0 for delay in delays[1:])


async def test_targets_that_leave_are_no_longer_followed_nor_covered():
    woken = []
    interest = Interest(lambda key, _delay: woken.append(key))
    one, two = policy("p", "api"), policy("p", "web", exempt=["DaemonSet/agent"])
    other = policy("q", "api")
    interest.changed([(None, one), (None, other)])
    assert interest.covered("shop") == {"Deployment/api"}
    interest.changed([(one, two)])
    assert interest.covered("shop") == {"Deployment/api", "Deployment/web", "DaemonSet/agent"}
    interest.changed([(other, None), (two, None)])
    assert interest.covered("shop") == frozenset()
    interest.awake = True
    interest.changed([(None, thing("Deployment", "web"))])
    assert woken == []


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"targets": None}, {"targets": [None, 1, {}]}, {"targets": [{"workloadRef": "x"}]},
     {"targets": {"a": 1}}, {"targets": [{"name": 1, "workloadRef": {"kind": [], "name": {}}}], "exempt": [None]}],
)  # fmt: skip
def test_a_spec_older_than_its_schema_breaks_nothing(spec):
    broken = policy("p") | {"spec": spec}
    Interest(lambda *_: None).changed([(None, broken)])

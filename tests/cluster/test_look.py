"""What a snapshot shows of a store that somebody else runs in the policy's namespace."""

from __future__ import annotations

from typing import Any

from readiness.cluster.look import look
from readiness.cluster.store import Store
from readiness.naming import SERVICE_LABEL, store_labels
from readiness.snapshot import Housed, Snapshot


def named(kind: str, name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", **more.pop("metadata", {})}
    return {"kind": kind, "metadata": meta, **more}


def pod(name: str) -> dict[str, Any]:
    owner = [{"kind": "StatefulSet", "name": "redis", "controller": True}]
    return named("Pod", name, metadata={"ownerReferences": owner}, spec={}, status={"podIPs": [{"ip": "10.0.0.1"}]})  # fmt: skip


def ends(*refs: dict[str, str]) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "redis"}
    return named("EndpointSlice", "redis-x", metadata={"labels": labels}, endpoints=[{"addresses": ["10.0.0.1"], "targetRef": ref} for ref in refs])  # fmt: skip


def housed(*objects: dict[str, Any], hosts: tuple[str, ...] = ("redis.shop.svc",)) -> Housed:
    store = Store()
    for found in objects:
        store.put(found)
    spec = {"dataServices": [{"name": "cache", "external": {"redis": {"hosts": list(hosts)}}}, {"name": "ours", "redis": {}}]}  # fmt: skip
    policy = {"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec}
    found = look(store, policy, Snapshot()).housed
    assert set(found) == {"cache"}
    return found["cache"]


SERVICE = named("Service", "redis", spec={"clusterIP": "10.1.0.1"})
SET = named("StatefulSet", "redis", spec={})


def test_the_pods_behind_a_service_and_their_workload():
    refs = ({"kind": "Pod", "name": "redis-1"}, {"kind": "Pod", "name": "redis-0"})
    found = housed(SERVICE, SET, pod("redis-0"), pod("redis-1"), pod("other-0"), ends(*refs))

    assert found.members == {"redis.shop.svc": ("redis-0", "redis-1")}
    assert [each["metadata"]["name"] for each in found.pods] == ["redis-0", "redis-1"]
    assert [each["metadata"]["name"] for each in found.sets] == ["redis"]


def test_one_pod_by_its_name():
    found = housed(SET, pod("redis-0"), hosts=("redis-0.redis.shop.svc",))

    assert found.members == {"redis-0.redis.shop.svc": ("redis-0",)}


def test_a_service_that_leads_elsewhere_leads_nowhere():
    """An EndpointSlice that somebody wrote by hand leads to no pod that we know."""
    assert housed(SERVICE, ends({"kind": "Node", "name": "n"})) == Housed()


def test_names_of_other_namespaces_lead_nowhere_here():
    assert housed(SERVICE, pod("redis-0"), hosts=("redis.other.svc", "redis.example.com")) == Housed()  # fmt: skip


def test_what_a_data_service_is_made_of_needs_no_target_of_its_own():
    ours = store_labels("shop", "cache")
    store = Store()
    for found in (
        named("StatefulSet", "shop-cache", metadata={"labels": ours}, spec={}),
        named("Deployment", "shop-cache-exporter", metadata={"labels": ours}, spec={}),
        named("Deployment", "web", metadata={"labels": {SERVICE_LABEL: "cache"}}, spec={}),
        named("Deployment", "api", spec={}),
    ):
        store.put(found)
    seen = look(store, {"metadata": {"namespace": "shop", "name": "shop"}, "spec": {}}, Snapshot())

    assert seen.inventory == ("Deployment/api", "Deployment/web")

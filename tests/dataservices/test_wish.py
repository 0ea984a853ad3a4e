"""From a policy and what was seen to an order."""

from __future__ import annotations

from typing import Any

import pytest

from readiness import naming
from readiness.api.policy import PolicySpec
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.wish import Wish, order_of, refusals_of
from readiness.model import Manifest
from readiness.snapshot import Provided, Snapshot

SPEC = PolicySpec.model_validate({"dataServices": [{"name": "cache", "redis": {}}]})
WISH = Wish({"metadata": {"name": "checkout", "namespace": "shop"}}, SPEC, 0.0, "token")


def child(kind: str, part: str = "", ready: int | None = None, *, of: str = "cache") -> Manifest:
    status = {} if ready is None else {"observedGeneration": 2, "readyReplicas": ready}
    name = naming.store("checkout", of, part)
    meta = {"name": name, "generation": 2, "labels": naming.store_labels("checkout", of)}
    return {"kind": kind, "metadata": meta, "spec": {"replicas": 3}, "status": status}


def node(*taints: str, **spec: Any) -> Manifest:
    return {"spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints], **spec}}


@pytest.mark.parametrize(
    ("children", "formed"),
    [
        ((), False),
        ((child("StatefulSet"), child("StatefulSet", "sentinel", 3)), False),
        ((child("StatefulSet", "", 2), child("StatefulSet", "sentinel", 3)), False),
        ((child("StatefulSet", "", 3), child("StatefulSet", "sentinel", 3)), True),
        ((child("StatefulSet", "", 3, of="other"),), False),
        ((child("StatefulSet", "", 0), child("ConfigMap", naming.FORMED)), True),
    ],
)
def test_a_service_has_formed_once_every_member_was_ready(
    children: tuple[Manifest, ...], formed: bool
):
    seen = {(each["kind"], each["metadata"]["name"]): each for each in children}
    order = order_of(WISH, Snapshot(provided=Provided(children=seen)), SPEC.data_services[0])

    assert order.formed is formed


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (node(), 1),
        (node("node-role.kubernetes.io/control-plane"), 0),
        (node("node.kubernetes.io/unschedulable", unschedulable=True), 1),
        (node("node.kubernetes.io/unreachable"), 1),
    ],
)
def test_a_node_counts_also_while_it_is_drained_or_away(given: Manifest, counted: int):
    order = order_of(WISH, Snapshot(nodes={"n": given}), SPEC.data_services[0])

    assert order.nodes == counted


@pytest.mark.parametrize(("preview", "reasons"), [((), ["NotSupported"]), (("mongodb",), [])])
def test_a_preview_is_built_where_the_operator_has_switched_it_on(preview: tuple[str, ...], reasons: list[str]):  # fmt: skip
    spec = PolicySpec.model_validate({"dataServices": [{"name": "orders", "mongodb": {"image": "mongo:8"}}]})  # fmt: skip
    order = order_of(WISH, Snapshot(provided=Provided()), spec.data_services[0])
    (kind,) = [each for each in KINDS if each.name == "mongodb"]

    found = refusals_of(kind, order, preview)
    assert [each.reason for each in found] == reasons
    assert all("READINESS_STORES_PREVIEW=mongodb" in each.fix for each in found)


@pytest.mark.parametrize(("pinned", "image"), [({}, "op:2"), ({"resident": "op:1"}, "op:1")])
def test_a_sidecar_may_stay_with_an_earlier_release(pinned: dict[str, str], image: str):
    """A new operator then changes no template, and replaces no pod."""
    seen = Provided(operator_image="op:2", images=pinned)

    assert order_of(WISH, Snapshot(provided=seen), SPEC.data_services[0]).resident_image == image

"""What is rendered for one data service of each kind: `cache` of the policy `checkout` in the namespace `shop`."""

from __future__ import annotations

from typing import Any

from readiness.api import read_policy
from readiness.dataservices.kinds import KINDS
from readiness.dataservices.wish import Wish, children_of, order_of
from readiness.model import Manifest
from readiness.snapshot import Provided, Snapshot

NAME = "checkout-cache-9cd7d755"
KNOWN = {kind.name: kind for kind in KINDS}
IMAGES = {each: f"{each}:1" for each in (*KNOWN, "redis_exporter", "mongodb_exporter")}


def wish_of(kind: str, spec: dict[str, Any], **more: Any) -> Wish:
    body = {"dataServices": [{"name": "cache", kind: spec}], **more}
    policy = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": body}
    return Wish(policy, read_policy(body), 1e9, "token")


def built(kind: str, spec: dict[str, Any] | None = None, **frame: Any) -> dict[str, Manifest]:
    """The children by `Kind/part`, on three nodes, with what the frame says besides images."""
    wish = wish_of(kind, {**(spec or {})})
    provided = Provided(**{"images": IMAGES, "operator_image": "operator:1", **frame})
    nodes = {str(number): {"metadata": {"name": str(number)}} for number in range(3)}
    snapshot = Snapshot("shop", nodes=nodes, provided=provided)
    order = order_of(wish, snapshot, wish.spec.data_services[0])
    found = children_of(wish, KNOWN[kind], order)
    return {f"{c['kind']}/{c['metadata']['name'].removeprefix(NAME).strip('-')}": c for c in found}

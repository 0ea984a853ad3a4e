"""How many members a service has meanwhile: those that are no longer declared stay until they are no longer needed.

Pure. More members than there are are created at once; fewer only where the policy accepts it by
name, and when the kind says that nothing hangs on them any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from readiness.dataservices.children import hash_of
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Order
from readiness.dataservices.removal import Place
from readiness.dataservices.wish import Wish, children_of
from readiness.model import Manifest
from readiness.snapshot import Obstacle


@dataclass(frozen=True, slots=True)
class Sizing:
    """The order with as many members as are to be there now, how many are declared, or why it may not shrink."""

    order: Order
    declared: int
    refused: tuple[Obstacle, ...] = ()


def size_of(wish: Wish, kind: Kind, order: Order, live: Mapping[Place, Manifest]) -> Sizing:
    """What the number of members is now."""
    main = live.get(("StatefulSet", order.name()))
    there = int(main["spec"].get("replicas", 1)) if main else 0
    if main is None or there <= order.replicas or hash_of(main) == _declared_hash(wish, kind, order):  # fmt: skip
        return Sizing(order, order.replicas)
    if "Shrink" not in getattr(order.service, order.kind).unsafe:
        return Sizing(order, order.replicas, (_refusal(order, there),))
    return Sizing(order.resized(there), order.replicas)


def _declared_hash(wish: Wish, kind: Kind, order: Order) -> str:
    """Of the main StatefulSet: one that was applied so and has more members was changed by somebody else."""
    children = children_of(wish, kind, order)
    place = ("StatefulSet", order.name())
    return next(hash_of(c) for c in children if (c["kind"], c["metadata"]["name"]) == place)


def _refusal(order: Order, there: int) -> Obstacle:
    field = f"spec.dataServices[{order.service.name}].{order.kind}"
    return Obstacle(
        "Shrink", f"{order.service.name} has {there} members and {order.replicas} are declared",
        f"set {field}.replicas to {there}, or accept the removal of members: {field}.unsafe: [Shrink]; their volumes stay",
    )  # fmt: skip

"""Data services that others run, backed up as ours are: their tools, their hosts, the login that the policy names.

What we know of our own by having made it (members, a user that may copy, sizes) is declared here or taken as it comes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from readiness.dataservices.kept import Kept
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import EXTERNAL, Order
from readiness.dataservices.recovery import build_recovery
from readiness.dataservices.saving import build_saving
from readiness.dataservices.source import external_source
from readiness.dataservices.wish import Wish, external_orders_of
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Snapshot


def kept_stores(wish: Wish, snapshot: Snapshot, kinds: Iterable[Kind]) -> tuple[Kept, ...]:
    """Every external service, also one whose backups are to go."""
    by_name: dict[str, Kind] = {kind.name: kind for kind in kinds}
    return tuple(_kept(by_name[order.kind], order) for order in external_orders_of(wish, snapshot))


def build_external(kind: Kind, order: Order) -> tuple[Manifest, ...]:
    """Every child; none where there are to be no backups."""
    return (*build_saving(kind, order, external_source(kind, order)), *build_recovery(kind, order))


def _kept(kind: Kind, order: Order) -> Kept:
    refusals = tuple(_refusals(order)) if order.backups is not None else ()
    return Kept(kind.name, EXTERNAL, order, partial(build_external, kind, order), refusals)


def _refusals(order: Order) -> Iterator[Obstacle]:
    if not order.image:
        field = f"spec.dataServices[{order.service.name}].backup"
        yield Obstacle(
            "NoImage", f"no image of {order.kind} is known, whose tools would dump {order.service.name}",
            f"set {field}.image, or READINESS_STORES_{order.kind.upper()}_IMAGE of the operator; or {field}.enabled to false",
        )  # fmt: skip

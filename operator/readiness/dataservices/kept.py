"""What is backed up and run by somebody else: plain volumes, and data services of others. Their Jobs, and what is told of them.

Each sort says what it consists of (`Kept`); what all have in common is done here. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from readiness import naming
from readiness.dataservices.children import completed
from readiness.dataservices.order import Order
from readiness.dataservices.ordering import RETRY_SECONDS
from readiness.dataservices.provision import Provision, Service, Told, writes_of
from readiness.dataservices.removal import changed_kind
from readiness.dataservices.scraping import served
from readiness.dataservices.standing import lacking, live_of
from readiness.dataservices.waking import next_at
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Snapshot

NO_IMAGE: Final = Obstacle(
    "NoImage", "the operator does not know its own image, which backups run in",
    "set READINESS_IMAGE of the operator",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """One of them. `kind` is what it is told to be, `sort` what its children are labelled as. `build` returns every child."""

    kind: str
    sort: str
    order: Order
    build: Callable[[], tuple[Manifest, ...]]
    refusals: tuple[Obstacle, ...] = ()

    @property
    def name(self) -> str:
        """Under which the policy names it."""
        return self.order.service.name


def with_kept(
    wish: Wish, snapshot: Snapshot, decided: Provision, kept: Iterable[Kept]
) -> Provision:
    """The same with each of them that has, or had, something to do. What waits for its removal is left alone."""
    waiting = {service.name for service in decided.services}
    found = [
        _provided(wish, snapshot, each)
        for each in kept
        if each.name not in waiting
        and (each.order.backups or live_of(wish, snapshot.provided, each.name))
    ]
    if not found:
        return decided
    services = (*decided.services, *(told for told, _ in found))
    writes = (*decided.writes, *(write for _, each in found for write in each))
    met = (each for service in services for each in service.obstacles)
    waits = any(service.waiting for service in services)
    later = next_at(wish, met, snapshot.provided.repaired.values(), waits=waits)
    return replace(decided, services=services, writes=writes, next_at=later)


def children_of_kept(wish: Wish, kept: Kept) -> tuple[Manifest, ...]:
    """Its children with what all share; owned by the policy where deletion takes them along."""
    meta, owned = wish.policy["metadata"], wish.spec.deletion_policy == "Delete"
    owner = naming.owner(meta["name"], meta["uid"]) if owned else None
    return tuple(completed(each, kept.sort, kept.order, owner) for each in kept.build())


def refusals_of_kept(kept: Kept) -> Iterator[Obstacle]:
    """Why it is not backed up."""
    yield from kept.refusals
    if kept.order.backups is not None and not kept.order.operator_image:
        yield NO_IMAGE


def _provided(wish: Wish, snapshot: Snapshot, kept: Kept) -> Told:
    provided = snapshot.provided
    live, met = live_of(wish, provided, kept.name), provided.obstacles.get(kept.name, ())
    told = Service(kept.name, kept.kind, obstacles=met, runs=False)
    refusals = (*changed_kind(kept.name, kept.sort, live.values()), *refusals_of_kept(kept))
    if refusals:
        return replace(told, obstacles=refusals), ()
    desired = served(children_of_kept(wish, kept), provided.unserved)
    told = replace(told, waiting=lacking(desired, live))
    if any(each.at + RETRY_SECONDS > wish.now for each in met):
        return told, ()
    return told, tuple(writes_of(told, desired, live, wish.now, provided.repaired))

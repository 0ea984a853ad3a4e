"""What is done about a policy's data services: which children to write, what to tell of each service.

The decision between what is desired and what is there. Pure: writes are values, carried out by
`cluster/provide.py`, which reports what it met as Obstacles of the next snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.dataservices.children import belongs_to, hash_of, is_create_only
from readiness.dataservices.drift import difference
from readiness.dataservices.order import Kind, Look, Order
from readiness.dataservices.removal import Place, is_confirmed, leftovers_of, pending
from readiness.dataservices.roll import next_replaced, outdated
from readiness.dataservices.stuck import blocked_stops, obstacles_of
from readiness.dataservices.tls import REASON as CERTIFICATE
from readiness.dataservices.tls import changed_tls
from readiness.dataservices.wish import (
    Wish,
    children_of,
    kind_of,
    order_of,
    ready_members,
    refusals_of,
)
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Provided, Seen, Snapshot
from readiness.workload import is_ready, stamp_of

if TYPE_CHECKING:
    from readiness.api.dataservice import DataService

FOREVER: Final = float("inf")
REPAIR_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 5.0
LATE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 300.0


class Act(StrEnum):
    """What is done with a child, or with a pod of one."""

    CREATE = "create"
    APPLY = "apply"
    DELETE = "delete"
    EVICT = "evict"


@dataclass(frozen=True, slots=True)
class Write:
    """One write. `live` is the child as it was seen, `drift` the path in it that somebody changed."""

    act: Act
    service: str
    child: Manifest
    live: Manifest | None = None
    drift: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """What is told of one provided data service. `waiting` says what it still lacks, if anything."""

    name: str
    kind: str = ""
    secret: str = ""
    members: tuple[tuple[str, bool], ...] = ()
    seen: Seen | None = None
    look: Look | None = None
    obstacles: tuple[Obstacle, ...] = ()
    waiting: str = ""

    @property
    def ready(self) -> bool:
        """Whether every member is there and Ready, and nothing is wrong."""
        return not self.waiting and not self.obstacles


@dataclass(frozen=True, slots=True)
class Provision:
    """The whole: services in the policy's order, writes in theirs, whom to ask, and when to look again."""

    services: tuple[Service, ...] = ()
    writes: tuple[Write, ...] = ()
    looks: tuple[Look, ...] = ()
    next_at: float = FOREVER


Told = tuple[Service, tuple[Write, ...]]


def provide(wish: Wish, snapshot: Snapshot, kinds: Iterable[Kind]) -> Provision:
    """What to write and to tell; nothing for a policy that declares nothing and left nothing behind."""
    by_name: dict[str, Kind] = {kind.name: kind for kind in kinds}
    declared = [service for service in wish.spec.data_services if kind_of(service)]
    found = [_provided(wish, snapshot, service, by_name) for service in declared]
    found += _removed(wish, snapshot.provided, {service.name for service in declared})
    services = tuple(service for service, _ in found)
    writes = tuple(write for _, each in found for write in each)
    looks = tuple(service.look for service in services if service.look is not None)
    return Provision(services, writes, looks, _next(wish, services, snapshot.provided))


def _provided(
    wish: Wish, snapshot: Snapshot, service: DataService, kinds: Mapping[str, Kind]
) -> Told:
    order, provided = order_of(wish, snapshot, service), snapshot.provided
    kind, live = kinds.get(kind_of(service)), _live(wish, provided, service.name)
    told = Service(service.name, kind_of(service), order.name())
    refusals = (*_other_kind(told, live), *changed_tls(order, told.kind, live.values()), *refusals_of(kind, order))  # fmt: skip
    if refusals or kind is None:
        return replace(told, obstacles=refusals), ()
    desired = children_of(wish, kind, order)
    met = provided.obstacles.get(service.name, ())
    pods = provided.pods.get(service.name, ())
    sets = [child for child in live.values() if child["kind"] == "StatefulSet"]
    seen = provided.seen.get(service.name)
    stuck = obstacles_of(service.name, sets, pods, provided.events)
    told = replace(
        told,
        members=tuple((pod["metadata"]["name"], is_ready(pod)) for pod in pods),
        seen=seen,
        look=_look(kind, order, pods),
        obstacles=(*met, *stuck, *blocked_stops(pods, seen)),
        waiting=_waiting(desired, live) or _rolling(sets, pods),
    )
    if any(each.at + RETRY_SECONDS > wish.now for each in met):
        return told, ()
    writes = tuple(_writes(told, desired, live, wish.now, provided.repaired))
    return told, writes or tuple(_replaced(told, sets, pods))


def _writes(
    told: Service, desired: tuple[Manifest, ...], live: Mapping[Place, Manifest],
    now: float, repaired: Mapping[Place, float],
) -> Iterator[Write]:  # fmt: skip
    for child in desired:
        there = live.get(_place(child))
        if there is None:
            yield Write(Act.CREATE, told.name, child)
        elif not is_create_only(child):
            drift = difference(child, there)
            changed = hash_of(there) != hash_of(child)
            due = repaired.get(_place(child), 0.0) + REPAIR_SECONDS <= now
            if changed or (drift and due):
                yield Write(Act.APPLY, told.name, child, there, "" if changed else drift)
    kept = set(map(_place, desired))
    yield from (Write(Act.DELETE, told.name, live[place]) for place in live if place not in kept)


def _replaced(told: Service, sets: Sequence[Manifest], pods: Sequence[Manifest]) -> Iterator[Write]:
    """Once every child is as it should be: the next pod that still runs an earlier template."""
    if (pod := next_replaced(sets, pods, told.seen)) is not None:
        yield Write(Act.EVICT, told.name, pod)


def _removed(wish: Wish, provided: Provided, declared: set[str]) -> Iterator[Told]:
    running = (child for child in provided.children.values() if child["kind"] != "Secret")
    names = {child["metadata"]["labels"][naming.SERVICE_LABEL] for child in running}
    for name in sorted(names - declared):
        if is_confirmed(wish.policy, name):
            gone = leftovers_of(wish.policy, name, _live(wish, provided, name))
            writes = tuple(Write(Act.DELETE, name, child) for child in gone)
            yield Service(name, waiting="it is being removed"), writes
        else:
            yield Service(name, obstacles=(pending(wish.policy, name),)), ()


def _look(kind: Kind, order: Order, pods: tuple[Manifest, ...]) -> Look | None:
    """Whom to ask, once there is somebody and a way to log in."""
    addresses = {
        pod["metadata"]["name"]: str(pod["status"]["podIP"])
        for pod in pods
        if (pod.get("status") or {}).get("podIP")
    }
    known = all(credential.key in order.credentials for credential in kind.credentials)
    return Look(kind.name, order, addresses) if addresses and known else None


def _rolling(sets: Sequence[Manifest], pods: Sequence[Manifest]) -> str:
    left = len(outdated(sets, pods))
    return f"{left} of {len(pods)} members still run an earlier template" if left else ""


def _live(wish: Wish, provided: Provided, service: str) -> dict[Place, Manifest]:
    key = naming.store_labels(wish.policy["metadata"]["name"], service)
    return {place: child for place, child in provided.children.items() if belongs_to(child, key)}


def _other_kind(told: Service, live: Mapping[Place, Manifest]) -> Iterator[Obstacle]:
    """A service that changed its kind would delete the old one with its data: it needs a new name."""
    found = {child["metadata"]["labels"].get(naming.KIND_LABEL, "") for child in live.values()}
    for other in sorted(found - {told.kind, ""}):
        words = f"{told.name} still runs as {other}"
        yield Obstacle("KindChanged", words, f"give the new {told.kind} another name")


def _waiting(desired: Iterable[Manifest], live: Mapping[Place, Manifest]) -> str:
    """What is not there yet, or not Ready, in a few words; empty when nothing is."""
    for child in desired:
        there = live.get(_place(child))
        if there is None and child["kind"] != "Secret":
            return f"{child['kind']}/{child['metadata']['name']} is still to be created"
        if there is not None and child["kind"] == "StatefulSet":
            wanted, ready = child["spec"]["replicas"], ready_members(there)
            if ready != wanted:
                name = child["metadata"]["name"]
                return f"StatefulSet/{name}: {ready} of {wanted} members are Ready"
    return ""


def _place(child: Manifest) -> Place:
    return child["kind"], child["metadata"]["name"]


def _next(wish: Wish, services: tuple[Service, ...], provided: Provided) -> float:
    """When warnings may tell more, a write may be tried again, or Secrets are read again."""
    if not services:
        return FOREVER
    now = wish.now
    met = (each.at for service in services for each in service.obstacles if each.at)
    times = [
        *(at + RETRY_SECONDS for at in met),
        *(at + REPAIR_SECONDS + 1 for at in provided.repaired.values()),
    ]
    if any(each.reason == CERTIFICATE for service in services for each in service.obstacles):
        times.append(now + RETRY_SECONDS)
    if any(service.waiting for service in services):
        times.append(
            now + (LOOK_SECONDS if now - _since(wish.policy) < STEADY_SECONDS else LATE_SECONDS)
        )
    return min([now + STEADY_SECONDS, *(at for at in times if at > now)])


def _since(policy: Manifest) -> float:
    """Since when Provisioned says what it says; for ever, where it says nothing yet."""
    rows = (policy.get("status") or {}).get("conditions") or ()
    stamps = (row.get("lastTransitionTime") for row in rows if row.get("type") == "Provisioned")
    return stamp_of(next(stamps, None)) or FOREVER

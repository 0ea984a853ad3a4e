"""What is done about a policy's data services: what to write, what to order, what to tell of each service.

Pure: writes are values, carried out by `cluster/provide.py`, which reports what it met as Obstacles
of the next snapshot; Commands are carried out by `engines/stores`, and judged by what is seen next.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from readiness import naming
from readiness.backups.catchup import Missed
from readiness.dataservices.children import hash_of, is_create_only, reowned
from readiness.dataservices.command import Amend, Command, Replace, Resize, Step, Task, Tell
from readiness.dataservices.drift import difference
from readiness.dataservices.growth import Growth, growth_of, shrunk
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Look, Order
from readiness.dataservices.ordering import RETRY_SECONDS, Turn, amended, turn_of
from readiness.dataservices.removal import (
    Place,
    backed_only,
    changed_kind,
    is_confirmed,
    leftovers_of,
    pending,
    still_runs,
)
from readiness.dataservices.roll import next_replaced
from readiness.dataservices.scraping import served, unscraped
from readiness.dataservices.sizing import Sizing, size_of
from readiness.dataservices.standing import (
    lacking,
    live_of,
    look_of,
    place_of,
    rolling,
    unasked,
    unmade,
)
from readiness.dataservices.stuck import blocked_stops, obstacles_of
from readiness.dataservices.tls import changed_tls
from readiness.dataservices.waking import FOREVER, REPAIR_SECONDS, next_at
from readiness.dataservices.wish import (
    Wish,
    children_of,
    kind_of,
    order_of,
    refusals_of,
    rotation_of,
)
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Provided, Seen, Snapshot
from readiness.workload import is_ready

if TYPE_CHECKING:
    from readiness.api.dataservice import DataService


class Act(StrEnum):
    """What is done with a child, or a pod, volume or Job of one. RENEW: it goes without its pods, to be made anew."""

    CREATE = "create"
    APPLY = "apply"
    DELETE = "delete"
    EVICT = "evict"
    AMEND = "amend"
    OWN = "own"
    GROW = "grow"
    RENEW = "renew"
    START = "start"


@dataclass(frozen=True, slots=True)
class Write:
    """One write. `live` is the child as it was seen, `drift` the path in it that somebody changed.

    `does` says what a change of credentials, or a Job, is for.
    """

    act: Act
    service: str
    child: Manifest
    live: Manifest | None = None
    drift: str = ""
    does: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """What is told of one provided data service.

    `waiting` says what it still lacks, if anything; `doing` what else is under way, and `reason`
    that in a word; `missed` a schedule of its backups, `undrilled` one of their drills. `runs`: we run it, and do not only back it up.
    """

    name: str
    kind: str = ""
    secret: str = ""
    members: tuple[tuple[str, bool], ...] = ()
    seen: Seen | None = None
    look: Look | None = None
    obstacles: tuple[Obstacle, ...] = ()
    waiting: str = ""
    doing: str = ""
    reason: str = ""
    command: Command | None = None
    grows: bool = False
    missed: Missed | None = None
    undrilled: Missed | None = None
    runs: bool = True

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

    @property
    def commands(self) -> tuple[Command, ...]:
        """What servers are told in this pass: at most one thing for each service."""
        return tuple(each.command for each in self.services if each.command is not None)


Told = tuple[Service, tuple[Write, ...]]


@dataclass(frozen=True, slots=True)
class _Case:
    """One service that may be built: who asks for it, what was seen, its kind, and what is there of it."""

    wish: Wish
    provided: Provided
    kind: Kind
    live: Mapping[Place, Manifest]


def provide(wish: Wish, snapshot: Snapshot, kinds: Iterable[Kind]) -> Provision:
    """What to write and to tell; nothing for a policy that declares nothing and left nothing behind."""
    by_name: dict[str, Kind] = {kind.name: kind for kind in kinds}
    declared = [service for service in wish.spec.data_services if kind_of(service)]
    found = [_provided(wish, snapshot, service, by_name) for service in declared]
    kept = {each for each in backed_only(wish.spec) if not still_runs(live_of(wish, snapshot.provided, each).values())}  # fmt: skip
    found += _removed(wish, snapshot.provided, {service.name for service in declared} | kept)
    services = tuple(service for service, _ in found)
    writes = tuple(write for _, each in found for write in each)
    looks = tuple(service.look for service in services if service.look is not None)
    return Provision(services, writes, looks, _next(wish, services, snapshot.provided))


def _next(wish: Wish, services: tuple[Service, ...], provided: Provided) -> float:
    if not services:
        return FOREVER
    met = (each for service in services for each in service.obstacles)
    waits = any(service.waiting for service in services)
    return next_at(wish, met, provided.repaired.values(), waits=waits)


def _provided(
    wish: Wish, snapshot: Snapshot, service: DataService, kinds: Mapping[str, Kind]
) -> Told:
    order, provided = order_of(wish, snapshot, service), snapshot.provided
    kind, live = kinds.get(kind_of(service)), live_of(wish, provided, service.name)
    told = Service(service.name, kind_of(service), order.name())
    refusals = (*changed_kind(told.name, told.kind, live.values()), *changed_tls(order, told.kind, live.values()), *refusals_of(kind, order, provided.preview))  # fmt: skip
    if refusals or kind is None:
        return replace(told, obstacles=refusals), ()
    sizing = size_of(wish, kind, order, live)
    if sizing.refused:
        return replace(told, obstacles=sizing.refused), ()
    return _running(_Case(wish, provided, kind, live), told, sizing)


def _running(case: _Case, told: Service, sizing: Sizing) -> Told:
    wish, provided, live, order = case.wish, case.provided, case.live, sizing.order
    met, pods = provided.obstacles.get(told.name, ()), provided.pods.get(told.name, ())
    sets = [child for child in live.values() if child["kind"] == "StatefulSet"]
    seen = provided.seen.get(told.name)
    if (amend := unmade(case.kind, order)) is not None:
        return told, tuple(_ordered(case, order, amend))
    turn = _turn(case, told.name, sizing, sets)
    if isinstance(turn.step, Resize):
        order = order.resized(turn.step.replicas)
    whole = children_of(wish, case.kind, order)
    desired = served(whole, provided.unserved)
    unread, why = unscraped(order, whole, live, provided.unserved)
    if smaller := tuple(shrunk(told.name, desired, live)):
        return replace(told, obstacles=smaller), ()
    growth = growth_of(desired, live, provided.claims.get(told.name, ()), provided.events)
    stuck = obstacles_of(told.name, sets, pods, provided.events)
    told = replace(
        told,
        members=tuple((pod["metadata"]["name"], is_ready(pod)) for pod in pods),
        seen=seen,
        look=look_of(case.kind, order, pods),
        obstacles=(*met, *stuck, *blocked_stops(pods, seen), *turn.obstacles, *growth.obstacles),
        waiting=growth.waiting or lacking(desired, live) or rolling(sets, pods) or turn.lacking,
        doing=turn.doing or why,
        reason=turn.reason or unread,
        grows=bool(growth.held),
    )
    if any(each.at + RETRY_SECONDS > wish.now for each in met):
        return told, ()
    writes = tuple(writes_of(told, desired, live, wish.now, provided.repaired))
    if growth.held:
        return told, (*_without(growth.held, writes), *_growing(told, growth))
    if not writes and isinstance(turn.step, Tell) and told.look is not None:
        return replace(told, command=Command(told.look, turn.step)), ()
    writes = writes or tuple(_ordered(case, order, turn.step))
    return told, writes or tuple(_replaced(told, sets, pods))


def _turn(case: _Case, name: str, sizing: Sizing, sets: Sequence[Manifest]) -> Turn:
    """What the kind says comes next, once there is something to decide on."""
    seen = case.provided.seen.get(name)
    if seen is None:
        return Turn(lacking=unasked(case.kind, case.wish.policy))
    asked = rotation_of(case.wish.policy, name)
    task = Task(sizing.order, seen, sizing.declared, asked, case.wish.now)
    return turn_of(case.kind, task, sets, case.provided.pods.get(name, ()))


def _ordered(case: _Case, order: Order, step: Step | None) -> Iterator[Write]:
    """A step that is a write: of the credentials, as they were seen, or the eviction of a pod."""
    name = order.service.name
    secret = case.live.get(("Secret", order.name(naming.CREDENTIALS)))
    if isinstance(step, Amend) and secret is not None:
        child = amended(case.kind, order, step, secret, case.wish.token)
        yield Write(Act.AMEND, name, child, secret, does=step.does)
    elif isinstance(step, Replace):
        pods = case.provided.pods.get(name, ())
        yield from (Write(Act.EVICT, name, p) for p in pods if p["metadata"]["name"] == step.pod)


def writes_of(
    told: Service, desired: tuple[Manifest, ...], live: Mapping[Place, Manifest],
    now: float, repaired: Mapping[Place, float],
) -> Iterator[Write]:  # fmt: skip
    """What makes the children that are there those that are desired."""
    for child in desired:
        there = live.get(place_of(child))
        if there is None:
            yield Write(Act.CREATE, told.name, child)
        elif is_create_only(child):
            if (owned := reowned(child, there)) is not None:
                yield Write(Act.OWN, told.name, owned, there)
        else:
            drift = difference(child, there)
            changed = hash_of(there) != hash_of(child)
            due = repaired.get(place_of(child), 0.0) + REPAIR_SECONDS <= now
            if changed or (drift and due):
                yield Write(Act.APPLY, told.name, child, there, "" if changed else drift)
    kept = set(map(place_of, desired))
    yield from (Write(Act.DELETE, told.name, live[place]) for place in live if place not in kept)


def _without(held: Container[str], writes: Iterable[Write]) -> Iterator[Write]:
    """StatefulSets whose volumes grow wait for them: they would be refused."""
    for write in writes:
        if write.child["kind"] != "StatefulSet" or write.child["metadata"]["name"] not in held:
            yield write


def _growing(told: Service, growth: Growth) -> Iterator[Write]:
    yield from (Write(Act.GROW, told.name, claim) for claim in growth.told)
    yield from (Write(Act.RENEW, told.name, child) for child in growth.renewed)


def _replaced(told: Service, sets: Sequence[Manifest], pods: Sequence[Manifest]) -> Iterator[Write]:
    """Once every child is as it should be: the next pod that still runs an earlier template."""
    if (pod := next_replaced(sets, pods, told.seen)) is not None:
        yield Write(Act.EVICT, told.name, pod)


def _removed(wish: Wish, provided: Provided, declared: set[str]) -> Iterator[Told]:
    running = (child for child in provided.children.values() if child["kind"] != "Secret")
    names = {child["metadata"]["labels"][naming.SERVICE_LABEL] for child in running}
    for name in sorted(names - declared):
        if is_confirmed(wish.policy, name):
            gone = leftovers_of(wish.policy, name, live_of(wish, provided, name))
            writes = tuple(Write(Act.DELETE, name, child) for child in gone)
            yield Service(name, waiting="it is being removed"), writes
        else:
            yield Service(name, obstacles=(pending(wish.policy, name),)), ()

"""From a policy to the order of each data service, its refusals and its children.

What `readiness render` shows and what the operator compares with the cluster. Pure: of the cluster
it knows only how many nodes there are, and the credentials that were made before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from readiness import naming
from readiness.dataservices.children import belongs_to, credentials_of, desired_of
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import NAMES, Order
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Snapshot

if TYPE_CHECKING:
    from readiness.api.backups import Backups, SavedVolume
    from readiness.api.dataservice import DataService
    from readiness.api.policy import PolicySpec


@dataclass(frozen=True, slots=True)
class Wish:
    """Who asks for what, at what time; `token` is the randomness of what is generated once."""

    policy: Manifest
    spec: PolicySpec
    now: float
    token: str


def kind_of(service: DataService) -> str:
    """Name of the kind that is asked for; empty for an external service."""
    return next((name for name in NAMES if getattr(service, name) is not None), "")


def rotation_of(policy: Manifest, service: str) -> str:
    """What the annotation asks to rotate of a service: its name, perhaps a user, perhaps a mark that makes it new."""
    asked = str((policy["metadata"].get("annotations") or {}).get(naming.ROTATE, ""))
    entries = (entry.strip() for entry in asked.split(","))
    return next((e for e in entries if e.partition("@")[0].partition("/")[0] == service), "")[:128]


def order_of(wish: Wish, snapshot: Snapshot, service: DataService) -> Order:
    """What a service is built from, with the credentials that are known."""
    name, provided = kind_of(service), snapshot.provided
    return Order(
        namespace=snapshot.namespace,
        policy=wish.policy["metadata"]["name"],
        service=service,
        image=getattr(service, name).image or provided.images.get(name, ""),
        operator_image=provided.operator_image,
        resident_image=provided.images.get("resident") or provided.operator_image,
        exporter_image=provided.images.get(f"{name}_exporter", ""),
        scraping=provided.scraping,
        operator_namespace=snapshot.operator_namespace,
        nodes=sum(map(_schedulable, snapshot.nodes.values())),
        credentials=provided.credentials.get(service.name, {}),
        certificate=provided.certificates.get(service.name),
        backups=_backups_of(wish.spec, service),
        formed=_has_formed(wish.policy["metadata"]["name"], service.name, provided.children),
    )


def external_orders_of(wish: Wish, snapshot: Snapshot) -> tuple[Order, ...]:
    """What the backups of each service that others run are made from."""
    return tuple(_external(wish, snapshot, s) for s in wish.spec.data_services if s.external)


def _external(wish: Wish, snapshot: Snapshot, service: DataService) -> Order:
    provided, own = snapshot.provided, service.backup.image if service.backup else None
    order = Order(
        snapshot.namespace, wish.policy["metadata"]["name"], service, "", provided.operator_image, snapshot.operator_namespace, 0, {},
        backups=_backups_of(wish.spec, service), scraping=provided.scraping,
    )  # fmt: skip
    return replace(order, image=own or provided.images.get(order.kind, ""))


def volume_orders_of(wish: Wish, snapshot: Snapshot) -> tuple[tuple[SavedVolume, Order], ...]:
    """The plain volumes that are to be saved; of a data service each has no more than a name."""
    from readiness.api.dataservice import DataService

    backups, provided = wish.spec.backups, snapshot.provided
    if backups is None:
        return ()
    plain = Order(
        snapshot.namespace, wish.policy["metadata"]["name"], DataService.model_construct(name=""), "",
        provided.operator_image, snapshot.operator_namespace, 0, {}, backups=backups, scraping=provided.scraping,
    )  # fmt: skip
    named = ((v, DataService.model_construct(name=v.name)) for v in backups.volumes)
    return tuple((volume, replace(plain, service=service)) for volume, service in named)


def children_of(wish: Wish, kind: Kind, order: Order) -> tuple[Manifest, ...]:
    """Every child as it should stand, the credentials Secret first."""
    whole = replace(order, credentials=credentials_of(kind, order, wish.token))
    meta = wish.policy["metadata"]
    owned = wish.spec.deletion_policy == "Delete"
    return desired_of(kind, whole, naming.owner(meta["name"], meta["uid"]) if owned else None)


def refusals_of(kind: Kind | None, order: Order, preview: Collection[str]) -> tuple[Obstacle, ...]:
    """Why a service is not built; what its `unsafe` names is left out. `preview`: kinds that are on all the same."""
    field = f"spec.dataServices[{order.service.name}]"
    if kind is None:
        words = f"this version provides no {kind_of(order.service)}"
        return (Obstacle("NotSupported", words, f"run it yourself, and declare {field}.external"),)
    if kind.preview and kind.name not in preview:
        words = (
            f"{kind.name} is a preview in this version, and this operator has not switched it on"
        )
        fix = f"READINESS_STORES_PREVIEW={kind.name} of the operator does; or run it yourself, and declare {field}.external"
        return (Obstacle("NotSupported", words, fix),)
    asked = getattr(order.service, kind.name)
    problems = (each for each in kind.problems(order) if each.reason not in asked.unsafe)
    return (
        *_unprovided(kind, order, field),
        *(Obstacle(each.reason, each.message, each.fix) for each in problems),
    )


def _unprovided(kind: Kind, order: Order, field: str) -> Iterator[Obstacle]:
    if not order.image:
        yield Obstacle(
            "NoImage", f"no image of {kind.name} is known",
            f"set {field}.{kind.name}.image, or READINESS_STORES_{kind.name.upper()}_IMAGE of the operator",
        )  # fmt: skip
    if order.backups is not None and kind.dump is None:
        yield Obstacle(
            "BackupsNotSupported", f"this version makes no backups of {kind.name}",
            f"set {field}.backup.enabled to false, and back it up by other means",
        )  # fmt: skip
    elif order.backups is not None and not order.operator_image:
        yield Obstacle(
            "NoImage", "the operator does not know its own image, which backups run in",
            "set READINESS_IMAGE of the operator",
        )  # fmt: skip


def _backups_of(spec: PolicySpec, service: DataService) -> Backups | None:
    """What spec.backups says, with what the service says otherwise."""
    if spec.backups is None or (service.backup is not None and not service.backup.enabled):
        return None
    own = {key: getattr(service.backup, key, None) for key in ("schedule", "retention")}
    return spec.backups.model_copy(update={key: value for key, value in own.items() if value})


def _has_formed(policy: str, service: str, children: Mapping[tuple[str, str], Manifest]) -> bool:
    """A mark says so, or every member is Ready now, which then leaves the mark."""
    if ("ConfigMap", naming.store(policy, service, naming.FORMED)) in children:
        return True
    labels = naming.store_labels(policy, service)
    sets = [
        child
        for (kind, _), child in children.items()
        if kind == "StatefulSet" and belongs_to(child, labels)
    ]
    return bool(sets) and all(child["spec"]["replicas"] == ready_members(child) for child in sets)


def ready_members(stateful_set: Manifest) -> int:
    """As its controller counted for the generation at hand."""
    status = stateful_set.get("status") or {}
    seen = status.get("observedGeneration") == stateful_set["metadata"].get("generation")
    return int(status.get("readyReplicas", 0)) if seen else 0


def _schedulable(node: Manifest) -> bool:
    """For good: while a node is drained or does not answer, no template changes."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return not any(
        taint.get("effect") in ("NoSchedule", "NoExecute")
        and not taint["key"].startswith("node.kubernetes.io/")
        for taint in taints
    )

"""What a Job of backups is given of the destination: arguments, volumes, mounts, and a way out of its pod.

Pure; it knows no kind of store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from readiness import naming
from readiness.backups.destination import (
    CREDENTIALS_DIR,
    PASSWORD_DIR,
    PASSWORD_KEY,
    VOLUME,
    host_of,
    is_inside,
    port_of,
    repository_of,
    secret_of,
)
from readiness.dataservices.order import Order
from readiness.dataservices.parts import build_ways, opening
from readiness.model import Manifest

if TYPE_CHECKING:
    from readiness.api.backups import Backups, Destination


def build_store_args(order: Order) -> tuple[str, ...]:
    """Whose backups, and where their repository is."""
    store = (order.namespace, order.policy, order.service.name)
    repository = repository_of(asked_of(order).destination, *store)
    names = zip(("namespace", "policy", "service"), store, strict=True)
    region = (f"--region={repository.region}",) if repository.region else ()
    return (*(f"--{key}={value}" for key, value in names), f"--repository={repository.url}", *region)  # fmt: skip


def build_destination_volumes(order: Order, secret: str = "") -> list[Manifest]:
    """The repository's password and the destination's credentials, or those of another identity."""
    backups = asked_of(order)
    volume = backups.destination.volume
    password = backups.password_secret_ref.name if backups.password_secret_ref else ""
    found = [build_secret_volume("password", password, PASSWORD_KEY)]
    if volume is not None:
        return [*found, {"name": "repository", "persistentVolumeClaim": {"claimName": volume.claim_name}}]  # fmt: skip
    return [
        *found,
        {
            "name": "destination",
            "secret": {
                "secretName": secret or secret_of(backups.destination),
                "defaultMode": 0o440,
            },
        },
    ]


def build_destination_mounts(order: Order) -> list[Manifest]:
    """Where those lie for our container, and for no other."""
    found = [build_mount("password", PASSWORD_DIR, read_only=True)]
    if asked_of(order).destination.volume is not None:
        return [*found, build_mount("repository", VOLUME)]
    return [*found, build_mount("destination", CREDENTIALS_DIR, read_only=True)]


def build_wall(order: Order, of: Sequence[str], way: Sequence[Manifest] = ()) -> Manifest:
    """Nobody reaches these pods; they reach names, the destination, and the store where there is a way for them."""
    parts = {"key": naming.PART_LABEL, "operator": "In", "values": [*of]}
    names = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    pods = {"matchLabels": order.selector(), "matchExpressions": [parts]}
    out = (names, *way, *_way_out(asked_of(order).destination))
    return build_ways(order.name(of[0]), pods, (), out)


def _way_out(destination: Destination) -> list[Manifest]:
    """To the port of the destination; behind a Service of this cluster its pods may listen at any."""
    if destination.volume is not None:
        return []
    if is_inside(host_of(destination)):
        return [{"to": [{"namespaceSelector": {}}]}]
    return [{"ports": [opening(port_of(destination))]}]


def build_mount(name: str, path: str = "", *, read_only: bool = False) -> Manifest:
    """A volume at a path; without one, at its own name."""
    found: Manifest = {"name": name, "mountPath": path or f"/{name}"}
    return found | ({"readOnly": True} if read_only else {})


def build_secret_volume(volume: str, name: str, key: str, path: str = "") -> Manifest:
    """One key of a Secret, as a file of that name or another."""
    items = [{"key": key, "path": path or key}]
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440, "items": items}}


def asked_of(order: Order) -> Backups:
    """What is asked for. Raises ValueError where nothing is."""
    if order.backups is None:
        raise ValueError("no backups are asked for")
    return order.backups

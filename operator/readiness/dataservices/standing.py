"""What is there of one data service, against what is desired: what it lacks, whom to ask.

Pure. What is written follows in `provision.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from readiness import naming
from readiness.dataservices.children import belongs_to, hash_of
from readiness.dataservices.command import Amend
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Look, Order
from readiness.dataservices.removal import Place
from readiness.dataservices.roll import outdated
from readiness.dataservices.wish import Wish, ready_members
from readiness.model import Manifest
from readiness.snapshot import Provided


def look_of(kind: Kind, order: Order, pods: tuple[Manifest, ...]) -> Look | None:
    """Whom to ask, once there is somebody and a way to log in."""
    addresses = {
        pod["metadata"]["name"]: str(pod["status"]["podIP"])
        for pod in pods
        if (pod.get("status") or {}).get("podIP")
    }
    known = all(credential.key in order.credentials for credential in kind.credentials)
    return Look(kind.name, order, addresses) if addresses and known else None


def rolling(sets: Sequence[Manifest], pods: Sequence[Manifest]) -> str:
    """How many pods are still to be replaced; empty when none is."""
    left = len(outdated(sets, pods))
    return f"{left} of {len(pods)} members still run an earlier template" if left else ""


def live_of(wish: Wish, provided: Provided, service: str) -> dict[Place, Manifest]:
    """The children of one service that are there."""
    key = naming.store_labels(wish.policy["metadata"]["name"], service)
    return {place: child for place, child in provided.children.items() if belongs_to(child, key)}


def lacking(desired: Iterable[Manifest], live: Mapping[Place, Manifest]) -> str:
    """What is not there yet, not as declared, or not Ready, in a few words; empty when nothing is."""
    for child in desired:
        there = live.get(place_of(child))
        if there is None and child["kind"] != "Secret":
            return f"{child['kind']}/{child['metadata']['name']} is still to be created"
        if there is not None and child["kind"] == "StatefulSet":
            wanted, ready = child["spec"]["replicas"], ready_members(there)
            name = child["metadata"]["name"]
            if hash_of(there) != hash_of(child):
                return f"StatefulSet/{name} is still to be changed"
            if ready != wanted:
                return f"StatefulSet/{name}: {ready} of {wanted} members are Ready"
    return ""


def place_of(child: Manifest) -> Place:
    """Kind and name of a child."""
    return child["kind"], child["metadata"]["name"]


def unmade(kind: Kind, order: Order) -> Amend | None:
    """Credentials that a newer version needs, of a service that an older one made: they are made first, and once."""
    known = order.credentials
    missing = tuple(each.key for each in kind.credentials if known and each.key not in known)
    return Amend(f"passwords are made: {', '.join(missing)}", renew=missing) if missing else None


def unasked(kind: Kind, policy: Manifest) -> str:
    """That its servers have not been asked, where only they can say; what was said before stands meanwhile."""
    rows = (policy.get("status") or {}).get("conditions") or ()
    said = any(r.get("type") == "Provisioned" and r.get("status") == "True" for r in rows)
    return "its servers have not said yet how they are" if kind.asked and not said else ""

"""Volumes that are to be larger: each claim is told, and when all are, the StatefulSet learns of it.

A StatefulSet says only once how large its volumes are. So, when every volume has grown, it is deleted without its pods
and made anew; it finds them by their labels, and none of them notices. Pure: an operator that died in between goes on
from what it sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from readiness.dataservices.removal import Place
from readiness.model import Manifest
from readiness.quantities import bytes_of
from readiness.snapshot import Obstacle

FAILED: Final = "VolumeResizeFailed"
"""Reason of the warning by which a volume's driver says that it could not."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What is done about volumes: claims to be told, StatefulSets to be made anew, and those left alone until then."""

    told: tuple[Manifest, ...] = ()
    renewed: tuple[Manifest, ...] = ()
    held: frozenset[str] = frozenset()
    waiting: str = ""
    obstacles: tuple[Obstacle, ...] = ()


def shrunk(service: str, desired: Iterable[Manifest], live: Mapping[Place, Manifest]) -> Iterator[Obstacle]:  # fmt: skip
    """Volumes that are to be smaller: nothing can do that."""
    for child, there in _pairs(desired, live):
        wanted, given = _size_of(child), _size_of(there)
        if bytes_of(wanted) < bytes_of(given):
            name = child["metadata"]["name"]
            words = f"the volumes of StatefulSet/{name} have {given}, and no volume becomes smaller"
            fix = f"set storage in spec.dataServices[{service}] to {given}, or declare another service and move the data"
            yield Obstacle("StorageShrink", words, fix)


def growth_of(
    desired: Iterable[Manifest], live: Mapping[Place, Manifest], claims: Sequence[Manifest],
    events: Iterable[Manifest],
) -> Growth:  # fmt: skip
    """The next step. `claims` are empty as long as nobody has looked."""
    growing = [
        (child, there)
        for child, there in _pairs(desired, live)
        if bytes_of(_size_of(child)) > bytes_of(_size_of(there))
    ]
    held = frozenset(child["metadata"]["name"] for child, _ in growing)
    failed = {(e.get("involvedObject") or {}).get("name") for e in events if e.get("reason") == FAILED}  # fmt: skip
    for child, there in growing:
        wanted, name = _size_of(child), child["metadata"]["name"]
        own = [each for each in claims if _is_of(each, there)]
        if len(own) < there["spec"]["replicas"]:
            return Growth(held=held, waiting=f"StatefulSet/{name}: its volumes are looked for")
        if small := [each for each in own if bytes_of(_asked(each)) < bytes_of(wanted)]:
            told = tuple(_told(each, wanted) for each in small)
            return Growth(told, held=held, waiting=f"StatefulSet/{name}: its volumes grow to {wanted}")  # fmt: skip
        if late := [each for each in own if bytes_of(_given(each)) < bytes_of(wanted)]:
            stuck = tuple(_stuck(each) for each in late if each["metadata"]["name"] in failed)
            words = f"PersistentVolumeClaim/{late[0]['metadata']['name']} grows from {_given(late[0])} to {wanted}"
            return Growth(held=held, waiting=words, obstacles=stuck[:1])
    return Growth(renewed=tuple(there for _, there in growing), held=held)


def _pairs(
    desired: Iterable[Manifest], live: Mapping[Place, Manifest]
) -> Iterator[tuple[Manifest, Manifest]]:
    """StatefulSets as they should be and as they are."""
    for child in desired:
        there = live.get((child["kind"], child["metadata"]["name"]))
        if child["kind"] == "StatefulSet" and there is not None:
            yield child, there


def _size_of(stateful_set: Manifest) -> str:
    (claim,) = stateful_set["spec"]["volumeClaimTemplates"]
    return _asked(claim)


def _asked(claim: Manifest) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _given(claim: Manifest) -> str:
    return str(((claim.get("status") or {}).get("capacity") or {}).get("storage", "0"))


def _is_of(claim: Manifest, stateful_set: Manifest) -> bool:
    """Whether it is the volume of one of the pods that there are now."""
    (template,) = stateful_set["spec"]["volumeClaimTemplates"]
    stem, _, number = claim["metadata"]["name"].rpartition("-")
    ours: bool = stem == f"{template['metadata']['name']}-{stateful_set['metadata']['name']}"
    return ours and number.isdigit() and int(number) < stateful_set["spec"]["replicas"]


def _told(claim: Manifest, size: str) -> Manifest:
    """Only this very claim, as it was seen."""
    kept = ("name", "namespace", "uid", "resourceVersion")
    meta = {key: claim["metadata"][key] for key in kept}
    request = {"resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": request}


def _stuck(claim: Manifest) -> Obstacle:
    name = claim["metadata"]["name"]
    words = f"PersistentVolumeClaim/{name}: the driver of its volume could not make it larger"
    return Obstacle("VolumeCannotGrow", words, f"kubectl describe pvc {name}")

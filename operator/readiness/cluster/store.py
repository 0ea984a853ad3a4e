"""What the watches saw: projected objects by kind and namespace, with indexes and change counts.

Knows nothing about policies or HTTP. Objects in it are never changed, only replaced, so whoever
holds one may keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from readiness.model import Manifest

T = TypeVar("T")
Objects = dict[str, Manifest]
EMPTY: Final[Mapping[str, Manifest]] = {}
_HASH_LABELS: Final = {
    "pod-template-hash": "Deployment",
    "rollouts-pod-template-hash": "Rollout",
}

Change = tuple[Manifest | None, Manifest | None]
"""An object before and after; None: it did not exist, or does not any more."""


def members(kind: str) -> str:
    """What `derived` follows when only coming and going of a kind matters, not its content."""
    return f"{kind}#"


def owner_of(pod: Manifest) -> tuple[str, str]:
    """Kind and name of the workload a pod belongs to; a bare pod belongs to itself.

    A ReplicaSet is named after its Deployment or Rollout and the hash in the pod's label, so
    ReplicaSets need not be watched.
    """
    meta = pod["metadata"]
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return "Pod", meta["name"]
    kind, name = str(owner["kind"]), str(owner["name"])
    labels = meta.get("labels") or {}
    for label, workload in _HASH_LABELS.items():
        suffix = f"-{labels.get(label, '')}"
        if kind == "ReplicaSet" and label in labels and name.endswith(suffix):
            return workload, name.removesuffix(suffix)
    return kind, name


def service_of(piece: Manifest) -> tuple[str, str]:
    """The Service an EndpointSlice belongs to."""
    labels = piece["metadata"].get("labels") or {}
    return "Service", labels.get("kubernetes.io/service-name", "")


_INDEXED: Final[Mapping[str, Callable[[Manifest], tuple[str, str]]]] = {
    "Pod": owner_of,
    "EndpointSlice": service_of,
}


class Store:
    """Objects by kind, namespace and name. Writers learn what really changed."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Objects] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._index: dict[tuple[str, str, tuple[str, str]], Objects] = {}
        self._derived: dict[tuple[str, str], tuple[tuple[int, ...], object]] = {}

    def of(self, kind: str, namespace: str = "") -> Mapping[str, Manifest]:
        """Every object of a kind in a namespace, by name."""
        return self._objects.get((kind, namespace), EMPTY)

    def everywhere(self, kind: str) -> Iterator[Manifest]:
        """Every object of a kind, in all namespaces."""
        for (of, _), objects in list(self._objects.items()):
            if of == kind:
                yield from list(objects.values())

    def belonging(self, kind: str, namespace: str, owner: tuple[str, str]) -> tuple[Manifest, ...]:
        """Pods of a workload, or EndpointSlices of a Service, by name."""
        found = self._index.get((kind, namespace, owner), EMPTY)
        return tuple(found[name] for name in sorted(found))

    def derived(
        self, what: str, namespace: str, kinds: tuple[str, ...], build: Callable[[], T]
    ) -> T:
        """`build()`, remembered until an object of `kinds` changes in the namespace or cluster."""
        now = tuple(self._version(kind, place) for kind in kinds for place in (namespace, ""))
        kept = self._derived.get((what, namespace))
        if kept is None or kept[0] != now:
            kept = self._derived[what, namespace] = (now, build())
        return kept[1]  # type: ignore[return-value]  # `what` names one builder, so one type

    def put(self, found: Manifest) -> list[Change]:
        """Adds or replaces an object; an equal one changes nothing."""
        kind, meta = found["kind"], found["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        objects = self._objects.setdefault((kind, namespace), {})
        old = objects.get(name)
        if old == found:
            return []
        self._unindex(old)
        objects[name] = found
        if old is None:
            self._bump(members(kind), namespace)
        if kind in _INDEXED:
            self._index.setdefault((kind, namespace, _INDEXED[kind](found)), {})[name] = found
        self._bump(kind, namespace)
        return [(old, found)]

    def drop(self, kind: str, namespace: str, name: str) -> list[Change]:
        """Removes an object, if it is there."""
        objects = self._objects.get((kind, namespace), {})
        old = objects.pop(name, None)
        if old is None:
            return []
        if not objects:
            del self._objects[kind, namespace]
        self._unindex(old)
        self._bump(members(kind), namespace)
        self._bump(kind, namespace)
        return [(old, None)]

    def replace(self, kind: str, namespace: str, objects: Iterable[Manifest]) -> list[Change]:
        """Makes `objects` all of a kind, in one namespace or (empty) in all of them."""
        kept, changes = set(), []
        for found in objects:
            meta = found["metadata"]
            kept.add((meta.get("namespace", ""), meta["name"]))
            changes += self.put(found)
        for old in self.everywhere(kind):
            place, name = old["metadata"].get("namespace", ""), old["metadata"]["name"]
            if namespace in ("", place) and (place, name) not in kept:
                changes += self.drop(kind, place, name)
        return changes

    def _unindex(self, old: Manifest | None) -> None:
        if old is None or old["kind"] not in _INDEXED:
            return
        kind, meta = old["kind"], old["metadata"]
        place = (kind, meta.get("namespace", ""), _INDEXED[kind](old))
        self._index[place].pop(meta["name"], None)
        if not self._index[place]:
            del self._index[place]

    def _bump(self, kind: str, namespace: str) -> None:
        self._versions[kind, namespace] = self._version(kind, namespace) + 1

    def _version(self, kind: str, namespace: str) -> int:
        return self._versions.get((kind, namespace), 0)

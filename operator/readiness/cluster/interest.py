"""Who must look again when an object changes: policies by the workloads and Services they name.

Knows references and delays; what a change means is none of its business.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from readiness.cluster.own import POLICY, PROFILE, WAIVER, Key, exempt_in, key_of, targets_of
from readiness.cluster.project import WHOLE, WORKLOADS
from readiness.cluster.store import Change, owner_of, service_of
from readiness.model import Manifest
from readiness.naming import POLICY_LABEL, SERVICE_LABEL, label_value

AT_MOST_EVERY: Final = 1.0
SWEEP_AT_MOST_EVERY: Final = 20.0
NAMESPACE_DELAY: Final = 2.0
CLUSTER_DELAY: Final = 5.0
_WORKLOADS: Final = frozenset(kind.name for kind in WORKLOADS)
Ref = tuple[str, str, str]
"""(namespace, kind, name)."""


class Interest:
    """Turns changes into woken keys. `wake(key, delay)` schedules a look; 0 means now."""

    def __init__(self, wake: Callable[[Key, float], None]) -> None:
        self._wake = wake
        self._by_ref: dict[Ref, set[Key]] = {}
        self._refs: dict[Key, tuple[frozenset[Ref], frozenset[str]]] = {}
        self._covered: dict[str, Counter[str]] = {}
        self._last: dict[Key, float] = {}
        self._pending: set[str] = set()
        self._swept: dict[str, float] = {}
        self.awake = False
        """Nobody is woken while the first lists come in; then everybody is looked at once."""

    def covered(self, namespace: str) -> frozenset[str]:
        """`Kind/name` of every workload that some policy of the namespace targets or exempts."""
        return frozenset(self._covered.get(namespace, ()))

    def named(self, ref: Ref) -> bool:
        """Whether some policy names this workload or Service."""
        return ref in self._by_ref

    def wake(self, key: Key) -> None:
        """Looks at one policy now."""
        self._wake(key, 0.0)

    def wake_all(self) -> None:
        """Looks at every policy soon."""
        if self.awake:
            self._later("", CLUSTER_DELAY)

    def namespaces(self) -> frozenset[str]:
        """Namespaces that have a policy."""
        return frozenset(namespace for namespace, _ in self._refs)

    def changed(self, changes: list[Change]) -> None:
        """Wakes whoever is concerned."""
        for old, new in changes:
            found = new or old
            assert found is not None
            if found["kind"] == POLICY:
                self._policy(key_of(found), new)
            elif self.awake:
                self._child(found)
                self._other(found, old)

    def _policy(self, key: Key, policy: Manifest | None) -> None:
        self._replace_refs(key, policy)
        if policy is None:
            self._last.pop(key, None)
        if self.awake:
            self._wake(key, 0.0)

    def _child(self, found: Manifest) -> None:
        """A child of a data service, or a pod of one, names its policy."""
        meta = found.get(WHOLE, found)["metadata"]
        labels = meta.get("labels") or {}
        if SERVICE_LABEL in labels:
            self._named((meta["namespace"], POLICY, labels.get(POLICY_LABEL, "")))

    def _other(self, found: Manifest, old: Manifest | None) -> None:
        kind, (namespace, name) = found["kind"], key_of(found)
        if kind in _WORKLOADS or kind == "Service":
            self._named((namespace, kind, name))
        elif kind == "Pod":
            for owner in {owner_of(pod) for pod in (found, old) if pod is not None}:
                self._named((namespace, *owner))
        elif kind == "EndpointSlice":
            self._named((namespace, *service_of(found)))
        elif kind == WAIVER:
            self._wake((namespace, found["spec"].get("policyRef", "")), 0.0)
        elif kind == PROFILE:
            self._later("", 0.0)
        elif kind == "Namespace":
            self._later(name, NAMESPACE_DELAY)
        else:
            self._later(namespace, NAMESPACE_DELAY if namespace else CLUSTER_DELAY)

    def _named(self, ref: Ref) -> None:
        """Wakes at once after a quiet second, so that a storm of events costs one look a second."""
        now = asyncio.get_running_loop().time()
        for key in self._by_ref.get(ref, ()):
            wait = max(0.0, self._last.get(key, 0.0) + AT_MOST_EVERY - now)
            if not wait:
                self._last[key] = now
            self._wake(key, wait)

    def _later(self, namespace: str, delay: float) -> None:
        """Wakes every policy of a namespace (empty: of the cluster) once, however much changes."""
        loop = asyncio.get_running_loop()
        due = max(
            loop.time() + delay,
            self._swept.get(namespace, -SWEEP_AT_MOST_EVERY) + SWEEP_AT_MOST_EVERY,
        )
        if namespace not in self._pending:
            self._pending.add(namespace)
            loop.call_at(due, self._everybody, namespace)

    def _everybody(self, namespace: str) -> None:
        self._pending.discard(namespace)
        self._swept[namespace] = asyncio.get_running_loop().time()
        for key in list(self._refs):
            if namespace in ("", key[0]):
                self._wake(key, 0.0)

    def _replace_refs(self, key: Key, policy: Manifest | None) -> None:
        old_refs, old_cover = self._refs.get(key, (frozenset(), frozenset()))
        refs = frozenset(_refs_of(policy, key[0])) if policy else frozenset()
        cover = frozenset(_cover_of(policy)) if policy else frozenset()
        for ref in old_refs - refs:
            self._by_ref[ref].discard(key)
            if not self._by_ref[ref]:
                del self._by_ref[ref]
        for ref in refs - old_refs:
            self._by_ref.setdefault(ref, set()).add(key)
        if cover != old_cover:
            counter = self._covered.setdefault(key[0], Counter())
            counter.update(cover)
            counter.subtract(old_cover)
            for workload in old_cover - cover:
                if not counter[workload]:
                    del counter[workload]
        if policy is None:
            self._refs.pop(key, None)
        else:
            self._refs[key] = (refs, cover)


def _refs_of(policy: Manifest, namespace: str) -> Iterator[Ref]:
    yield namespace, POLICY, label_value(policy["metadata"]["name"])  # as its children name it
    for named in targets_of(policy):
        yield namespace, named.kind, named.workload
        if named.service:
            yield namespace, "Service", named.service


def _cover_of(policy: Manifest) -> Iterator[str]:
    yield from (f"{named.kind}/{named.workload}" for named in targets_of(policy))
    yield from exempt_in(policy)

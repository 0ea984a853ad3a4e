"""Which pod of a data service is replaced next: StatefulSets only say what is desired, and wait.

One pod at a time, and only while everyone else is well: by the cluster's word for Ready, and by the
servers' own for following. The primary comes last; its own hook hands over. Pure: an operator that
died in between goes on from what it sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from readiness.model import Manifest
from readiness.snapshot import Seen
from readiness.workload import is_ready

REVISION = "controller-revision-hash"


def next_replaced(sets: Iterable[Manifest], pods: Sequence[Manifest], seen: Seen | None) -> Manifest | None:  # fmt: skip
    """The pod to evict now; None when all are of the desired template, or somebody is not well."""
    found = tuple(sets)
    if seen is None or not is_calm(found, pods, seen):
        return None
    if seen.restart:
        return next((pod for pod in pods if _name(pod) == seen.restart), None)
    old = outdated(found, pods)
    if not old or not is_well(seen):
        return None
    return max(old, key=lambda pod: (_name(pod) != seen.primary, _name(pod)))


def is_calm(sets: Iterable[Manifest], pods: Iterable[Manifest], seen: Seen) -> bool:
    """Whether nobody is away or on the way, and nobody is being told anything."""
    return not seen.busy and all(map(_is_settled, sets)) and all(map(_stays, pods))


def outdated(sets: Iterable[Manifest], pods: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Pods that still run an earlier template than their StatefulSet's."""
    revisions = {each["metadata"]["name"]: _revision(each) for each in sets}
    return tuple(pod for pod in pods if _is_old(pod, revisions))


def is_well(seen: Seen) -> bool:
    """Whether the servers have nothing to complain of, and nothing hangs on one of them alone."""
    return not seen.reason and not any(m.reasons or m.needed_by for m in seen.members)


def _is_settled(stateful_set: Manifest) -> bool:
    """Every member has been Ready for the set's `minReadySeconds`."""
    status = stateful_set.get("status") or {}
    current = status.get("observedGeneration") == stateful_set["metadata"].get("generation")
    return bool(current and status.get("availableReplicas") == stateful_set["spec"]["replicas"])


def _stays(pod: Manifest) -> bool:
    return is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def _revision(stateful_set: Manifest) -> str:
    return str((stateful_set.get("status") or {}).get("updateRevision", ""))


def _is_old(pod: Manifest, revisions: dict[str, str]) -> bool:
    owners = (each["name"] for each in pod["metadata"].get("ownerReferences") or ())
    wanted = next((revisions[name] for name in owners if name in revisions), "")
    return bool(wanted) and (pod["metadata"].get("labels") or {}).get(REVISION) != wanted


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])

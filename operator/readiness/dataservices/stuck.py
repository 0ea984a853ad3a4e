"""What keeps a data service's pods from running, in words that stand still, with a remedy.

From pods, and from the warnings of controllers about them, their claims and their StatefulSets.
Pure. A warning about something that has got on since is old news.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from readiness import naming
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Seen
from readiness.workload import STUCK, is_ready

CRASHES: Final = 3
NAMED: Final = 5
_CLASS: Final = re.compile(r'storageclass\S* "([^"]+)" not found')
_LACKS_CLASS: Final = "StorageClassNotFound"
_UNBOUND: Final = "unbound immediate PersistentVolumeClaims"
"""The scheduler's word for what the claim itself explains."""
_NO_CLASS: Final = "no storage class is set"
_PULL: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)


def obstacles_of(
    service: str, sets: Sequence[Manifest], pods: Sequence[Manifest], events: Iterable[Manifest]
) -> tuple[Obstacle, ...]:
    """Each kind of obstacle once, the nearest cause first."""
    field = f"spec.dataServices[{service}]"
    waiting = [pod for pod in pods if not is_ready(pod)]
    found = [each for pod in waiting for each in _of_pod(pod, field)]
    found += _of_events(events, sets, waiting, field)
    if any(each.reason == _LACKS_CLASS for each in found):
        found = [each for each in found if _UNBOUND not in each.message]
    return tuple({each.reason: each for each in reversed(found)}.values())[::-1]


def blocked_stops(pods: Sequence[Manifest], seen: Seen | None) -> Iterator[Obstacle]:
    """Members that are to stop and are waited for, with what would stop with them."""
    needed = {member.name: member.needed_by for member in seen.members} if seen else {}
    for pod in pods:
        name = pod["metadata"]["name"]
        names = needed.get(name, ())
        if names and pod["metadata"].get("deletionTimestamp"):
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            what = ", ".join(names[:NAMED]) + more
            yield Obstacle(
                "TerminationBlocked", f"Pod/{name} is to stop and waits: without it {what} would lose the majority",
                "bring back the members that are missing, and the wait ends; or end it, at that price: "
                f"kubectl annotate pod {name} {naming.SKIP_STOP}=true",
            )  # fmt: skip


def _of_pod(pod: Manifest, field: str) -> Iterator[Obstacle]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    images = {
        c["name"]: c.get("image", "") for c in (pod.get("spec") or {}).get("containers") or ()
    }
    for container in status.get("containerStatuses") or ():
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
        image = images.get(container["name"]) or container.get("image", "")
        if reason in _PULL:
            yield Obstacle(
                "ImagePull", f"Pod/{name} cannot pull image {image}",
                f"correct the image in {field} or in the operator's settings, or give the namespace's "
                "ServiceAccounts an image pull secret",
            )  # fmt: skip
        elif reason in STUCK:
            yield Obstacle(
                "ContainerConfig", f"container {container['name']} of Pod/{name} cannot be created",
                f"kubectl describe pod {name}",
            )  # fmt: skip
        elif container.get("restartCount", 0) >= CRASHES and not container.get("ready"):
            yield Obstacle(
                "Crashing", f"container {container['name']} of Pod/{name} ends again and again",
                f"kubectl logs {name} -c {container['name']} --previous",
            )  # fmt: skip


def _of_events(
    events: Iterable[Manifest], sets: Sequence[Manifest], waiting: Sequence[Manifest], field: str
) -> list[Obstacle]:
    names = {s["metadata"]["name"] for s in sets if _lacks_pods(s)}
    unplaced = {p["metadata"]["name"] for p in waiting if not (p.get("spec") or {}).get("nodeName")}
    found = []
    for event in events:
        about, words = event.get("involvedObject") or {}, str(event.get("message", ""))
        kind, name = about.get("kind", ""), about.get("name", "")
        if kind == "StatefulSet" and name in names and event.get("reason") == "FailedCreate":
            found.append(_uncreated(name, words))
        elif kind == "PersistentVolumeClaim" and name.endswith(tuple(f"-{p}" for p in unplaced)):
            found += _unbound(name, words, field)
        elif kind == "Pod" and name in unplaced and event.get("reason") == "FailedScheduling":
            found.append(_unplaced(name, words))
    return found


def _lacks_pods(stateful_set: Manifest) -> bool:
    there = (stateful_set.get("status") or {}).get("replicas", 0)
    return bool(there < stateful_set["spec"].get("replicas", 1))


def _uncreated(name: str, words: str) -> Obstacle:
    if "exceeded quota" in words:
        quota = re.search(r"exceeded quota: ([^,]+)", words)
        which = f" {quota[1]}" if quota else ""
        return Obstacle(
            "Quota", f"StatefulSet/{name}: pods or volumes exceed the quota{which}",
            f"kubectl describe quota{which}; raise it, or ask for less",
        )  # fmt: skip
    text = re.sub(r"^create \w+ \S+ in StatefulSet \S+ failed error: ", "", words)
    return Obstacle(
        "AdmissionDenied", f"StatefulSet/{name}: {text}", "let the namespace admit its pods"
    )  # fmt: skip


def _unbound(name: str, words: str, field: str) -> Iterator[Obstacle]:
    if missing := _CLASS.search(words):
        yield Obstacle(
            _LACKS_CLASS,
            f"PersistentVolumeClaim/{name}: StorageClass {missing[1]} does not exist",
            f"correct storageClass in {field} (kubectl get storageclass), then delete the StatefulSet and this claim: "
            "a claim cannot change its class",
        )  # fmt: skip
    elif _NO_CLASS in words:
        yield Obstacle(
            _LACKS_CLASS,
            f"PersistentVolumeClaim/{name}: no StorageClass is named and the cluster has no default",
            f"set storageClass in {field}, or mark a StorageClass as the default",
        )  # fmt: skip


def _unplaced(name: str, words: str) -> Obstacle:
    text = words.partition(" preemption:")[0].rstrip(" .")
    return Obstacle("Unschedulable", f"Pod/{name}: {text}", f"kubectl describe pod {name}")


def moment_of(event: Manifest) -> str:
    """When an event was last seen, as the API server writes times."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""
    )

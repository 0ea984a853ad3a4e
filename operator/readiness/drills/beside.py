"""Ephemeral containers beside a clone's: who they run as, and as locked down as the rest lets them be.

They share the processes of the container that they are for. How they are started is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from readiness.model import Manifest

SIGNAL: Final = "readiness-signal"
METER: Final = "readiness-meter"
WHO: Final = "who"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a process runs as; None where nobody has said it yet."""

    user: int | None = None
    group: int | None = None


def owner_of(pod: Manifest, container: str) -> Owner:
    """Who a container runs as, where the pod tells; an image's own user is not seen."""
    contexts = [_context(_container(pod, container)), _context(pod["spec"])]
    return Owner(_first(contexts, "runAsUser"), _first(contexts, "runAsGroup"))


def read_owner(told: str) -> Owner:
    """What `drill-signal who` has found. Raises ValueError for anything else."""
    user, _, group = told.partition(":")
    return Owner(int(user), int(group))


def build_signaller(image: str, container: str, word: str, user: int | None) -> Manifest:
    """Tells who process 1 is (WHO), or sends it a signal as its own user."""
    args = ["drill-signal", word]
    return _build(image, f"{SIGNAL}-{word.lower()}", args, container) | _security(Owner(user))


def build_meter(image: str, pod: Manifest, container: str, owner: Owner, every: float) -> Manifest:
    """Reads what the container uses.

    The kernel shows another's files only to the same user and group with no fewer capabilities:
    root is met with those that the container itself has.
    """
    args = ["drill-meter", "--every", f"{every:g}"]
    capabilities = _context(_container(pod, container)).get("capabilities") or {}
    security = _security(owner, None if owner.user else capabilities)
    return _build(image, METER, args, container) | security


def has_ended(pod: Manifest, name: str) -> Manifest | None:
    """How an ephemeral container ended; None while it has not."""
    found: Manifest | None = _state(pod, name).get("terminated")
    return found


def has_started(pod: Manifest, name: str) -> bool:
    """Whether an ephemeral container has a log, also when it has ended since."""
    return bool(_state(pod, name).keys() & {"running", "terminated"})


def _state(pod: Manifest, name: str) -> Manifest:
    statuses = (pod.get("status") or {}).get("ephemeralContainerStatuses") or ()
    return next((s.get("state") or {} for s in statuses if s["name"] == name), {})


def _build(image: str, name: str, args: list[str], container: str) -> Manifest:
    return {
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
        "targetContainerName": container, "args": args,
    }  # fmt: skip


def _security(owner: Owner, capabilities: Manifest | None = None) -> Manifest:
    context = CONTAINER_SECURITY | {"seccompProfile": POD_SECURITY["seccompProfile"]}
    context |= {"runAsNonRoot": owner.user != 0}  # our image's own user is not root
    if owner.user is not None:
        context |= {"runAsUser": owner.user}
    if owner.group is not None:
        context |= {"runAsGroup": owner.group}
    if capabilities is not None:
        context |= {"capabilities": capabilities}
    return {"securityContext": context}


def _container(pod: Manifest, name: str) -> Manifest:
    found: Manifest = next(c for c in pod["spec"]["containers"] if c["name"] == name)
    return found


def _context(owner: Manifest) -> Manifest:
    return owner.get("securityContext") or {}


def _first(contexts: list[Manifest], name: str) -> Any:
    return next((c[name] for c in contexts if c.get(name) is not None), None)

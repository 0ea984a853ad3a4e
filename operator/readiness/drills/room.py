"""Room for a meter beside a clone: what it uses must not come out of what the application is given.

A pod whose containers all have a limit is limited as a whole to their sum, ephemeral containers
included. So the whole gets more; each container keeps its own limit. Kubernetes before 1.34 drops
that: there is no room then, and no meter. Pure arithmetic on a pod's spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from readiness.model import Manifest
from readiness.quantities import number_of

ROOM: Final[Mapping[str, Fraction]] = {"cpu": Fraction(1, 5), "memory": Fraction(32 * 2**20)}


def room_of(spec: Manifest) -> Manifest:
    """The field of a pod's spec that limits the whole, with room for a meter; empty where nothing limits it.

    A pod that is guaranteed what it may use stays so. Quantities that nobody writes stay as they are.
    """
    try:
        return _room_of(spec)
    except ValueError:
        return {}


def _room_of(spec: Manifest) -> Manifest:
    own = spec.get("resources") or {}
    limits = {name: _limit(spec, name) for name in ROOM}
    found = {name: limit for name, limit in limits.items() if limit is not None}
    if not found:
        return {}
    told = {name: _text(name, limit + ROOM[name]) for name, limit in found.items()}
    requests = {name: text for name, text in told.items() if _guaranteed(spec, name)}
    return {"resources": {
        **own, "limits": {**(own.get("limits") or {}), **told}, "requests": {**(own.get("requests") or {}), **requests},
    }}  # fmt: skip


def has_room(pod: Manifest) -> bool:
    """Whether a meter beside this pod's containers takes no memory from them."""
    spec: Manifest = pod["spec"]
    whole = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    try:
        parts = _sum(spec, "memory")
        if parts is None:
            return whole is None
        return whole is not None and number_of(str(whole)) - parts >= ROOM["memory"]
    except ValueError:
        return False


def at_least(resources: Manifest, name: str, text: str) -> Manifest:
    """The same requests and limits, each that is told of `name` raised to a quantity; no claims."""
    return {
        kind: {k: _more(v, text) if k == name else v for k, v in resources[kind].items()}
        for kind in ("requests", "limits")
        if resources.get(kind)
    }


def _more(told: Any, text: str) -> Any:
    try:
        return told if number_of(str(told)) >= number_of(text) else text
    except ValueError:
        return told


def _limit(spec: Manifest, name: str) -> Fraction | None:
    """What limits the whole: its own limit, else the sum where every container has one."""
    whole = ((spec.get("resources") or {}).get("limits") or {}).get(name)
    return _sum(spec, name) if whole is None else number_of(str(whole))


def _sum(spec: Manifest, name: str) -> Fraction | None:
    """Over containers that run side by side, or one init container that takes more; None where one has none."""
    starting = spec.get("initContainers") or ()
    sidecars = [c for c in starting if c.get("restartPolicy") == "Always"]
    found = [_limited(c, name) for c in (*spec["containers"], *sidecars)]
    before = [_limited(c, name) for c in starting if c not in sidecars]
    if None in found or None in before:
        return None
    numbers = [number_of(text) for text in found if text is not None]
    return max(
        [sum(numbers, Fraction()), *(number_of(text) for text in before if text is not None)]
    )


def _limited(container: Manifest, name: str) -> str | None:
    limit = ((container.get("resources") or {}).get("limits") or {}).get(name)
    return None if limit is None else str(limit)


def _guaranteed(spec: Manifest, name: str) -> bool:
    """Whether all that may be used is asked for; a limit alone is asked for, too."""
    whole = {"resources": spec["resources"]} if spec.get("resources") else None
    for each in [whole] if whole else spec["containers"]:
        limit, asked = _limited(each, name), (each.get("resources") or {}).get("requests") or {}
        if limit is None or str(asked.get(name, limit)) != limit:
            return False
    return True


def _text(name: str, number: Fraction) -> str:
    return f"{round(number * 1000)}m" if name == "cpu" else str(round(number))

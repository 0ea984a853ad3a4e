"""A scenario ready to be played, and what an answer makes of one of its scenes. Pure.

Of an answer only what a scene asks for is looked at; what it extracts stays with whoever plays it. Who sends the
requests, and which control wants to know, is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

JOB: Final = "job"
"""The scenario that starts a job, waits until it is done, and tells whether its effect is there once."""
WORKING: Final = "working"
"""Its step that holds while a worker has the job."""
WRITE: Final = "write"
"""The scenario that writes to the stores, and is refused while they take no writes."""
SECONDS: Final = "seconds"
"""The placeholder for how long a job is to take."""
LONGEST_VALUE: Final = 256
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9]*)\}")


@dataclass(frozen=True, slots=True)
class Scene:
    """One request and what its answer must hold; `within` seconds it is repeated until it does (0: once).

    `status` none: 200 to 299. `extracts` are (name, place), `asserts` (place, value); a place is keys and indexes
    with dots between.
    """

    name: str
    path: str
    method: str = "GET"
    body: str = ""
    status: tuple[int, ...] = ()
    extracts: tuple[tuple[str, str], ...] = ()
    asserts: tuple[tuple[str, str], ...] = ()
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Unmet:
    """What of a scene did not hold: `status`, or a place, and how: absent, other, and of numbers less or more."""

    what: str
    how: str = "other"


def filled_path(scene: Scene, values: Mapping[str, str]) -> str:
    """The path with every placeholder replaced, as one segment or value of a query."""
    return _PLACE.sub(lambda m: quote(values.get(m[1], m[0]), safe=""), scene.path)


def filled_body(scene: Scene, values: Mapping[str, str]) -> bytes:
    """The body with every known placeholder replaced, as the inside of a JSON text; other braces are its own."""
    return _PLACE.sub(
        lambda m: json.dumps(values[m[1]])[1:-1] if m[1] in values else m[0], scene.body
    ).encode()


def extracted(scene: Scene, body: bytes) -> dict[str, str]:
    """What the scene takes out of an answer, as far as it is there."""
    told = _json(body)
    found = {name: text_of(place_in(told, place)) for name, place in scene.extracts}
    return {name: text for name, text in found.items() if text and len(text) <= LONGEST_VALUE}


def unmet(scene: Scene, status: int, body: bytes) -> tuple[Unmet, ...]:
    """What of the scene an answer does not hold; nothing when all is well."""
    right = status in scene.status if scene.status else 200 <= status < 300
    if not right:
        return (Unmet("status"),)
    told, taken = _json(body), extracted(scene, body)
    missing = (Unmet(place, "absent") for name, place in scene.extracts if name not in taken)
    return (*missing, *_wrong(scene, told))


def place_in(value: Any, place: str) -> Any:
    """The value at a place: a key may itself be written with dots. None where there is none."""
    if isinstance(value, list):
        first, dot, rest = place.partition(".")
        within = value[int(first)] if first.isdecimal() and int(first) < len(value) else None
        return place_in(within, rest) if dot else within
    if not isinstance(value, dict):
        return None
    if place in value:
        return value[place]
    first, dot, rest = place.partition(".")
    return place_in(value.get(first), rest) if dot else None


def text_of(value: Any) -> str:
    """A scalar as a policy writes it; empty for anything else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else ""


def _wrong(scene: Scene, told: Any) -> Iterator[Unmet]:
    for place, wanted in scene.asserts:
        seen = text_of(place_in(told, place))
        if seen != wanted:
            yield Unmet(place, _how(seen, wanted))


def _how(seen: str, wanted: str) -> str:
    """How a value is wrong, without what it is."""
    if not seen:
        return "absent"
    try:
        return "more" if int(seen) > int(wanted) else "less"
    except ValueError:
        return "other"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

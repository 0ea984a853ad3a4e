"""The environment of a clone: edited by its arm, and as readable as the arm needs it.

No value of a Secret is known here. A variable that comes from `envFrom` cannot be taken away, so
an arm that takes one away is explicit: of `envFrom` it keeps the declared names only, each as a
reference of its own. What else `envFrom` holds is missing then; an application that needs it does
not boot in the control arm, which must be explicit as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from readiness.model import Manifest
from readiness.script import Arm, DrillSubject
from readiness.timeline import Problem

_FIELD: Final = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_REFERENCES: Final = {"configMapRef": "configMapKeyRef", "secretRef": "secretKeyRef"}


def edit_environment(
    container: Manifest, arm: Arm, subject: DrillSubject, sinks: Mapping[str, str]
) -> Manifest | Problem:
    """The container with the arm's edits, which come first so that other variables can refer to them."""
    edits = {edit.name: _placed(edit.value, subject, sinks) for edit in arm.edits}
    declared = subject.declared
    sources = container.get("envFrom") or ()
    if sources and (problem := _unreadable(container, arm, declared)):
        return problem
    kept = [entry for entry in container.get("env") or () if entry["name"] not in edits]
    put = [
        {"name": name, "value": literal(value)}
        for name, value in edits.items()
        if value is not None
    ]
    if not arm.explicit:
        return {**container, "env": [*put, *kept]}
    referred = _referred(sources, (name for name in declared if name not in edits))
    return {**container, "envFrom": [], "env": [*put, *referred, *kept]}


def _placed(value: str | None, subject: DrillSubject, sinks: Mapping[str, str]) -> str | None:
    """A value in which stands where each upstream is played."""
    for upstream in subject.upstreams:
        if value is not None and upstream.name in sinks:
            value = value.replace(upstream.place, sinks[upstream.name])
    return value


def literal(text: str) -> str:
    """A value that the kubelet's expansion of `$(NAME)` leaves as it is."""
    return text.replace("$", "$$")


def tell_labels(container: Manifest, metadata: Manifest) -> Manifest:
    """The container with labels and annotations of the template, which the clone lacks, as values."""
    env = [_told(entry, metadata) for entry in container.get("env") or ()]
    return {**container, "env": env} if env else container


def _told(entry: Manifest, metadata: Manifest) -> Manifest:
    path = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
    if not (found := _FIELD.fullmatch(path)):
        return entry
    value = (metadata.get(found[1]) or {}).get(found[2], "")
    return {"name": entry["name"], "value": literal(value)}


def _unreadable(container: Manifest, arm: Arm, declared: tuple[str, ...]) -> Problem | None:
    """Why a variable cannot be taken away for certain."""
    gone = [edit.name for edit in arm.edits if edit.value is None]
    if arm.explicit and not declared:
        return Problem(
            "Refused",
            f"container {container['name']} has envFrom, whose names cannot be seen",
            "declare the variables that the application reads in config.env",
        )
    if gone and not arm.explicit:
        return Problem(
            "Refused", f"{gone[0]} may come from envFrom of container {container['name']}"
        )
    return None


def _referred(sources: Iterable[Manifest], names: Iterable[str]) -> Iterator[Manifest]:
    """Each name from every source that may hold it: the last one that does wins, as in envFrom."""
    sources = tuple(sources)
    for name in names:
        for source in sources:
            prefix = source.get("prefix") or ""
            kind = next((k for k in _REFERENCES if source.get(k)), "")
            if kind and name.startswith(prefix) and name != prefix:
                of = source[kind].get("name", "")
                key = {"name": of, "key": name.removeprefix(prefix), "optional": True}
                yield {"name": name, "valueFrom": {_REFERENCES[kind]: key}}

"""Whether manifests have the shape that judging relies on: our kinds by their schema, others loosely.

Pure. Strict where the API server would prune silently: an unknown field is a spelling mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from readiness.api import InvalidSpecError, read_policy, read_profile, read_waiver
from readiness.files import Located
from readiness.model import Manifest
from readiness.workload import KINDS as WORKLOADS

_SPECS: Final[dict[str, Callable[..., object]]] = {
    "ReadinessPolicy": read_policy,
    "ReadinessProfile": read_profile,
    "ReadinessWaiver": read_waiver,
}
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def problems_of(objects: Iterable[Located]) -> Iterator[str]:
    """One sentence per object that cannot be judged, with file and line."""
    for item in objects:
        manifest = item.manifest
        kind = manifest["kind"]
        found: Iterable[str] = ()
        if kind in _SPECS and manifest["apiVersion"].startswith("readiness.dev/"):
            found = _schema(manifest)
        elif kind in WORKLOADS:
            found = _workload(manifest)
        name = f"{kind}/{manifest['metadata'].get('name', '')}"
        yield from (f"{item}: {name}: {problem}" for problem in found)


def _schema(manifest: Manifest) -> Iterator[str]:
    if not manifest["metadata"].get("name"):
        yield "metadata.name: missing"
    try:
        _SPECS[manifest["kind"]](manifest.get("spec"), strict=True)
    except InvalidSpecError as error:
        yield from (f"{path}: {message}" for path, message in error.problems)


def _workload(manifest: Manifest) -> Iterator[str]:
    name = manifest["metadata"].get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"metadata.name: expected a DNS name, got {name!r}"
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        yield "spec: expected a mapping"
        return
    pod = _at(spec, "template", "spec")
    for field in ("containers", "initContainers", "volumes"):
        rows = pod.get(field) if isinstance(pod, dict) else None
        if rows is not None and not _mappings(rows):
            yield f"spec.template.spec.{field}: expected a list of mappings"
    if not isinstance(pod, dict):
        yield "spec.template.spec: expected a mapping"


def _at(value: Any, *path: str) -> Any:
    """The value at a path; an empty mapping where something on the way is absent."""
    for key in path:
        if not isinstance(value, dict):
            return value
        value = {} if value.get(key) is None else value[key]
    return value


def _mappings(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)

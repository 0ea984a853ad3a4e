"""Defects of manifests, as values: the sample that does everything right, with one thing changed.

The table is manifest_defects.yaml. It starts nothing and judges nothing.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
SAMPLE: Final = HERE.parent / "manifests/samples/shop.yaml"
TEMPLATE: Final = "Deployment/spec/template/spec"
SHORT: Final = {
    "pod": TEMPLATE,
    "container": f"{TEMPLATE}/containers/0",
    "policy": "ReadinessPolicy/spec",
}
STATIC_CONTROLS: Final = (
    "HLT-005", "SHD-008", "CFG-003", "CFG-004", "SEC-001", "SEC-010", "SEC-011", "REL-001"
)  # fmt: skip
LIVE_CONTROLS: Final = ("SEC-009", "HA-006", "REL-004", "HLT-001", "HLT-002")
POD_CONTROLS: Final = LIVE_CONTROLS[1:]  # need pods that run
Manifest = dict[str, Any]


@dataclass(frozen=True)
class ManifestDefect:
    """One broken clause. `pods`: it shows on running pods only; `live`: in a cluster only."""

    id: str
    clause: str
    fails: Mapping[str, str]
    unproven: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    add: tuple[Manifest, ...] = ()
    pods: bool = False
    live: bool = False

    def plant(self, objects: list[Manifest]) -> list[Manifest]:
        """The objects with this defect."""
        found = copy.deepcopy(objects)
        for path, value in self.set.items():
            _put(found, path, copy.deepcopy(value))
        return [*found, *copy.deepcopy(self.add)]


def table() -> dict[str, ManifestDefect]:
    """Every defect by id."""
    rows = yaml.safe_load((HERE / "manifest_defects.yaml").read_text())
    return {row["id"]: ManifestDefect(**row) for row in rows}


def healthy() -> list[Manifest]:
    """The sample's objects, without the namespace: whoever uses them chooses one."""
    found = [each for each in yaml.safe_load_all(SAMPLE.read_text()) if each["kind"] != "Namespace"]
    for each in found:
        each["metadata"].pop("namespace", None)
    return found


def kind(objects: list[Manifest], name: str) -> Manifest:
    """The only object of a kind."""
    return next(each for each in objects if each["kind"] == name)


def _put(objects: list[Manifest], path: str, value: Any) -> None:
    first, slash, rest = path.partition("/")
    name, *steps = (SHORT.get(first, first) + slash + rest).split("/")
    place: Any = kind(objects, name)
    if not steps:
        objects.remove(place)
        return
    for step in steps[:-1]:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    last = steps[-1]
    if isinstance(place, list):
        place[int(last) :] = [value]
    elif value is None:
        place.pop(last, None)
    else:
        place[last] = value

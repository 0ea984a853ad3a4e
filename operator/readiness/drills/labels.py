"""The labels of a clone, so that those who ask whether something would select it need not know how it is made."""

from __future__ import annotations

from readiness.drills.place import Place, build_metadata, unmeshed
from readiness.model import Manifest
from readiness.naming import DRILL_ARM, label_value
from readiness.script import Arm
from readiness.workload import template_metadata


def build_labels(workload: Manifest, arm: Arm, place: Place) -> dict[str, str]:
    """No label that the template has too, not even one of ours: a Service may select by it."""
    theirs = template_metadata(workload).get("labels") or {}
    made = unmeshed(build_metadata(place, "", {DRILL_ARM: label_value(arm.name)}))["labels"]
    return {k: v for k, v in made.items() if theirs.get(k) != v}

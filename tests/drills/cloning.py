"""What the tests of this directory share: templates as found in the wild, and where they are cloned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from readiness.drills.clone import build_clone
from readiness.drills.place import Place
from readiness.model import Manifest
from readiness.script import Arm, DrillSubject, Store
from readiness.timeline import Problem

TEMPLATES = Path(__file__).parent / "templates"
NAMES = tuple(sorted(path.stem for path in TEMPLATES.glob("*.yaml")))
PLACE = Place("ab12", "drill-ab12-xyz", "0-1-2", deadline=300.4, stores={"cache": "10.1.1.1", "db": "10.1.1.2"}, sinks={"llm": "10.1.1.9:80"})  # fmt: skip
SUBJECT = DrillSubject("shop", "api", "apps/v1", "Deployment", "api", standalone=True)
CACHE = Store("cache", "redis", ("cache",), 6379, "cache-auth")
ARM = Arm("idle", ())


def template(name: str) -> Manifest:
    found: Manifest = yaml.load((TEMPLATES / f"{name}.yaml").read_text(), yaml.CSafeLoader)
    return found


def deployment(container: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    """A Deployment with one container, and whatever else its pod spec holds."""
    app = {"name": "app", "image": "app:1", "ports": [{"containerPort": 80}], **(container or {})}
    pod = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [app], **spec}}
    return {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": pod}}


def answer(
    workload: Manifest, arm: Arm = ARM, place: Place = PLACE, **subject: Any
) -> Manifest | Problem:
    return build_clone(workload, replace(SUBJECT, **subject), arm, place)


def clone(workload: Manifest, arm: Arm = ARM, place: Place = PLACE, **subject: Any) -> Manifest:
    made = answer(workload, arm, place, **subject)
    assert not isinstance(made, Problem), made
    return made


def refused(workload: Manifest, arm: Arm = ARM, place: Place = PLACE, **subject: Any) -> Problem:
    made = answer(workload, arm, place, **subject)
    assert isinstance(made, Problem), made
    return made

"""What stands in for the models where nothing needs validation is what the models would make."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from readiness.api import plain, read_policy, read_profile
from readiness.api.types import Schema
from readiness.cli.worlds import Defaults, worlds_of
from readiness.files import Located

PROFILES = Path(plain.__file__).parents[1] / "profiles"
NAMES = ("a", "shop.example", "x" * 63, "a.-b", "a." * 100 + "b", "0")


def fields(value: Any) -> Any:
    """Models and what stands in for them as nested plain data."""
    if isinstance(value, Schema | SimpleNamespace):
        return {name: fields(part) for name, part in vars(value).items()}
    return tuple(map(fields, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda p: p.stem)
def test_built_in_profiles_are_valid_and_read_as_the_model_reads_them(path):
    spec = yaml.safe_load(path.read_text())

    assert fields(plain.profile_of(spec)) == fields(read_profile(spec, strict=True))


def test_every_field_of_a_profile_is_read():
    setting = {"mode": "audit", "severity": "P0", "maxAge": "1h", "params": {"a": 1}}
    floors = [{"id": "SHD-008", "environment": "prod", **setting}, {"id": "HA-006"}]
    rows = [{"id": "SHD-008", **setting}, {"id": "HA-006"}]
    spec = {"description": "x", "controls": rows, "floor": floors}

    assert fields(plain.profile_of(spec)) == fields(read_profile(spec, strict=True))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Rollout"])
def test_a_policy_made_up_around_manifests_is_valid_and_reads_as_the_model_reads_it(kind):
    objects = [
        Located({"kind": each, "metadata": {"name": name}, "spec": {}}, "a.yaml", 1)
        for name in NAMES
        for each in ("Deployment", kind)
    ]
    (world,) = worlds_of(objects, Defaults(profiles=("baseline", "web")))

    assert fields(world.spec) == fields(read_policy(world.policy["spec"], strict=True))
    assert {t.workload_ref.kind for t in world.spec.targets} == {"Deployment", kind}

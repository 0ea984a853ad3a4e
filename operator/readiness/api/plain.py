"""What the models make of specs that are right by construction, without the models and pydantic.

There are two: the spec of a policy that the command line makes up around manifests, and those of
the built-in profiles, which a test validates. Values with the models' fields and defaults stand in
for the models; a test holds them equal, field by field. Nothing else may skip validation.
"""

from __future__ import annotations

from types import SimpleNamespace as Plain
from typing import TYPE_CHECKING, Any, Final, cast

from readiness.api.defaults import DEFAULTS
from readiness.model import Manifest

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.api.profile import ProfileSpec

_FIELDS: Final = {"apiVersion": "api_version", "maxAge": "max_age"}


def policy_of(spec: Manifest) -> PolicySpec:
    """Of `{profiles, targets: [{name, workloadRef}]}` and nothing else."""
    targets = tuple(
        _plain("Target", name=row["name"], workload_ref=_row("WorkloadRef", row["workloadRef"]))
        for row in spec["targets"]
    )
    profiles = tuple(spec["profiles"])
    return cast("PolicySpec", _plain("PolicySpec", profiles=profiles, targets=targets))


def profile_of(spec: Manifest) -> ProfileSpec:
    """Of a profile that ships with the operator: controls and floor, bound where it is named."""
    controls = tuple(_row("ControlSetting", row) for row in spec.get("controls", ()))
    floor = tuple(_row("Floor", row) for row in spec.get("floor", ()))
    given = {"description": spec["description"], "controls": controls, "floor": floor}
    return cast("ProfileSpec", _plain("ProfileSpec", **given))


def _row(model: str, given: Manifest) -> Plain:
    return _plain(model, **{_FIELDS.get(key, key): value for key, value in given.items()})


def _plain(model: str, **given: Any) -> Plain:
    return Plain(**DEFAULTS[model] | given)

"""The API: pydantic models of the four kinds, the only truth about their schema.

`readiness crd` turns them into `crds/*.yaml`; the operator and the command line read objects with
them through the functions here. The models are imported when the first object is read: together
with pydantic they take longer to import than a file of plain manifests takes to judge. Nothing
here performs I/O.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec
    from readiness.api.profile import ProfileSpec
    from readiness.api.waiver import WaiverSpec

_MODELS: Final = ("errors", "policy", "profile", "waiver")


class InvalidSpecError(ValueError):
    """A spec that breaks its schema. `problems` are (path, message) pairs, written for people."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


def load() -> None:
    """Imports the models now, so that the first object of a long-lived process need not wait."""
    for name in _MODELS:
        import_module(f"readiness.api.{name}")


def read_policy(spec: Any, *, strict: bool = False) -> PolicySpec:
    """What a ReadinessPolicy says. Raises InvalidSpecError; `strict` also for unknown fields."""
    from readiness.api.errors import validated
    from readiness.api.policy import PolicySpec

    return validated(PolicySpec, spec, strict=strict)


def read_profile(spec: Any, *, strict: bool = False) -> ProfileSpec:
    """What a ReadinessProfile says, likewise."""
    from readiness.api.errors import validated
    from readiness.api.profile import ProfileSpec

    return validated(ProfileSpec, spec, strict=strict)


def read_waiver(spec: Any, *, strict: bool = False) -> WaiverSpec:
    """What a ReadinessWaiver says, likewise."""
    from readiness.api.errors import validated
    from readiness.api.waiver import WaiverSpec

    return validated(WaiverSpec, spec, strict=strict)

"""ReadinessProfile: an organisation's controls and floors, written by the platform team.

Cluster-scoped; it names no target, no URL and no Secret.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from readiness.api.policy import ControlSetting, Environment
from readiness.api.types import ControlId, Duration, Rule, Schema, keyed


class SelectorRequirement(Schema):
    """One expression over namespace labels."""

    key: Annotated[str, Field(min_length=1, max_length=317)] = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How to compare."
    )
    values: tuple[Annotated[str, Field(max_length=63)], ...] = Field(
        (),
        max_length=50,
        description="Values for In and NotIn.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class NamespaceSelector(Schema):
    """Selects namespaces by their labels, as everywhere in Kubernetes. Empty selects all."""

    match_labels: dict[str, str] = Field({}, description="Labels that must be equal.")
    match_expressions: tuple[SelectorRequirement, ...] = Field(
        (),
        max_length=20,
        description="Expressions that must all hold.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class AppliesTo(Schema):
    """Where the profile binds without being named."""

    namespace_selector: NamespaceSelector = Field(description="Namespaces whose policies it binds.")


class Floor(Schema):
    """The least a policy must keep. Anything weaker is Unknown/WeakenedWithoutWaiver."""

    id: ControlId = Field(description="The control.")
    mode: Literal["audit", "enforce"] = Field("enforce", description="Least mode.")
    severity: Literal["P0", "P1", "P2", "P3"] | None = Field(
        None, description="Least severity. Default: the control's own."
    )
    max_age: Duration | None = Field(None, description="Oldest acceptable evidence.")
    environment: Environment | None = Field(
        None, description="The environment the policy must declare."
    )
    params: dict[str, Any] | None = Field(
        None,
        description="Bounds of parameters; only parameters with a stricter direction can have one.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True, "maxProperties": 20},
    )


class ProfileSpec(Schema):
    """Controls, their settings, and what no policy may weaken."""

    description: Annotated[str, Field(max_length=1000)] = Field(
        "", description="What the profile is for."
    )
    applies_to: AppliesTo | None = Field(None, description="Binds policies of matching namespaces.")
    controls: Annotated[tuple[ControlSetting, ...], *keyed("id")] = Field(
        (),
        max_length=300,
        description="Controls of this profile with their settings; mode defaults to enforce.",
    )
    floor: Annotated[tuple[Floor, ...], *keyed("id")] = Field(
        (), max_length=300, description="What policies may tighten but not weaken."
    )
    rules = (
        Rule(
            cel="(has(self.controls) && self.controls.size() > 0) || (has(self.floor) && self.floor.size() > 0)",
            message="a profile needs controls or a floor",
            holds=lambda p: bool(p.controls) or bool(p.floor),
        ),
    )

"""ReadinessProfile: an organisation's controls and floors, written by the platform team.

Cluster-scoped; it names no target, no URL and no Secret.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from readiness.api.formats import ControlId, MaxAge
from readiness.api.policy import ControlSetting, Environment
from readiness.api.types import Rule, Schema, atomic, keyed

LabelValue = Annotated[str, StringConstraints(max_length=63)]


class SelectorRequirement(Schema):
    """One expression over namespace labels."""

    key: Annotated[str, Field(min_length=1, max_length=317)] = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How to compare."
    )
    values: Annotated[tuple[LabelValue, ...], *atomic()] = Field(
        (), max_length=50, description="Values for In and NotIn."
    )
    rules = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            message="values are required for In and NotIn, and forbidden for Exists and DoesNotExist",
            holds=lambda e: (e.operator in ("In", "NotIn")) == bool(e.values),
            field="values",
        ),
    )


class NamespaceSelector(Schema):
    """Selects namespaces by their labels, as everywhere in Kubernetes. Empty selects all."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})
    match_labels: dict[str, LabelValue] = Field(
        {}, max_length=20, description="Labels that must be equal."
    )
    match_expressions: Annotated[tuple[SelectorRequirement, ...], *atomic()] = Field(
        (), max_length=20, description="Expressions that must all hold."
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
    max_age: MaxAge | None = Field(None, description="Oldest acceptable evidence.")
    environment: Environment | None = Field(
        None, description="The environment the policy must declare."
    )
    params: dict[str, Any] | None = Field(
        None,
        max_length=20,
        description="Bounds of parameters; only parameters with a stricter direction can have one.",
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

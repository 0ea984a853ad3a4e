"""ReadinessWaiver: an approved, expiring exception. The control still runs and stays visible."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.api.formats import ControlId, Name, ObjectName, Timestamp
from readiness.api.types import Rule, Schema, scalar_set


class WaiverSpec(Schema):
    """Which controls of which targets are excused, why, by whom and until when."""

    policy_ref: ObjectName = Field(description="Name of the ReadinessPolicy in the same namespace.")
    controls: Annotated[tuple[ControlId, ...], *scalar_set()] = Field(
        min_length=1,
        max_length=20,
        description="Exact ids of the controls. There are no wildcards.",
    )
    targets: Annotated[tuple[Name, ...], *scalar_set()] = Field(
        (),
        max_length=20,
        description="Exact names of targets; none for controls of the policy itself (GAT).",
    )
    reason: Annotated[str, Field(min_length=20, max_length=500)] = Field(
        description="Why the exception is acceptable, in a sentence."
    )
    owner: Annotated[str, Field(min_length=3, max_length=200)] = Field(
        description="Who answers for it: a person or a team that can be reached."
    )
    ticket: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        None, description="Where the work to make it unnecessary is tracked."
    )
    expires: Timestamp = Field(
        description="When the exception ends (RFC 3339): at most 30 days after creation for P0 controls, 90 for others."
    )
    rules = (
        Rule(
            cel="self.controls.all(c, c.startsWith('GAT-')) || (has(self.targets) && self.targets.size() > 0)",
            message="targets is required unless every control is a GAT control: name each excused target",
            holds=lambda w: all(c.startswith("GAT-") for c in w.controls) or bool(w.targets),
            field="targets",
        ),
        Rule(
            cel="self.policyRef == oldSelf.policyRef && self.controls == oldSelf.controls && "
            "self.reason == oldSelf.reason && self.owner == oldSelf.owner && "
            "has(self.targets) == has(oldSelf.targets) && "
            "(!has(self.targets) || self.targets == oldSelf.targets) && "
            "has(self.ticket) == has(oldSelf.ticket) && "
            "(!has(self.ticket) || self.ticket == oldSelf.ticket)",
            message="a waiver stands as it was approved: create a new one; only expires may change",
            holds=None,
        ),
        Rule(
            cel="self.expires <= oldSelf.expires",
            message="a waiver can only be shortened: create a new one to extend the exception",
            holds=None,
            field="expires",
        ),
    )

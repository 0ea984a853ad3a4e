"""What the operator writes back: the policy's status and the report. Read by people and gates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.api.types import Schema, Timestamp, atomic, keyed


class Condition(Schema):
    """A metav1.Condition."""

    type: str = Field(description="Type of the condition.", max_length=316)
    status: str = Field(
        description="True, False or Unknown.",
        json_schema_extra={"enum": ["True", "False", "Unknown"]},
    )
    reason: str = Field(description="One CamelCase word for programs.", max_length=1024)
    message: str = Field(description="A sentence for people.", max_length=32768)
    observed_generation: int = Field(
        0, description="Generation of the spec this was judged for.", ge=0
    )
    last_transition_time: Timestamp = Field(description="When status last changed.")


class Summary(Schema):
    """How many findings have which result."""

    total: int = Field(0, description="All findings that count or are reported.")
    passed: int = Field(0, alias="pass", description="Held.")
    fail: int = Field(0, description="Did not hold.")
    unknown: int = Field(0, description="Could not be judged.")
    opt_in_required: int = Field(0, description="Need a safety class the policy does not allow.")
    blocked: int = Field(0, description="A prerequisite does not hold.")
    not_applicable: int = Field(0, description="Declared not to apply, with the reason.")
    waived: int = Field(0, description="Do not hold, but are waived.")


class TargetStatus(Schema):
    """The verdict on one target."""

    name: str = Field(description="Name of the target.")
    compliant: str = Field(description="True, False or Unknown.")
    image_digest: str = Field("", description="Digest of the image that was judged.")
    template_hash: str = Field("", description="Hash of the pod template that was judged.")
    report: str = Field("", description="Name of the ReadinessReport with every finding.")
    digest: str = Field(
        "", description="Hash of the report's findings; unchanged findings write nothing."
    )


class Failure(Schema):
    """One finding that does not hold, with everything needed to act on it."""

    id: str = Field(description="Control.")
    target: str = Field("", description="Target; empty for controls of the policy itself.")
    severity: str = Field(description="P0 to P3.")
    result: str = Field(description="Fail, Unknown, Blocked or OptInRequired.")
    reason: str = Field(description="One CamelCase word.")
    message: str = Field("", description="What and where.")
    expected: str = Field("", description="What should have been seen.")
    observed: str = Field("", description="What was seen.")
    fix: str = Field("", description="What to do.")
    since: Timestamp = Field(description="When this result first stood.")


class Undeclared(Schema):
    """A capability nobody declared, so its controls cannot be judged."""

    capability: str = Field(description="What is not declared.")
    controls: int = Field(description="How many controls wait for it.")
    fix: str = Field(description="The line to add.")


class PolicyStatus(Schema):
    """The verdict."""

    observed_generation: int = Field(
        0, description="Generation of the spec this status was made for."
    )
    level: str = Field(
        "",
        description="Highest of P0 to P3 whose controls, and all above, hold; empty when P0 does not.",
    )
    coverage: str = Field("", description="Judged findings of all applicable ones.")
    valid_until: Timestamp | None = Field(
        None, description="Past this time the verdict must not be trusted: nobody renewed it."
    )
    last_run_at: str = Field(
        "", description="Value of readiness.dev/run-at that was last honoured."
    )
    summary: Summary = Field(Summary(), description="Counts of results.")
    targets: Annotated[tuple[TargetStatus, ...], *keyed("name")] = Field(
        (), max_length=50, description="One row per target."
    )
    failures: Annotated[tuple[Failure, ...], *atomic()] = Field(
        (), max_length=40, description="What does not hold, worst first, at most 40."
    )
    truncated: int = Field(0, description="How many failures did not fit.")
    undeclared: Annotated[tuple[Undeclared, ...], *atomic()] = Field(
        (), max_length=40, description="Capabilities to declare, one row each."
    )
    conditions: Annotated[tuple[Condition, ...], *keyed("type")] = Field(
        (),
        max_length=16,
        description="Accepted, Ready, Reconciling, Stalled, Compliant and its parts.",
    )


class ReportRow(Schema):
    """One finding with its evidence."""

    id: str = Field(description="Control.")
    target: str = Field("", description="Target; empty for controls of the policy itself.")
    severity: str = Field(description="P0 to P3.")
    mode: str = Field(description="audit or enforce.")
    safety: str = Field(description="Safety class of the control.")
    result: str = Field(description="Result that counts.")
    actual: str = Field("", description="Result behind a waiver.")
    reason: str = Field(description="One CamelCase word.")
    message: str = Field("", description="What and where.", max_length=1024)
    expected: str = Field("", description="What should have been seen.", max_length=512)
    observed: str = Field("", description="What was seen.", max_length=512)
    fix: str = Field("", description="What to do.", max_length=1024)
    subject: str = Field("", description="The object that was judged.", max_length=512)
    via: str = Field("", description="Hops the evidence came by.", max_length=512)
    confidence: str = Field("", description="How many looks agree.")
    marks: Annotated[tuple[str, ...], *atomic()] = Field(
        (), description="PreviousRevision and the like."
    )
    since: Timestamp = Field(description="When this result first stood.")
    max_age: str = Field("", description="How old its evidence may grow.")
    evidence: str = Field("", description="Redacted excerpt of what was seen.", max_length=512)


class ReportBody(Schema):
    """Every finding of one target."""

    policy: str = Field(description="Name of the policy.")
    target: str = Field(description="Name of the target.")
    compliant: str = Field(description="True, False or Unknown.")
    fail: int = Field(0, description="Number of findings that fail.")
    unknown: int = Field(0, description="Number of findings that are unproven.")
    workload: str = Field("", description="Kind/name of the workload.")
    image_digest: str = Field("", description="Digest of the image that was judged.")
    template_hash: str = Field("", description="Hash of the pod template that was judged.")
    operator_version: str = Field("", description="Version that judged.")
    truncated: int = Field(0, description="Rows left out to keep the report under 256 KiB.")
    results: Annotated[tuple[ReportRow, ...], *atomic()] = Field(
        (), max_length=300, description="The findings, worst first."
    )

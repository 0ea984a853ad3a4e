"""What the operator writes back: the policy's status and the report. Read by people and gates.

Only a schema: the operator writes plain manifests. A cap here is never below the writer's, or a
verdict could not be written; `tests/test_crd.py` holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from readiness.api.backupstatus import BackupStatus
from readiness.api.formats import Timestamp
from readiness.api.texts import Glimpse, Label, ObjectKey, Reason, Sentence, Word
from readiness.api.types import Count, Flag, Schema, atomic, keyed

Tri = Literal["True", "False", "Unknown"]
Level = Literal["P0", "P1", "P2", "P3"]
Outcome = Literal["Pass", "Fail", "Unknown", "OptInRequired", "Blocked", "NotApplicable", "Waived"]
Class = Literal["passive", "benign", "adversarial", "mutating", "drill", "disruptive", "load"]


class Condition(Schema):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Type of the condition.")
    status: Tri = Field(description="True, False or Unknown.")
    reason: Reason = Field(description="One CamelCase word for programs.")
    message: Annotated[str, Field(max_length=32768)] = Field(description="A sentence for people.")
    observed_generation: Count = Field(
        0, description="Generation of the spec this was judged for.", ge=0
    )
    last_transition_time: Timestamp = Field(description="When status last changed.")


class Summary(Schema):
    """How many findings have which result."""

    total: Count = Field(0, description="All findings that count or are reported.")
    passed: Count = Field(0, alias="pass", description="Held.")
    fail: Count = Field(0, description="Did not hold.")
    unknown: Count = Field(0, description="Could not be judged.")
    opt_in_required: Count = Field(0, description="Need a safety class the policy does not allow.")
    blocked: Count = Field(0, description="A prerequisite does not hold.")
    not_applicable: Count = Field(0, description="Declared not to apply, with the reason.")
    waived: Count = Field(0, description="Do not hold, but are waived.")


class TargetStatus(Schema):
    """The verdict on one target."""

    name: Label = Field(description="Name of the target.")
    compliant: Tri = Field(description="True, False or Unknown.")
    image_digest: ObjectKey = Field("", description="Digest of the image that was judged.")
    template_hash: Word = Field("", description="Hash of the pod template that was judged.")
    report: ObjectKey = Field("", description="Name of the ReadinessReport with every finding.")
    digest: Word = Field(
        "", description="Hash of the report's findings; unchanged findings write nothing."
    )


class Failure(Schema):
    """One finding that does not hold, with everything needed to act on it."""

    id: Word = Field(description="Control.")
    target: Label = Field("", description="Target; empty for controls of the policy itself.")
    severity: Level = Field(description="P0 to P3.")
    result: Outcome = Field(description="Fail, Unknown, Blocked or OptInRequired.")
    reason: Reason = Field(description="One CamelCase word.")
    message: Sentence = Field("", description="What and where.")
    expected: Glimpse = Field("", description="What should have been seen.")
    observed: Glimpse = Field("", description="What was seen.")
    fix: Sentence = Field("", description="What to do.")
    since: Timestamp = Field(description="When this result first stood.")


class Undeclared(Schema):
    """A capability nobody declared, so its controls cannot be judged."""

    capability: Word = Field(description="What is not declared.")
    controls: Count = Field(description="How many controls wait for it.")
    fix: Sentence = Field(description="The line to add.")


class MemberStatus(Schema):
    """One member of a data service."""

    name: ObjectKey = Field(description="Its pod.")
    ready: Flag = Field(description="Whether the pod is Ready.")
    role: Word = Field("", description="What it is to the others, such as primary or replica.")
    reason: Reason = Field("", description="What its server tells of itself that is not in order.")


class Failover(Schema):
    """A primary that was followed by another."""

    at: Timestamp = Field(description="When it was seen.")
    from_: ObjectKey = Field(alias="from", description="Pod of the primary before.")
    to: ObjectKey = Field(description="Pod of the primary since.")
    cause: Word = Field(
        "",
        description="Replaced: by the operator, for another template. Stopped: its pod was deleted or evicted by somebody. "
        "HandedOver: ordered by somebody, its server runs on. Drilled: evicted by the failover drill. Crashed: its server ended. "
        "Unreachable: it did not answer.",
    )
    seconds: Count = Field(
        0,
        ge=0,
        description="For how long looks, five seconds apart, saw no primary; 0 when none did. After a drill: for how "
        "long no write was acknowledged.",
    )
    lost: Count | None = Field(
        None, ge=0, description="Acknowledged writes that were gone. Only a drill counts them."
    )


class PrimaryLoss(Schema):
    """A primary that does not answer or is about to go, while no other is there yet."""

    since: Timestamp | None = Field(None, description="When a look first missed it.")
    cause: Word = Field("", description="How it ends, as far as that is known.")


class DataServiceStatus(Schema):
    """One data service that the operator provides."""

    name: Label = Field(description="Name of the data service.")
    kind: Word = Field(
        "", description="redis, mongodb or rabbitmq; volume for one of spec.backups.volumes."
    )
    ready: Flag = Field(
        description="Whether every member is there and Ready, and nothing is wrong."
    )
    reason: Reason = Field(
        "", description="Why it is not, or what is under way, in one CamelCase word."
    )
    secret_name: ObjectKey = Field(
        "", description="Secret with everything needed to connect, as Service Binding has it."
    )
    primary: ObjectKey = Field("", description="Pod of the primary that was last seen.")
    primary_loss: PrimaryLoss | None = Field(
        None, description="Set while the primary is missed or about to go."
    )
    last_failover: Failover | None = Field(
        None, description="How the primary last changed, ordered or by itself."
    )
    lag: Word = Field(
        "", description="Whether every replica that follows is within ten seconds: <=10s or >10s."
    )
    backup: BackupStatus | None = Field(None, description="Its backups, once a run has ended.")
    members: Annotated[tuple[MemberStatus, ...], *atomic()] = Field(
        (), max_length=16, description="Its members, by pod."
    )


class PolicyStatus(Schema):
    """The verdict."""

    observed_generation: Count = Field(
        0, description="Generation of the spec this status was made for."
    )
    level: Literal["", "P0", "P1", "P2", "P3"] = Field(
        "",
        description="Highest of P0 to P3 whose controls, and all above, hold; empty when P0 does not.",
    )
    coverage: Word = Field("", description="Judged findings of all applicable ones.")
    valid_until: Timestamp | None = Field(
        None, description="Past this time the verdict must not be trusted: nobody renewed it."
    )
    last_run_at: ObjectKey = Field(
        "", description="Value of readiness.dev/run-at that was last honoured."
    )
    summary: Summary = Field(Summary(), description="Counts of results.")
    targets: Annotated[tuple[TargetStatus, ...], *keyed("name")] = Field(
        (), max_length=50, description="One row per target."
    )
    failures: Annotated[tuple[Failure, ...], *atomic()] = Field(
        (), max_length=40, description="What does not hold, worst first, at most 40."
    )
    truncated: Count = Field(0, description="How many failures did not fit.")
    undeclared: Annotated[tuple[Undeclared, ...], *atomic()] = Field(
        (), max_length=40, description="Capabilities to declare, one row each."
    )
    data_services: Annotated[tuple[DataServiceStatus, ...], *keyed("name")] = Field(
        (), max_length=32, description="One row per data service that the operator provides."
    )
    conditions: Annotated[tuple[Condition, ...], *keyed("type")] = Field(
        (),
        max_length=16,
        description="Accepted, Ready, Reconciling, Stalled, Compliant and its parts.",
    )


class ReportRow(Schema):
    """One finding with its evidence."""

    id: Word = Field(description="Control.")
    target: Label = Field("", description="Target; empty for controls of the policy itself.")
    severity: Level = Field(description="P0 to P3.")
    mode: Literal["off", "audit", "enforce"] = Field(description="audit or enforce.")
    safety: Class = Field(description="Safety class of the control.")
    result: Outcome = Field(description="Result that counts.")
    actual: Outcome | None = Field(None, description="Result behind a waiver.")
    reason: Reason = Field(description="One CamelCase word.")
    message: Sentence = Field("", description="What and where.")
    expected: Glimpse = Field("", description="What should have been seen.")
    observed: Glimpse = Field("", description="What was seen.")
    fix: Sentence = Field("", description="What to do.")
    subject: Glimpse = Field("", description="The object that was judged.")
    via: Glimpse = Field("", description="Hops the evidence came by.")
    confidence: Word = Field("", description="How many looks agree.")
    marks: Annotated[tuple[Word, ...], *atomic()] = Field(
        (), max_length=8, description="PreviousRevision and the like."
    )
    since: Timestamp = Field(description="When this result first stood.")
    drilled_at: Timestamp | None = Field(
        None, description="When a drill last looked; it is not repeated before its maxAge."
    )
    revised_at: Timestamp | None = Field(
        None,
        description="When the workload changed, after which the result of before stands for 30 minutes.",
    )
    max_age: Word = Field("", description="How old its evidence may grow.")
    evidence: Glimpse = Field("", description="Redacted excerpt of what was seen.")


class ReportBody(Schema):
    """Every finding of one target."""

    policy: ObjectKey = Field(description="Name of the policy.")
    target: Label = Field(description="Name of the target.")
    compliant: Tri = Field(description="True, False or Unknown.")
    fail: Count = Field(0, description="Number of findings that fail.")
    unknown: Count = Field(0, description="Number of findings that are unproven.")
    workload: ObjectKey = Field("", description="Kind/name of the workload.")
    image_digest: ObjectKey = Field("", description="Digest of the image that was judged.")
    template_hash: Word = Field("", description="Hash of the pod template that was judged.")
    operator_version: Word = Field("", description="Version that judged.")
    truncated: Count = Field(0, description="Rows left out to keep the report under 256 KiB.")
    results: Annotated[tuple[ReportRow, ...], *atomic()] = Field(
        (), max_length=300, description="The findings, worst first."
    )

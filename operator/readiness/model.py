"""The nouns every other module speaks: results, severities, verdicts and findings.

Frozen values only. This module knows no Kubernetes object, no HTTP and no policy schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object as plain data, shaped exactly like its YAML."""


class Result(StrEnum):
    """What a control concluded. Only Pass, Waived and NotApplicable hold; missing data never does."""

    PASS = "Pass"
    FAIL = "Fail"
    UNKNOWN = "Unknown"
    OPT_IN_REQUIRED = "OptInRequired"
    BLOCKED = "Blocked"
    NOT_APPLICABLE = "NotApplicable"
    WAIVED = "Waived"

    @property
    def holds(self) -> bool:
        """Whether a requirement with this result counts as met."""
        return self in (Result.PASS, Result.WAIVED, Result.NOT_APPLICABLE)


class Severity(StrEnum):
    """How much a control matters. P0 before launch, P3 when there is time."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Mode(StrEnum):
    """Whether a control is looked at, reported, or counted in the verdict."""

    OFF = "off"
    AUDIT = "audit"
    ENFORCE = "enforce"


class Safety(StrEnum):
    """What a control does to the system it looks at. All but the first two need opting in."""

    PASSIVE = "passive"
    BENIGN = "benign"
    ADVERSARIAL = "adversarial"
    MUTATING = "mutating"
    DRILL = "drill"
    DISRUPTIVE = "disruptive"
    LOAD = "load"

    @property
    def drills(self) -> bool:
        """Whether something is started, or disturbed, on purpose and watched."""
        return self in (Safety.DRILL, Safety.DISRUPTIVE)

    @property
    def needs_opt_in(self) -> bool:
        """Whether a policy must list this class in `spec.safety.allow` first."""
        return self not in (Safety.PASSIVE, Safety.BENIGN)


class Outcome(StrEnum):
    """How an exchange ended, from the prober's side."""

    RESPONSE = "response"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    DENIED = "denied"
    MALFORMED = "malformed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look at one subject concluded, before it is weighed against policy and waivers.

    `message` says what and where in one sentence; `fix` says what to type or change.
    None of the texts may hold a value that moves by itself (a clock, an uptime, a latency):
    a repeated look that sees the same must produce an equal verdict, or it causes a write.
    `evidence` is the exception: it is kept from the look that changed the verdict.
    """

    result: Result
    reason: str
    message: str
    expected: str = ""
    observed: str = ""
    fix: str = ""
    where: str = ""
    via: str = ""
    confidence: str = ""
    evidence: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict in its place: control × target, weighed by the policy, the floors and the waivers."""

    id: str
    target: str
    severity: Severity
    mode: Mode
    safety: Safety
    verdict: Verdict
    counts: bool = True
    actual: Result | None = None
    capability: str = ""
    waiver: str = ""
    marks: tuple[str, ...] = ()

    @property
    def result(self) -> Result:
        """The result that counts (Waived when a waiver covers a result that does not hold)."""
        return self.verdict.result

    @property
    def holds(self) -> bool:
        """Whether the requirement counts as met."""
        return self.verdict.result.holds


Params = Mapping[str, Any]
"""A control's effective parameters: its defaults, overlaid by profile and policy."""

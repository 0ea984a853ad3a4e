"""What a policy lets controls do to the system they look at, and what its namespace refuses.

Looking and harmless requests need no consent; every other class is named in `spec.safety.allow`.
Pure; it knows no evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from readiness.control import Control, unknown
from readiness.model import Result, Safety, Verdict
from readiness.naming import DENY
from readiness.snapshot import Snapshot

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec


def allows(policy: PolicySpec, safety: Safety) -> bool:
    """Whether controls of this class may run."""
    return not safety.needs_opt_in or safety in policy.safety.allow


def not_allowed(control: Control) -> Verdict:
    """The verdict on a control whose class the policy does not allow, with the line that would."""
    return Verdict(
        Result.OPT_IN_REQUIRED, "OptInRequired",
        f"{control.id} is of class {control.safety}, which spec.safety.allow does not name",
        fix=f"add to the policy's spec: safety: {{allow: [{control.safety}]}}",
    )  # fmt: skip


def denied(control: Control, snapshot: Snapshot) -> Verdict | None:
    """Why the namespace refuses what a control asks. A word that is not known refuses everything."""
    what = snapshot.namespace_labels.get(DENY)
    if what is None or (what == "drills" and control.safety is not Safety.DRILL):
        return None
    return unknown(
        "DrillsDenied" if what == "drills" else "ProbesDenied",
        f"namespace {snapshot.namespace} carries the label {DENY}: {what}",
        fix=f"kubectl label namespace {snapshot.namespace} {DENY}-",
    )

"""What a pipeline may conclude from a policy's status: the exit code, and the words for it.

Pure. It trusts a verdict only for the generation in hand and until `validUntil`; past that nobody
has renewed it, so it says nothing. Argo CD's health follows the same table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from readiness.model import Manifest, Result, Severity
from readiness.waivers import epoch

Goal = Literal["compliant", "ready"]
MET: Final = 0
NOT_MET: Final = 1
UNPROVEN: Final = 3
_CODES: Final = {"True": MET, "False": NOT_MET}


@dataclass(frozen=True, slots=True)
class Decision:
    """The exit code and what led to it. `fix` is empty when there is nothing to do."""

    code: int
    message: str
    fix: str = ""


def condition_of(policy: Manifest, type_: str) -> Manifest:
    """A condition of the status, or empty."""
    rows: Iterable[Manifest] = (policy.get("status") or {}).get("conditions") or ()
    return next((row for row in rows if row.get("type") == type_), {})


def gate_of(
    policy: Manifest, now: float, *, strict: bool = False, level: Severity | None = None
) -> Decision:
    """The decision of `readiness gate`: under audit the verdict is told and does not count.

    With a level, reaching it is the verdict, and `Compliant` is not asked.
    """
    told = _reached(policy, level) if level else _told(policy, "Compliant")
    judged = _untrusted(policy, now) or told
    enforced = strict or policy["spec"].get("enforcement", "audit") == "enforce"
    if enforced or judged.code == MET:
        return judged
    text = f"{judged.message} (spec.enforcement is audit, so this does not count)"
    return Decision(MET, text, judged.fix)


def verdict_of(policy: Manifest, now: float) -> Decision:
    """The verdict itself, whatever the enforcement."""
    return _untrusted(policy, now) or _told(policy, "Compliant")


def awaited_of(policy: Manifest | None, now: float, goal: Goal) -> Decision:
    """The decision of `readiness wait`: met, or how it stands now. None: there is no policy yet."""
    if policy is None:
        return Decision(UNPROVEN, "there is no such policy yet", "kubectl apply it")
    if goal == "compliant":
        return verdict_of(policy, now)
    return _unseen(policy) or _told(policy, "Ready")


def _told(policy: Manifest, type_: str) -> Decision:
    found = condition_of(policy, type_)
    status, reason = found.get("status", "Unknown"), found.get("reason", "NoCondition")
    text = f"{type_} is {status} ({reason}): {found.get('message') or 'no message'}"
    fix = "" if status == "True" else _report(policy)
    return Decision(_CODES.get(status, UNPROVEN), text, fix)


def _report(policy: Manifest) -> str:
    meta = policy["metadata"]
    return f"readiness report {meta['name']} -n {meta.get('namespace', 'default')}"


def _reached(policy: Manifest, level: Severity) -> Decision:
    """Whether `status.level` is at least this one; if not, what stands between them decides."""
    status, told = policy.get("status") or {}, _told(policy, "Compliant")
    reached = status.get("level") or ""
    text = f"level {level} is asked, {reached or 'none'} is reached"
    if reached >= level:
        return Decision(MET, text)
    rows = [row for row in status.get("failures") or () if reached < row["severity"] <= level]
    failing = sum(row["result"] == Result.FAIL for row in rows)
    why = f"{len(rows)} findings are unproven" if rows else told.message
    if failing:
        why = f"{failing} findings fail"
    return Decision(NOT_MET if failing else UNPROVEN, f"{text}: {why}", _report(policy))


def _untrusted(policy: Manifest, now: float) -> Decision | None:
    return _unseen(policy) or _expired(policy, now)


def _unseen(policy: Manifest) -> Decision | None:
    seen = (policy.get("status") or {}).get("observedGeneration", 0)
    generation = policy["metadata"].get("generation", 0)
    if not seen or not condition_of(policy, "Compliant"):
        return Decision(
            UNPROVEN,
            "the policy has not been judged yet",
            "is the operator running? kubectl -n readiness-system get pods",
        )
    if seen < generation:
        return Decision(
            UNPROVEN,
            f"the verdict is for generation {seen}, the policy is at {generation}",
            "wait until the operator has seen the change: readiness wait",
        )
    return None


def _expired(policy: Manifest, now: float) -> Decision | None:
    until = (policy.get("status") or {}).get("validUntil")
    accepted = condition_of(policy, "Accepted").get("status")
    if not until and accepted == "False":
        return None  # a refused spec carries no verdict; its condition says why
    try:
        if until and epoch(until) > now:
            return None
    except ValueError:
        pass
    return Decision(
        UNPROVEN,
        f"the verdict was valid until {until or 'never'}; nobody has renewed it",
        "is the operator running, or spec.suspend set? kubectl -n readiness-system get pods",
    )

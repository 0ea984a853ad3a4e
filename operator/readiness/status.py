"""Findings into the status: conditions, level, counts, the worst failures. Bounded and stable.

Nothing moves by itself: two passes that see the same make equal statuses. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from readiness.api import InvalidSpecError
from readiness.conditions import (
    Condition,
    conditions_of,
    event_of,
    refused_conditions,
    suspended_conditions,
)
from readiness.control import declaration
from readiness.dataservices.provision import Provision
from readiness.dataservices.telling import service_row
from readiness.evidence import RUN
from readiness.judgement import Ground
from readiness.model import Finding, Manifest, Result, Severity
from readiness.naming import run_at
from readiness.redact import clean
from readiness.snapshot import Provided
from readiness.waivers import epoch
from readiness.weigh import ProfileNotFoundError

VALID_SECONDS: Final = 86400.0
RENEW_BELOW: Final = VALID_SECONDS / 2
FAILURES: Final = 40
FAILURE_BYTES: Final = 16_000
_WORST: Final = (
    Result.FAIL, Result.UNKNOWN, Result.BLOCKED, Result.OPT_IN_REQUIRED, Result.WAIVED,
    Result.NOT_APPLICABLE, Result.PASS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """An event about a transition."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The policy with the status it has now: what "unchanged" is measured against."""

    policy: Manifest
    now: float

    @property
    def status(self) -> Manifest:
        """The status as last written, or empty."""
        found: Manifest = self.policy.get("status") or {}
        return found

    @property
    def generation(self) -> int:
        """Generation of the spec in hand."""
        return int(self.policy["metadata"].get("generation", 0))

    def condition(self, type_: str) -> Manifest:
        """A condition as last written, or empty."""
        rows: Iterable[Manifest] = self.status.get("conditions") or ()
        return next((c for c in rows if c.get("type") == type_), {})


@lru_cache(maxsize=64)  # every finding of a pass asks for the same
def timestamp(now: float) -> str:
    """Epoch seconds → RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rank(finding: Finding) -> tuple[str, int, str, str]:
    """Worst first: severity, result, id, target."""
    return finding.severity, _WORST.index(finding.result), finding.id, finding.target


def status_of(
    standing: Standing, ground: Ground, findings: Sequence[Finding], targets: Sequence[Manifest],
    provision: Provision,
) -> Manifest:  # fmt: skip
    """The whole status for a judged policy. `targets` are the rows that name the reports."""
    shown = [f for f in findings if not f.capability or f.result is Result.OPT_IN_REQUIRED]
    failures = sorted((f for f in shown if not f.holds and not f.capability), key=rank)
    rows = _failure_rows(standing, failures)
    services = _services(standing, provision, ground.snapshot.provided)
    told: Manifest = {
        "observedGeneration": standing.generation,
        "level": level_of(findings),
        "coverage": _coverage(findings),
        "validUntil": _valid_until(standing, ground, findings),
        "summary": _summary(shown),
        "targets": list(targets),
        "failures": rows,
        "truncated": max(0, len(_collapsed(failures)) - len(rows)),
        "undeclared": _undeclared(findings),
        "conditions": _written(standing, conditions_of(ground, findings, provision, services)),
    }
    if services:
        told["dataServices"] = services
    honoured = _run_at(standing, ground)
    return told | ({"lastRunAt": honoured} if honoured else {})


def refused(standing: Standing, error: InvalidSpecError | ProfileNotFoundError) -> Manifest:
    """The status of a spec that cannot be judged; of what was known, only the reports' names survive."""
    if isinstance(error, InvalidSpecError):
        rows = error.problems[:5]
        reason, text = "InvalidSpec", "; ".join(f"{path}: {message}" for path, message in rows)
    else:
        reason, text = "ProfileNotFound", str(error)
    conditions = _written(standing, refused_conditions(reason, text))
    told = {"observedGeneration": standing.generation, "level": "", "conditions": conditions}
    old = [row for row in standing.status.get("targets") or () if row.get("report")]
    known = [{"name": r["name"], "compliant": "Unknown", "report": r["report"]} for r in old]
    return told | ({"targets": known} if known else {})


def suspended(standing: Standing) -> Manifest:
    """The last status, saying that nobody looks any more; validUntil is not renewed."""
    old = {k: v for k, v in standing.status.items() if k != "conditions"}
    known = {c["type"]: c for c in standing.status.get("conditions") or ()}
    conditions = _written(standing, suspended_conditions(known))
    return {**old, "observedGeneration": standing.generation, "conditions": conditions}


def level_of(findings: Iterable[Finding]) -> str:
    """The highest severity whose counting findings, and all above, hold; empty when P0 does not."""
    counting = [f for f in findings if f.counts]
    level = ""
    for severity in Severity if counting else ():
        if not all(f.holds for f in counting if f.severity == severity):
            break
        level = severity.value
    return level


def notes_of(standing: Standing, told: Manifest) -> tuple[Note, ...]:
    """At most one event for the verdict, or the refusal of a spec, one for data services, and one for what drills left."""
    found = ((event_of(standing.condition(c["type"]), c), c) for c in told["conditions"])
    return tuple(Note(type_, c["reason"], c["message"]) for type_, c in found if type_)


def renewal_of(told: Manifest, now: float) -> float:
    """When validUntil will have less than half left, as epoch seconds."""
    return max(epoch(told["validUntil"]) - RENEW_BELOW, now + 1)


def _services(standing: Standing, provision: Provision, seen: Provided) -> list[Manifest]:
    old = {row["name"]: row for row in standing.status.get("dataServices") or ()}
    now = timestamp(standing.now)
    return [service_row(each, old.get(each.name, {}), seen, now) for each in provision.services]


def _valid_until(standing: Standing, ground: Ground, findings: Sequence[Finding]) -> str:
    used = {f.waiver for f in findings if f.waiver}
    limit = min([w.expires for w in ground.waivers if w.name in used], default=float("inf"))
    old = standing.status.get("validUntil")
    if old and ground.now + RENEW_BELOW < epoch(old) <= min(ground.now + VALID_SECONDS, limit):
        return str(old)
    if old and limit < ground.now + RENEW_BELOW and epoch(old) == int(limit):
        return str(old)
    return timestamp(min(ground.now + VALID_SECONDS, limit))


def _summary(findings: Sequence[Finding]) -> Manifest:
    counts = Counter(f.result for f in findings)
    names = {
        "pass": Result.PASS, "fail": Result.FAIL, "unknown": Result.UNKNOWN,
        "optInRequired": Result.OPT_IN_REQUIRED, "blocked": Result.BLOCKED,
        "notApplicable": Result.NOT_APPLICABLE, "waived": Result.WAIVED,
    }  # fmt: skip
    return {"total": len(findings), **{name: counts[result] for name, result in names.items()}}


def _coverage(findings: Sequence[Finding]) -> str:
    judged = sum(f.result in (Result.PASS, Result.FAIL, Result.WAIVED) for f in findings)
    return f"{judged}/{sum(f.result is not Result.NOT_APPLICABLE for f in findings)}"


def _collapsed(failures: Sequence[Finding]) -> list[tuple[Finding, int]]:
    """One row for a missing target instead of one per control that waits for it."""
    absent = [f for f in failures if f.verdict.reason == "TargetNotFound"]
    rows = [(f, 0) for f in failures if f.verdict.reason != "TargetNotFound"]
    for target in dict.fromkeys(f.target for f in absent):
        waiting = [f for f in absent if f.target == target]
        rows.append((waiting[0], len(waiting)))
    return rows


def _failure_rows(standing: Standing, failures: Sequence[Finding]) -> list[Manifest]:
    old: Mapping[tuple[str, ...], str] = {
        (r["id"], r.get("target", ""), r["result"], r["reason"]): r["since"]
        for r in standing.status.get("failures") or ()
    }
    rows: list[Manifest] = []
    room = FAILURE_BYTES
    for finding, waiting in _collapsed(failures)[:FAILURES]:
        row = _failure(finding, waiting)
        key = (row["id"], row.get("target", ""), row["result"], row["reason"])
        row["since"] = old.get(key) or timestamp(standing.now)
        room -= sum(len(str(v).encode()) for v in row.values()) + 120
        if room < 0:
            break
        rows.append(row)
    return rows


def _failure(finding: Finding, waiting: int) -> Manifest:
    seen = finding.verdict
    message = f"{seen.message} ({waiting} controls wait for it)" if waiting else seen.message
    row = {
        "id": "*" if waiting else finding.id,
        "target": finding.target,
        "severity": finding.severity.value,
        "result": seen.result.value,
        "reason": seen.reason,
        "message": clean(message, 400),
        "expected": clean(seen.expected, 200),
        "observed": clean(seen.observed, 200),
        "fix": clean(seen.fix, 400),
    }
    return {k: v for k, v in row.items() if v}


def _undeclared(findings: Sequence[Finding]) -> list[Manifest]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.capability:
            grouped.setdefault(finding.capability, []).append(finding)
    return [
        {
            "capability": capability,
            "controls": len({f.id for f in rows}),
            "fix": _remedy(capability, rows),
        }
        for capability, rows in sorted(grouped.items())
    ][:FAILURES]


def _remedy(capability: str, rows: Sequence[Finding]) -> str:
    if rows[0].verdict.reason != "NotDeclared":
        return rows[0].verdict.fix
    if capability.startswith("spec."):
        return f"declare {declaration(capability)}"
    targets = ", ".join(sorted({f.target for f in rows})[:5])
    return f"declare {declaration(capability)} on spec.targets: {targets}"


def _run_at(standing: Standing, ground: Ground) -> str:
    """The run-at value that has been honoured: every look is younger than when it was first seen."""
    asked = run_at(standing.policy["metadata"].get("annotations"))
    old = str(standing.status.get("lastRunAt", ""))
    mark = ground.memory.get(RUN)
    if not asked or asked == old or mark is None:
        return old
    done = all(k == RUN or look.at >= mark.at for k, look in ground.memory.items())
    return asked if done else old


def _written(standing: Standing, conditions: Iterable[Condition]) -> list[Manifest]:
    """metav1.Conditions; lastTransitionTime moves only when status does."""
    rows = []
    for condition in conditions:
        old = standing.condition(condition.type)
        kept = old.get("lastTransitionTime") if old.get("status") == condition.status else None
        rows.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": clean(condition.message, 1024),
                "observedGeneration": standing.generation,
                "lastTransitionTime": kept or timestamp(standing.now),
            }
        )
    return rows

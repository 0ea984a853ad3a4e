"""Reports: every finding of one target as an object, bounded to 256 KiB, written only on change.

A report is never read to compare: the status row of its target holds the digest of what it says.
Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from readiness import __version__, naming
from readiness.conditions import compliance_of
from readiness.control import Subject
from readiness.judgement import Ground
from readiness.model import Finding, Manifest, Result
from readiness.redact import clean
from readiness.status import Standing, rank, timestamp

LIMIT_BYTES: Final = 250_000
ROWS: Final = 300
_CAPS: Final = {
    "message": 1024,
    "expected": 512,
    "observed": 512,
    "fix": 1024,
    "subject": 512,
    "via": 512,
}
_MOVING: Final = ("since", "evidence")


@dataclass(frozen=True, slots=True)
class Reports:
    """Status rows of all targets, the reports that differ, and those of targets that left."""

    rows: tuple[Manifest, ...]
    changed: tuple[Manifest, ...]
    stale: tuple[str, ...]


def reports_of(standing: Standing, ground: Ground, findings: Sequence[Finding]) -> Reports:
    """One report per target, and per data service that something is asked of; findings of the policy itself stand in each."""
    old = {row["name"]: row for row in standing.status.get("targets") or ()}
    rows, changed = [], []
    for name, subject in ground.subjects.items():
        if subject.store and not any(f.target == name for f in findings):
            continue
        mine = sorted(
            (f for f in findings if f.target in (name, "") and not f.capability), key=rank
        )
        body = _body(standing, ground, name, mine)
        row = _row(ground, name, body)
        if row.get("digest") != old.get(name, {}).get("digest"):
            changed.append(_report(standing, ground, name, body))
        rows.append(row)
    gone = (
        old[name].get("report", "") for name in sorted(old.keys() - {row["name"] for row in rows})
    )
    return Reports(tuple(rows), tuple(changed), tuple(name for name in gone if name))


def _body(standing: Standing, ground: Ground, name: str, findings: Sequence[Finding]) -> Manifest:
    subject = ground.subjects[name]
    digest, template = ground.revisions[name]
    rows = _bounded([_finding_row(standing, ground, f) for f in findings[:ROWS]])
    body = {
        "policy": ground.name,
        "target": name,
        "compliant": compliance_of(ground, findings).status,
        "fail": sum(f.result is Result.FAIL for f in findings),
        "unknown": sum(not f.holds and f.result is not Result.FAIL for f in findings),
        "workload": _judged(subject),
        "imageDigest": digest,
        "templateHash": template,
        "operatorVersion": __version__,
        "truncated": len(findings) - len(rows),
        "results": rows,
    }
    return {k: v for k, v in body.items() if v not in ("", None)}


def _judged(subject: Subject) -> str:
    if subject.store is not None:
        return f"DataService/{subject.store.name}"
    return f"{subject.target.workload_ref.kind}/{subject.target.workload_ref.name}"


def _bounded(rows: list[Manifest]) -> list[Manifest]:
    """The first that fit; they are weighed one by one only where all together are too much."""
    if len(json.dumps(rows, ensure_ascii=False).encode()) <= LIMIT_BYTES:
        return rows
    weights = (len(json.dumps(row, ensure_ascii=False).encode()) for row in rows)
    return [
        row for row, total in zip(rows, accumulate(weights), strict=True) if total <= LIMIT_BYTES
    ]


def _finding_row(standing: Standing, ground: Ground, finding: Finding) -> Manifest:
    seen, setting = finding.verdict, ground.settings[finding.id]
    row = {
        "id": finding.id,
        "target": finding.target,
        "severity": finding.severity.value,
        "mode": finding.mode.value,
        "safety": finding.safety.value,
        "result": seen.result.value,
        "actual": finding.actual.value if finding.actual else "",
        "reason": seen.reason,
        "message": seen.message,
        "expected": seen.expected,
        "observed": seen.observed,
        "fix": "" if finding.result is Result.PASS else seen.fix,
        "subject": seen.where,
        "via": seen.via,
        "confidence": seen.confidence,
        "marks": list(finding.marks),
        "since": _since(standing, finding),
        **_times(ground, finding),
        "maxAge": f"{setting.max_age:g}s",
        "evidence": clean(seen.evidence, 512),
    }
    return {k: clean(str(v), _CAPS[k]) if k in _CAPS else v for k, v in row.items() if v}


def _times(ground: Ground, finding: Finding) -> dict[str, str]:
    """Drills are rare enough to be written down, so that a restart repeats none that is fresh.

    When the template changed is told with what stands from before: a restart is no new half hour.
    """
    look = ground.memory.get((finding.id, finding.target))
    if look is None or look.standing is None:
        return {}
    drilled = timestamp(look.at) if finding.safety.drills else ""
    return {"drilledAt": drilled, "revisedAt": timestamp(look.revised_at) if finding.marks else ""}


def _since(standing: Standing, finding: Finding) -> str:
    key = (finding.id, finding.target, finding.result.value, finding.verdict.reason)
    for row in standing.status.get("failures") or ():
        if key == (row["id"], row.get("target", ""), row["result"], row["reason"]):
            return str(row["since"])
    return timestamp(standing.now)


def _row(ground: Ground, name: str, body: Manifest) -> Manifest:
    said = {
        **body,
        "results": [{k: v for k, v in r.items() if k not in _MOVING} for r in body["results"]],
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    row = {
        "name": name,
        "compliant": body["compliant"],
        "imageDigest": body.get("imageDigest", ""),
        "templateHash": body.get("templateHash", ""),
        "report": naming.report(ground.name, name),
        "digest": hashlib.sha256(text.encode()).hexdigest()[:16],
    }
    return {k: v for k, v in row.items() if v}


def _report(standing: Standing, ground: Ground, name: str, body: Manifest) -> Manifest:
    meta = standing.policy["metadata"]
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "ReadinessReport",
        "metadata": {
            "name": naming.report(ground.name, name),
            "namespace": meta.get("namespace", ""),
            "labels": naming.labels(ground.name, name),
            "ownerReferences": [naming.owner(meta["name"], meta.get("uid", ""))],
        },
        "report": body,
    }

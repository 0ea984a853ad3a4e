"""What the cluster was told by the operator, as rows: failures of a status, results of reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from readiness.model import Manifest, Mode, Result, Severity
from readiness.output.sheet import Row


def failures_of(policy: Manifest) -> Iterator[Row]:
    """The rows of `status.failures`: what does not hold, worst first, at most forty."""
    for failure in (policy.get("status") or {}).get("failures") or ():
        yield _row(failure, policy["metadata"].get("namespace", ""), failure.get("target", ""))


def results_of(reports: Iterable[Manifest], target: str = "") -> Iterator[Row]:
    """The rows of reports. Findings of the policy itself stand in each; they come once, at the end."""
    own: dict[str, Row] = {}
    for report in sorted(reports, key=lambda r: str(r["metadata"]["name"])):
        body, namespace = report["report"], report["metadata"]["namespace"]
        if target and body["target"] != target:
            continue
        for row in body.get("results") or ():
            if row.get("target"):
                yield _row(row, namespace, body.get("workload", ""))
            else:
                own[row["id"]] = _row(row, namespace, f"ReadinessPolicy/{body['policy']}")
    yield from own.values()


def _row(found: Manifest, namespace: str, subject: str) -> Row:
    return Row(
        found["id"], found.get("target", ""), Result(found["result"]), Severity(found["severity"]),
        found["reason"], found.get("message", ""), found.get("expected", ""),
        found.get("observed", ""), found.get("fix", ""), namespace, subject,
        counts=found.get("mode", Mode.ENFORCE.value) == Mode.ENFORCE.value,
    )  # fmt: skip

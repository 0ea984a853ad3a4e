"""What a command has to show: rows of findings with their summary, the same for every format.

Pure values. A row knows the file and line of what was judged, where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from readiness.model import Result, Severity


class Outcome(IntEnum):
    """What the findings amount to, as the exit code of a command."""

    MET = 0
    NOT_MET = 1
    USAGE = 2
    UNPROVEN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. `subject` is what people know it by, `Deployment/checkout`."""

    id: str
    target: str
    result: Result
    severity: Severity
    reason: str
    message: str
    expected: str = ""
    observed: str = ""
    fix: str = ""
    namespace: str = ""
    subject: str = ""
    file: str = ""
    line: int = 0
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """What a format may say about a control."""

    title: str
    criterion: str
    fix: str
    severity: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Findings with what stands around them. `extra` are further numbers of the summary."""

    rows: tuple[Row, ...]
    fail_on: Severity = Severity.P1
    rules: Mapping[str, Rule] = field(default_factory=dict)
    extra: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    version: str = ""
    told: Outcome | None = None

    @property
    def outcome(self) -> Outcome:
        """Met unless a counting finding at `fail_on` or above fails or is unproven.

        `told` wins: a status may know more than its rows.
        """
        return outcome_of(self.rows, self.fail_on) if self.told is None else self.told


@dataclass(frozen=True, slots=True)
class Style:
    """How text for people is set: `width` columns, colours or none, every row or the open ones."""

    width: int = 100
    colour: bool = False
    verbose: bool = False


OUTCOME_COLOURS: Final = {Outcome.MET: "32", Outcome.NOT_MET: "31", Outcome.UNPROVEN: "33"}
WORST: Final = (
    Result.FAIL, Result.UNKNOWN, Result.BLOCKED, Result.OPT_IN_REQUIRED, Result.WAIVED,
    Result.NOT_APPLICABLE, Result.PASS,
)  # fmt: skip
_KEYS: Final = {
    Result.PASS: "pass", Result.FAIL: "fail", Result.UNKNOWN: "unknown",
    Result.OPT_IN_REQUIRED: "optInRequired", Result.BLOCKED: "blocked",
    Result.NOT_APPLICABLE: "notApplicable", Result.WAIVED: "waived",
}  # fmt: skip


def outcome_of(rows: Sequence[Row], fail_on: Severity) -> Outcome:
    """The exit code: a failure wins over what is unproven; nothing judged proves nothing."""
    counting = [r for r in rows if r.counts]
    open_ = [r for r in counting if r.severity <= fail_on and not r.result.holds]
    if any(r.result is Result.FAIL for r in open_):
        return Outcome.NOT_MET
    judged = any(r.target for r in counting)
    return Outcome.MET if judged and not open_ else Outcome.UNPROVEN


def rank(row: Row) -> tuple[str, int, str]:
    """Worst first: severity, result, id."""
    return row.severity, WORST.index(row.result), row.id


def summary_of(sheet: Sheet) -> dict[str, Any]:
    """Counts of results under the names the API uses, and the outcome in a word."""
    counts = Counter(row.result for row in sheet.rows)
    word = {Outcome.MET: "Met", Outcome.NOT_MET: "NotMet", Outcome.UNPROVEN: "Unproven"}
    return {
        "total": len(sheet.rows),
        **{name: counts[result] for result, name in _KEYS.items()},
        **sheet.extra,
        "failOn": sheet.fail_on.value,
        "verdict": word[sheet.outcome],
    }


def data_of(sheet: Sheet) -> dict[str, Any]:
    """The sheet as plain data: what `-o json` and `-o yaml` print."""
    return {"findings": [_finding(row) for row in sheet.rows], "summary": summary_of(sheet)}


def _finding(row: Row) -> dict[str, Any]:
    always = {
        "id": row.id, "target": row.target, "result": row.result.value,
        "severity": row.severity.value, "reason": row.reason, "message": row.message,
    }  # fmt: skip
    maybe = {
        "expected": row.expected, "observed": row.observed, "fix": row.fix, "subject": row.subject,
        "namespace": row.namespace, "file": row.file, "line": row.line,
    }  # fmt: skip
    return {**always, **{k: v for k, v in maybe.items() if v}, "counts": row.counts}

"""SARIF 2.1.0, for code scanning: what does not hold, with rules, places and suppressions.

Passing controls are left out: a scanner's list is a list of problems.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from readiness.model import Result, Severity
from readiness.output.sheet import Row, Rule, Sheet, Style

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
HOME: Final = "https://readiness.dev"
_LEVELS: Final = {
    Severity.P0: "error",
    Severity.P1: "error",
    Severity.P2: "warning",
    Severity.P3: "note",
}


def render(sheet: Sheet, style: Style) -> str:
    """A log with one run."""
    shown = [row for row in sheet.rows if not row.result.holds or row.result is Result.WAIVED]
    ids = sorted({row.id for row in shown})
    driver = {
        "name": "readiness",
        "informationUri": HOME,
        "version": sheet.version,
        "rules": [_rule(id_, sheet.rules.get(id_)) for id_ in ids],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(row, ids.index(row.id)) for row in shown],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(id_: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": id_}
    level = _LEVELS[Severity(rule.severity)]
    return {
        "id": id_,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.criterion},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["production-readiness", rule.severity]},
    }


def _result(row: Row, index: int) -> dict[str, Any]:
    failed = row.result in (Result.FAIL, Result.WAIVED)
    details = (("Expected", row.expected), ("Observed", row.observed), ("Fix", row.fix))
    text = "\n".join([f"{row.message}.", *(f"{name}: {value}" for name, value in details if value)])
    found: dict[str, Any] = {
        "ruleId": row.id,
        "ruleIndex": index,
        "kind": "fail" if failed else "open",
        "level": _LEVELS[row.severity] if failed else "none",
        "message": {"text": text},
        "locations": [_location(row)],
        "partialFingerprints": {
            "readiness/v1": "/".join((row.id, row.namespace, row.subject or row.target, row.reason))
        },
    }
    if row.result is Result.WAIVED:
        found["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": row.message}
        ]
    return found


def _location(row: Row) -> dict[str, Any]:
    name = "/".join(part for part in (row.namespace, row.subject or row.target) if part)
    found: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name or "policy"}]}
    if row.file and not row.file.startswith("<"):
        path = PurePath(row.file)
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        region = {"startLine": max(row.line, 1)}
        found["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": region}
    return found

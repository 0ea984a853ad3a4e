"""Annotations of GitHub Actions: one workflow command per finding that does not hold.

What counts and fails is an error, everything else that does not hold a warning.
"""

from __future__ import annotations

from readiness.model import Result
from readiness.output.sheet import Row, Sheet, Style
from readiness.redact import clean


def render(sheet: Sheet, style: Style) -> str:
    """`::error file=…,line=…,title=…::message` lines."""
    return "".join(_command(row, sheet) for row in sheet.rows if not row.result.holds)


def _command(row: Row, sheet: Sheet) -> str:
    decides = row.counts and row.severity <= sheet.fail_on
    level = "error" if decides and row.result is Result.FAIL else "warning"
    place = {"file": row.file, "line": str(row.line or 1)} if row.file else {}
    place["title"] = f"{row.id} {row.severity} {row.reason}"
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    fix = f" Fix: {row.fix}" if row.fix else ""
    return f"::{level} {properties}::{_text(f'{row.subject or row.target}: {row.message}.{fix}')}\n"


def _text(value: str) -> str:
    return clean(value, 4096).replace("%", "%25")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")

"""JUnit XML: a suite per subject, a case per control. For test reports of any CI system.

A failing finding is a failure, an unproven one an error, what does not count is skipped.
"""

from __future__ import annotations

from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from readiness.model import Result
from readiness.output.sheet import Row, Sheet, Style
from readiness.redact import clean

_TAGS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def render(sheet: Sheet, style: Style) -> str:
    """A `testsuites` document."""
    suites = [(key, list(rows)) for key, rows in groupby(sheet.rows, _suite_of)]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f"<testsuites{_attributes({'name': 'readiness', **_counts(list(sheet.rows))})}>")
    for name, rows in suites:
        lines.append(f"  <testsuite{_attributes({'name': name, **_counts(rows)})}>")
        lines += [_case(row, sheet, name) for row in rows]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _suite_of(row: Row) -> str:
    return "/".join(part for part in (row.namespace, row.subject or row.target) if part) or "policy"


def _tag(row: Row) -> str:
    if row.result is Result.PASS:
        return ""
    if row.result.holds or not row.counts:
        return "skipped"
    return "failure" if row.result is Result.FAIL else "error"


def _counts(rows: list[Row]) -> dict[str, str]:
    tags = [_tag(row) for row in rows]
    return {"tests": str(len(rows)), **{v: str(tags.count(k)) for k, v in _TAGS.items()}}


def _case(row: Row, sheet: Sheet, suite: str) -> str:
    title = sheet.rules[row.id].title if row.id in sheet.rules else ""
    file = {"file": row.file, "line": str(row.line or 1)} if row.file else {}
    head = _attributes({"classname": suite, "name": f"{row.id} {title}".strip(), **file})
    tag = _tag(row)
    if not tag:
        return f"    <testcase{head}/>"
    about = _attributes(
        {"message": row.message} | ({} if tag == "skipped" else {"type": row.reason})
    )
    details = (("expected", row.expected), ("observed", row.observed), ("fix", row.fix))
    body = "\n".join(f"{name}: {clean(text, 4096)}" for name, text in details if text)
    return f"    <testcase{head}>\n      <{tag}{about}>{escape(body)}</{tag}>\n    </testcase>"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f" {key}={quoteattr(clean(value, 4096))}" for key, value in values.items())

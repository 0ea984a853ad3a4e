"""Markdown: a table of what does not hold, for pull requests and tickets."""

from __future__ import annotations

from html import escape

from readiness.output.sheet import Outcome, Row, Sheet, Style, summary_of
from readiness.redact import clean

_WORDS = {
    Outcome.MET: "Requirements met",
    Outcome.NOT_MET: "Requirements not met",
    Outcome.UNPROVEN: "Could not tell",
}


def render(sheet: Sheet, style: Style) -> str:
    """A heading, the counts, a table, and the remedies below it."""
    counts = summary_of(sheet)
    rows = [row for row in sheet.rows if style.verbose or not row.result.holds]
    lines = [
        f"## Readiness: {_WORDS[sheet.outcome]}",
        "",
        (
            f"{counts['total']} findings: {counts['pass']} pass, {counts['fail']} fail, "
            f"{counts['unknown']} unknown, {counts['waived']} waived."
        ),
        "",
    ]
    if rows:
        lines += [
            "| Severity | Control | Result | What | Observed | Fix |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_line(row) for row in rows]
        lines.append("")
    return "\n".join([*lines, *(f"> {_cell(note)}" for note in sheet.notes)]).rstrip("\n") + "\n"


def _line(row: Row) -> str:
    where = f" (`{row.file}:{row.line}`)" if row.file else ""
    what = f"**{_cell(row.subject or row.target)}**{where}: {_cell(row.message)}"
    result = row.result if row.counts else f"{row.result} (does not count)"
    cells = (row.severity, row.id, result, what, _cell(row.observed), _cell(row.fix))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    flat = escape(clean(text, 4096), quote=False)
    return flat.replace("\\", "\\\\").replace("|", "\\|")

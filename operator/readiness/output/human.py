"""Text for people: per subject what does not hold and what to do, then the verdict and the next step.

Plain words carry the meaning; colour only repeats it. Width and colour are arguments.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from readiness.model import Result
from readiness.output.sheet import OUTCOME_COLOURS, Outcome, Row, Sheet, Style, rank, summary_of
from readiness.redact import clean

_COLOURS: Final = {
    Result.FAIL: "31", Result.UNKNOWN: "33", Result.BLOCKED: "33", Result.OPT_IN_REQUIRED: "33",
    Result.PASS: "32", Result.WAIVED: "36", Result.NOT_APPLICABLE: "2",
}  # fmt: skip
_INDENT: Final = 6
_LABEL: Final = 12
_DETAILS: Final = ("expected", "observed", "fix")


def render(sheet: Sheet, style: Style) -> str:
    """Everything, ending with one line that says the verdict and one that says what to type."""
    return "\n".join([*rows_for_people(sheet.rows, style), *_summary(sheet, style)]) + "\n"


def rows_for_people(rows: Iterable[Row], style: Style) -> Iterator[str]:
    """The findings, subject by subject, each followed by an empty line."""
    for _, group in groupby(rows, key=lambda r: (r.namespace, r.subject, r.target, r.file)):
        yield from _subject(list(group), style)
        yield ""


def paint(text: str, code: str, style: Style) -> str:
    """`text` in a terminal colour, or as it is."""
    return f"\x1b[{code}m{text}\x1b[0m" if style.colour and text else text


def wrapped(text: str, style: Style, label: str = "", indent: int = _INDENT) -> list[str]:
    """`text` in lines that fit, behind an aligned label."""
    first = " " * indent + (f"{label:{_LABEL}}" if label else "")
    return textwrap.wrap(
        clean(text, 4096), max(style.width, 40), initial_indent=first,
        subsequent_indent=" " * len(first), break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _subject(rows: list[Row], style: Style) -> Iterator[str]:
    head = rows[0]
    name = head.subject or head.target or "the policy itself"
    place = f"{head.file}:{head.line}" if head.file else ""
    where = "  ".join(
        part for part in (head.namespace and f"namespace {head.namespace}", place) if part
    )
    yield f"{paint(name, '1', style)}  {paint(where, '2', style)}".rstrip()
    shown = [row for row in rows if style.verbose or not row.result.holds]
    for row in sorted(shown, key=rank):
        yield from _row(row, style)
    rest = [row for row in rows if row.result.holds]
    if rest and not style.verbose:
        words = ", ".join(
            f"{row.id} (waived)" if row.result is Result.WAIVED else row.id for row in rest
        )
        count = f"{len(rest)} of {len(rows)} hold"
        yield from wrapped(f"{count}: {words}", style, indent=2)


def _row(row: Row, style: Style) -> Iterator[str]:
    result = paint(row.result.ljust(8), _COLOURS[row.result], style)
    aside = "" if row.counts else "  (does not count)"
    yield f"  {row.severity}  {result}  {paint(row.id, '1', style)}  {row.reason}{aside}"
    yield from wrapped(row.message, style)
    if not row.result.holds:
        for name in _DETAILS:
            if value := getattr(row, name):
                yield from wrapped(value, style, name)


def _summary(sheet: Sheet, style: Style) -> Iterator[str]:
    counts = summary_of(sheet)
    named = {
        "pass": "pass", "fail": "fail", "unknown": "unknown", "blocked": "blocked",
        "optInRequired": "need opt-in", "waived": "waived", "notApplicable": "not applicable",
    }  # fmt: skip
    parts = ", ".join(f"{counts[key]} {word}" for key, word in named.items() if counts[key])
    yield from wrapped(f"{counts['total']} findings: {parts or 'none'}.", style, indent=0)
    for note in sheet.notes:
        yield from wrapped(note, style, indent=0)
    yield paint(verdict_of(sheet), OUTCOME_COLOURS[sheet.outcome], style)
    open_ = sorted((row for row in sheet.rows if not row.result.holds), key=rank)
    if open_:
        yield f"Next: readiness explain {open_[0].id}"


def verdict_of(sheet: Sheet) -> str:
    """The verdict in one sentence."""
    level = f"at {sheet.fail_on}" + (" or above" if sheet.fail_on != "P0" else "")
    deciding = [r for r in sheet.rows if r.counts and r.severity <= sheet.fail_on]
    if sheet.outcome is Outcome.NOT_MET:
        failing = sum(r.result is Result.FAIL for r in deciding)
        return f"Not met: {failing} of {len(deciding)} findings {level} fail."
    if sheet.outcome is Outcome.UNPROVEN:
        unproven = sum(not r.result.holds for r in deciding)
        if not unproven:
            return "Could not tell: no control that counts was judged on any target."
        return f"Could not tell: {unproven} of {len(deciding)} findings {level} are unproven."
    return f"Met: all {len(deciding)} findings {level} hold."

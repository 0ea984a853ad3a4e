"""Whether a log said what a step asks for, and how: never what it said.

Whatever a stranger's log holds (secrets, megabytes, other people's JSON), only keys and expressions
that the policy declares come out of here. Pure text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from readiness.scenario import place_in
from readiness.step import Logs
from readiness.timeline import Said

LONGEST_LINE: Final = 16 * 1024


def said_of(step: Logs, text: str, at: float) -> Said:
    """What of the step's words and fields a log holds."""
    lines = [line[:LONGEST_LINE] for line in text.splitlines()]
    found = tuple(word for word in step.words if _any(word, lines))
    about = list(_of_interest(step, lines))
    lacks = [_lacking(step, entry) for entry in about if isinstance(entry, dict)]
    return Said(
        step.label, at, found,
        mentions=len(about), structured=len(lacks),
        complete=sum(not each for each in lacks),
        lacking=min(lacks, key=len, default=()),
        numbers=tuple(_integers(step, about)) if step.number else (),
    )  # fmt: skip


def settled(step: Logs, said: Said) -> bool:
    """Whether everything that the step waits for has been said."""
    return len(said.found) == len(step.words) and (not step.fields or said.complete > 0)


def named(variable: str) -> str:
    """An expression for the name of a variable, standing by itself."""
    return rf"(?<![A-Za-z0-9_]){re.escape(variable)}(?![A-Za-z0-9_])"


def _of_interest(step: Logs, lines: list[str]) -> Iterator[Any]:
    """The entries that a step counts: about a text, or with a word where it asks for a number."""
    for line in lines if step.about or step.number else ():
        entry = _entry(line)
        if step.number:
            wanted = any(_any(word, [line]) for word in step.words)
        else:
            wanted = any(step.about in text for text in _texts(entry))
        if wanted:
            yield entry


def _integers(step: Logs, entries: Iterable[Any]) -> Iterator[int]:
    """The integers that JSON lines tell; true is none."""
    for entry in entries:
        told = place_in(entry, step.number)
        if isinstance(told, int) and not isinstance(told, bool):
            yield told


def _any(word: str, lines: list[str]) -> bool:
    expression = re.compile(word, re.IGNORECASE)
    return any(expression.search(line) for line in lines)


def _entry(line: str) -> Any:
    """A line's JSON object; the line itself where it is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return entry if isinstance(entry, dict) else line


def _lacking(step: Logs, entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in step.fields if place_in(entry, name) in (None, ""))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)

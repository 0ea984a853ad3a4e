"""A strict reading of what Prometheus scrapes: the text format 0.0.4/1.0.0 and OpenMetrics 1.0.

One malformed line makes Prometheus drop the whole scrape, so the first error is what matters. The
error names the rule, never the text. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

TEXT: Final = "text/plain"
OPENMETRICS: Final = "application/openmetrics-text"
_TYPES: Final = {
    TEXT: frozenset(("counter", "gauge", "histogram", "summary", "untyped")),
    OPENMETRICS: frozenset(
        ("counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram")
    ),
}  # fmt: skip
_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED: Final = r'"(?:[^"\\\n]|\\.)*"'
_NUMBER: Final = r"[+-]?(?:0[xX][0-9a-fA-F.]+(?:[pP][+-]?[0-9]+)?|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI]nf(?:inity)?|INF|[nN]a[nN]|NAN)"
_PAIR: Final = re.compile(
    rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*|{_QUOTED})[ \t]*=[ \t]*({_QUOTED})|({_QUOTED}))[ \t]*(,|(?=\}}))"
)
_HEAD: Final = re.compile(rf"({_NAME})?[ \t]*(\{{)?")
_TAIL: Final = re.compile(rf"[ \t]*({_NUMBER})(?:[ \t]+({_NUMBER}))?[ \t]*")
_EXEMPLAR: Final = re.compile(
    rf" # \{{(?:[^\"\}}]|{_QUOTED})*\}} {_NUMBER}(?: {_NUMBER})?"
)  # fmt: skip
_META: Final = re.compile(rf"#[ \t]+(HELP|TYPE|UNIT)[ \t]+({_NAME}|{_QUOTED})(?:[ \t]+(.*))?")
_CONTENT_TYPE: Final = re.compile(
    r"([a-z0-9.+-]+/[a-z0-9.+-]+)((?:\s*;\s*[a-z0-9_-]+=(?:\"[^\"]*\"|[a-z0-9._+-]+))*)\s*;?\s*", re.IGNORECASE
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exposition:
    """What was read. `error` is empty when every line is well formed; `names` are those of samples.

    `line` is where the error stands; it moves with the content, so it belongs into evidence only.
    """

    series: int = 0
    names: frozenset[str] = field(default_factory=frozenset)
    error: str = ""
    line: int = 0


def format_of(content_type: str) -> str:
    """TEXT or OPENMETRICS; empty for a type that Prometheus 3 refuses without a fallback."""
    match = _CONTENT_TYPE.fullmatch(content_type.strip())
    kind = match.group(1).lower() if match else ""
    return kind if kind in _TYPES else ""


def read(text: str, kind: str, *, truncated: bool = False) -> Exposition:
    """Read an exposition in the given format; of a truncated one, the whole lines."""
    lines = text.split("\n")
    ended = lines[-1] == ""
    lines = lines[:-1] if ended or truncated else lines
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, 1):
        if kind == OPENMETRICS and line == "# EOF":
            error = "text after # EOF" if number != len(lines) else ""
            return _result(seen, error, number + 1)
        error = _read_line(line, kind, seen)
        if error:
            return _result(seen, error, number)
    closed = kind == TEXT or truncated
    return _result(seen, "" if closed else "the last line must be # EOF")


def _result(seen: set[tuple[str, str]], error: str, line: int = 0) -> Exposition:
    return Exposition(len(seen), frozenset(name for name, _ in seen), error, line if error else 0)


def _read_line(line: str, kind: str, seen: set[tuple[str, str]]) -> str:
    if line.startswith("#"):
        return _comment_error(line, kind)
    if not line.strip(" \t"):
        return "an empty line" if kind == OPENMETRICS else ""
    sample = _sample(line, kind)
    if isinstance(sample, str):
        return sample
    key = sample[:2]
    if key in seen and not sample[2]:
        return "the same series twice"
    seen.add(key)
    return ""


def _comment_error(line: str, kind: str) -> str:
    match = _META.fullmatch(line)
    if match is None:
        return "a comment other than HELP, TYPE, UNIT" if kind == OPENMETRICS else ""
    if match.group(1) == "TYPE" and (match.group(3) or "").strip() not in _TYPES[kind]:
        return f"a TYPE that {kind} does not have"
    return ""


def _sample(line: str, kind: str) -> tuple[str, str, str] | str:
    """(name, labels in one canonical text, timestamp), or what is wrong."""
    head = _HEAD.match(line)
    if head is None or not (head.group(1) or head.group(2)):
        return "no metric name"
    name, at, labels = head.group(1) or "", head.end(), dict[str, str]()
    while head.group(2) and not line.startswith("}", at):
        pair = _PAIR.match(line, at)
        if pair is None:
            return "malformed labels"
        name = name or (pair.group(3) or "")
        if pair.group(1) in labels or (pair.group(3) and pair.group(3) != name):
            return "a label twice"
        if pair.group(1):
            labels[pair.group(1)] = pair.group(2)
        at = pair.end()
    at += 1 if head.group(2) else 0
    tail = _TAIL.match(line, at)
    rest = line[tail.end() :] if tail else ""
    if tail is None or not name:
        return "no value" if name else "no metric name"
    if rest and not (kind == OPENMETRICS and _EXEMPLAR.fullmatch(" " + rest)):
        return "text after the value"
    return name.strip('"'), repr(sorted(labels.items())), tail.group(2) or ""

"""HLT-003: deep health lists every declared dependency and gives no address away.

The answer's texts are searched and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, get, innermost
from readiness.reading import json_of
from readiness.request import Hop, HttpAnswer

_ACCEPT: Final = ("accept", "application/json")
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]{1,30}://[^/\s@:]{0,100}:[^/\s@]{0,100}@|\b(?!https?://)(?:jdbc:)?[a-z][a-z0-9+.-]{1,30}://", re.IGNORECASE)  # fmt: skip
_ADDRESS: Final = re.compile(
    r"\b(?:[a-z0-9-]{1,63}\.){1,8}[a-z][a-z0-9-]{0,62}:\d{2,5}\b|\b(?:\d{1,3}\.){3}\d{1,3}:\d{2,5}\b"
    r"|\b[a-z][a-z0-9-]{0,62}:(?:6379|26379|2701[789]|5672|15672|5432|3306|9092|9200|11211|2379|1433|1521|4222)\b",
    re.IGNORECASE,
)


def _cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    path = (subject.target.health and subject.target.health.deep_path) or "/"
    yield Case((get(hop, path, _ACCEPT),), partial(_judge, subject, path))


def _judge(subject: Subject, path: str, answers: tuple[HttpAnswer, ...]) -> Verdict:
    answer = answers[0]
    body, wanted = (
        json_of(answer),
        subject.target.health.components if subject.target.health else (),
    )
    if answer.status not in (200, 503) or not isinstance(body, dict):
        return failed("DeepHealthMissing", f"GET {path} does not answer with the state of dependencies",
                      expected="200 or 503 with a JSON object", observed=f"{answer.status}, {'an object' if isinstance(body, dict) else 'no JSON object'}",
                      fix="serve deep health there, or correct health.deepPath")  # fmt: skip
    leak = next((kind for text in _texts(body) if (kind := leak_of(text))), "")
    if leak:
        return failed("HealthLeaks", f"GET {path} shows {leak}",
                      expected="names and states of dependencies only", observed=leak,
                      fix="leave connection strings, hosts and error texts out of the answer; log them")  # fmt: skip
    listed = {name.lower() for name in _components(body)}
    absent = [c for c in wanted if c.lower() not in listed]
    if absent:
        return failed("ComponentMissing", f"GET {path} does not list every declared dependency",
                      expected=f"an entry for each of {', '.join(wanted)}", observed=f"none for {', '.join(absent)}",
                      fix="report each dependency by the name in health.components")  # fmt: skip
    if not wanted:
        return unknown("ComponentsNotDeclared", "no dependencies are declared that deep health must list",
                       fix=f"declare spec.targets[{subject.target.name}].health.components")  # fmt: skip
    return passed("DeepHealth", f"GET {path} lists {', '.join(wanted)} and leaks nothing")


def leak_of(text: str) -> str:
    """What a text gives away: a connection URI, a host with a port, or nothing."""
    if _URI.search(text):
        return "a connection URI"
    return "a host with its port" if _ADDRESS.search(text) else ""


def _components(value: Any) -> Iterator[str]:
    """Names of entries at any depth: keys, and the names of named objects in lists."""
    if isinstance(value, dict):
        yield from (
            v
            for k, v in value.items()
            if k in ("name", "component", "componentName") and isinstance(v, str)
        )
        for key, inner in value.items():
            yield key
            yield key.partition(":")[0]
            yield from _components(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _components(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


_PROBE: Final = Probe(innermost, _cases, across)

PLUGINS: Final = (
    Control(
        id="HLT-003",
        title="Deep health lists dependencies",
        severity=Severity.P1,
        criterion="GET health.deepPath answers JSON with one entry per name in health.components; no connection URI and "
        "no host with its port stands in it",
        fix="report each dependency by name and state; leave addresses and error texts to the log",
        ask=_PROBE.ask,
        judge=_PROBE.judge,
        safety=Safety.BENIGN,
        needs=("health.deepPath",),
        max_age=MAX_AGE,
        checklists=("000/5.2",),
    ),
)

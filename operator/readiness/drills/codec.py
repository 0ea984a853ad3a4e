"""Scripts and timelines as JSON: how a drill is ordered and how it answers.

A script is one document; an answer is JSON lines, one timeline each, so that a cut log is seen to
be cut. pydantic reads and checks the dataclasses as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import TypeAdapter

from readiness.drills.sink import Records
from readiness.failover import AnyScript, FailoverScript
from readiness.script import Script
from readiness.timeline import Timeline

_SCRIPT: Final[TypeAdapter[AnyScript]] = TypeAdapter(Script | FailoverScript)
_TIMELINE: Final = TypeAdapter(Timeline)
_RECORDS: Final = TypeAdapter(Records)
START: Final = '{"run":'


def dump_script(order: AnyScript) -> str:
    """A script as one JSON document."""
    return _SCRIPT.dump_json(order).decode()


def load_script(text: str) -> AnyScript:
    """The script of a document. Raises ValueError for anything that is none."""
    return _SCRIPT.validate_json(text)


def dump_timeline(run: str, timeline: Timeline) -> str:
    """One line of a drill's answer, naming the run; values that are the default are left out."""
    told = _rounded(_TIMELINE.dump_python(timeline, mode="json", exclude_defaults=True))
    return json.dumps({"run": run, "timeline": told}, separators=(",", ":"))


def load_timelines(run: str, lines: Iterable[str]) -> Iterator[Timeline]:
    """The timelines of one run among lines of a log; other lines are not ours. Raises ValueError."""
    for line in lines:
        if line.startswith(START):
            found = json.loads(line)
            if found.get("run") == run and "timeline" in found:
                yield _TIMELINE.validate_python(found["timeline"])


def load_records(told: bytes) -> Records:
    """What a fault sink has seen. Raises ValueError for anything else."""
    return _RECORDS.validate_json(told)


def _rounded(value: Any) -> Any:
    """Times to a tenth of a millisecond: a timeline of 300 requests must fit its log."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value

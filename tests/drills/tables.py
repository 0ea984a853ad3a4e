"""What the tables of this folder are read and checked by: rows of what clones did, and what each control must say.

Under `expect` a row holds the verdict of each control as `Result Reason`; words of a text (`fix: …`)
are those of the first control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from readiness.control import Control, Subject
from readiness.request import DrillRequest
from readiness.script import Arm
from readiness.timeline import Timeline

from .worlds import told

TEXTS = ("message", "expected", "observed", "fix", "evidence")
Row = Mapping[str, Any]


def table_of(name: str) -> dict[str, Any]:
    """The file of this name, beside the tests."""
    return yaml.load((Path(__file__).parent / name).read_text(), yaml.CSafeLoader)


def names_of(rows: Iterable[Row]) -> list[str]:
    """Names of cases: the first control and what the row says of itself."""
    return [f"{next(iter(row['expect']))} {row['name']}" for row in rows]


def assert_row(
    row: Row, controls: Mapping[str, Control], subject: Subject,
    outcome: Callable[[str, Arm], Timeline],
) -> None:  # fmt: skip
    """Every control says what the row expects. `outcome` is told the control's id and the arm."""
    for id_, expected in row["expect"].items():
        requests = [r for r in controls[id_].ask(subject) if isinstance(r, DrillRequest)]
        verdict = controls[id_].judge(subject, {r: outcome(id_, r.arm) for r in requests})

        assert told(verdict) == expected, verdict
        assert verdict.where == "Deployment/api"
        for name in TEXTS:
            if name in row and id_ == next(iter(row["expect"])):
                assert row[name] in getattr(verdict, name), verdict


def sides_of(rows: Iterable[Row], id_: str) -> set[str]:
    """The results that some row expects of a control."""
    return {row["expect"][id_].split()[0] for row in rows if id_ in row["expect"]}

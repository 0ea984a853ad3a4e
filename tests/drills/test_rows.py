"""Every side of every shutdown control, and what spoils a look at one: simulated servers, spoiled timelines."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from readiness.drills.arms import KNOCK
from readiness.drills.reading import Seen, read
from readiness.model import Outcome, Result
from readiness.request import DrillRequest
from readiness.timeline import NEVER, Moment, Problem, Timeline

from .simulated import Pod, Server, simulate
from .tables import assert_bound, assert_fair
from .test_shapes import SHAPES
from .worlds import CONTROLS, subject_of, told

TABLE = yaml.load((Path(__file__).parent / "rows.yaml").read_text(), yaml.CSafeLoader)
ROWS = TABLE["rows"]
TEXTS = ("message", "expected", "observed", "fix", "evidence")


def spoiled(seen: Timeline, row: dict[str, Any]) -> Timeline:
    """What was seen with some of it replaced."""
    if seen.arm not in row.get("arms", [seen.arm]):
        return seen
    new = dict(row.get("timeline", {}))
    facts = read(seen)
    signal = facts.signal.hi if isinstance(facts, Seen) else seen.stopped
    late = [x for x in seen.labelled(KNOCK) if x.start >= signal + 2]
    if "attempts" in row:
        new["exchanges"] = [x for x in seen.exchanges if x not in late[row["attempts"] :]]
    if row.get("unreachable"):
        away = {"outcome": Outcome.TIMEOUT, "connected": NEVER, "first": NEVER, "whole": False}
        new["exchanges"] = [replace(x, **away) if x in late else x for x in seen.exchanges]
    if "problem" in new:
        new["problem"] = Problem(**new["problem"])
    if "moments" in new:
        new["moments"] = tuple(Moment(**m) for m in new["moments"])
    return replace(seen, **{k: tuple(v) if isinstance(v, list) else v for k, v in new.items()})


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_row(row: dict[str, Any]) -> None:
    shutdown = TABLE["target"]["shutdown"] | row.get("declares", {})
    target = TABLE["target"] | row.get("target", {}) | {"shutdown": shutdown}
    target = {k: v for k, v in target.items() if v is not None}
    target["shutdown"] = {k: v for k, v in shutdown.items() if v is not None}
    pod, server = Pod(**row.get("pod", {})), Server(**row.get("server", {}))
    subject = subject_of(target, pod, port=row.get("port", True))
    for id_, expected in row["expect"].items():
        requests = [r for r in CONTROLS[id_].ask(subject) if isinstance(r, DrillRequest)]
        answers = {r: spoiled(simulate(server, pod, r.arm), row) for r in requests}
        verdict = CONTROLS[id_].judge(subject, answers)

        assert told(verdict) == expected, verdict
        assert verdict == CONTROLS[id_].judge(subject, answers)
        assert_fair(CONTROLS[id_], subject, answers)
        assert_bound(CONTROLS[id_], subject, answers)
        for name in TEXTS:
            if name in row and id_ == next(iter(row["expect"])):
                assert row[name] in getattr(verdict, name), verdict


@pytest.mark.parametrize("id_", CONTROLS)
def test_every_side_is_shown(id_: str) -> None:
    shown = {
        each["expect"][id_].split()[0] for each in (*ROWS, *SHAPES) if id_ in each["expect"]
    }  # fmt: skip

    assert shown >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


@pytest.mark.parametrize("id_", CONTROLS)
def test_without_an_answer_nothing_is_said(id_: str) -> None:
    subject = subject_of(TABLE["target"], Pod())

    assert told(CONTROLS[id_].judge(subject, {})) == "Unknown NotDrilled"


def test_rows_name_what_there_is() -> None:
    known = {f.name for f in fields(Timeline)}
    names = [row["name"] for row in ROWS]

    assert len(set(names)) == len(names)
    assert all(row.get("timeline", {}).keys() <= known for row in ROWS)

"""Every side of LIM-007: bodies, memory and ends in, verdicts out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.control import Control, Subject
from readiness.drills.oversize import ARM, WORST, request_of, size_of
from readiness.model import Outcome, Result
from readiness.request import DrillRequest
from readiness.script import seconds_of
from readiness.step import Send
from readiness.timeline import Ending, Exchange, Moment, Problem, Sample, Timeline

from .simulated import Pod
from .tables import TEXTS, assert_bound, assert_fair, table_of
from .worlds import KNOWN, subject_of, told

TABLE = table_of("oversize.yaml")
ROWS = TABLE["rows"]
MI = 1024 * 1024
STARTS = {"small": (8, 1), "warm": (10, 2), "length": (20, 10), "chunked": (30, 10), "many": (20, 10), "small-after": (40, 1)}  # fmt: skip
CONTROL = KNOWN["LIM-007"]
assert isinstance(CONTROL, Control)


def exchanges(label: str, outcome: int | str) -> list[Exchange]:
    """The requests of one step, which all fare alike."""
    start, count = STARTS[label]
    if outcome == "none":
        return []
    ended = Outcome.RESPONSE if isinstance(outcome, int) else Outcome(outcome)
    status = outcome if isinstance(outcome, int) else 0
    return [Exchange(label, n, 0, start, start, start + 1, start + 3, ended, status, whole=bool(status)) for n in range(count)]  # fmt: skip


def samples(row: dict[str, Any]) -> tuple[Sample, ...]:
    """One at each value of memory, while it lasts, and one at the end."""
    values = row.get("memory", ())
    times = (21.0, 22.0, 32.0) if row.get("late") else (6.0, 22.0, 32.0)
    counted = -1 if row.get("uncounted") else 0
    known = [Sample(at, v if v < 0 else v * MI, killed=counted) for at, v in zip(times, values, strict=False)]  # fmt: skip
    last = (
        [replace(known[-1], at=45.0, killed=row.get("killed", counted))] if len(values) == 3 else []
    )
    return (*known, *last)


def timeline(row: dict[str, Any]) -> Timeline:
    seen = [
        *exchanges("small", row.get("small", 202)), *exchanges("warm", row.get("length", "none")),
        *exchanges("length", row.get("length", "none")), *exchanges("chunked", row.get("chunked", "none")),
        *exchanges("small-after", row.get("after", 202)),
    ]  # fmt: skip
    ended, problem = row.get("ended"), row.get("problem")
    ready = () if problem and "small" not in row and not ended else (Moment(5.0, "ready"),)
    ending = Ending(25.0 if row.get("small") != "none" else 6.0, "app", ended["code"], reason=ended.get("reason", "Error")) if ended else None  # fmt: skip
    return Timeline(
        ARM, container="app", exchanges=() if problem and not ended else tuple(seen), moments=ready,
        endings=(ending,) if ending else (), samples=samples(row), blind=row.get("blind", 0.3),
        unmeasured=row.get("unmeasured", ""), throttled=row.get("throttled", 0.0),
        problem=Problem(problem, "so it is") if problem else None,
    )  # fmt: skip


def worst(row: dict[str, Any]) -> Timeline:
    """The timeline of the worst case."""
    alone, many = row["worst"]
    ended = row.get("worst_ended")
    known = [Sample(t, v * MI, killed=0) for t, v in ((6.0, 50), (22.0, row["peak"]), (45.0, 50))] if "peak" in row else []  # fmt: skip
    return Timeline(
        WORST, container="app", exchanges=(*exchanges("small", alone), *exchanges("many", many)),
        moments=(Moment(5.0, "ready"),), samples=tuple(known), blind=0.3,
        endings=(Ending(25.0, "app", ended["code"], reason=ended["reason"]),) if ended else (),
    )  # fmt: skip


def subject_for(row: dict[str, Any]) -> Subject:
    load = {"load": {"worstCase": {"path": "/import", "size": "1M"}}} if "worst" in row else {}
    target = {
        k: v for k, v in (TABLE["target"] | load | row.get("target", {})).items() if v is not None
    }
    params = {p.name: p.default for p in CONTROL.params} | row.get("params", {})
    made = subject_of(target, Pod(), port=row.get("port", True))
    if made.workload is not None and "worst" in row and (limit := row.get("limited", "100Mi")):
        container = made.workload["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": {"memory": limit}}
    return replace(made, params=params)


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_row(row: dict[str, Any]) -> None:
    subject = subject_for(row)
    answers = {
        r: worst(row) if r.arm.name == WORST else timeline(row)
        for r in CONTROL.ask(subject) if isinstance(r, DrillRequest)
    }  # fmt: skip
    verdict = CONTROL.judge(subject, answers)

    assert told(verdict) == row["expect"], verdict
    assert_fair(CONTROL, subject, answers)
    assert_bound(CONTROL, subject, answers)
    for name in TEXTS:
        if name in row:
            assert row[name] in getattr(verdict, name), verdict


def test_every_side_is_shown() -> None:
    assert {row["expect"].split()[0] for row in ROWS} >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


def test_without_an_answer_nothing_is_said() -> None:
    assert told(CONTROL.judge(subject_for({}), {})) == "Unknown NotDrilled"


@pytest.mark.parametrize(
    ("limit", "growth", "size"),
    [("10M", 32, 10_631_072), ("1Ki", 32, 10_066_330), ("1M", 64, 20_132_660), ("100Mi", 32, 110_231_552)],
    ids=["over the limit", "enough to show", "enough to show more", "an upload"],
)  # fmt: skip
def test_bodies_are_as_small_as_they_can_be(limit: str, growth: int, size: int) -> None:
    assert size_of(limit, growth * MI) == size


@pytest.mark.parametrize("limit", ["1k", "10M", "1G"])
def test_what_is_sent_is_bounded_and_enough(limit: str) -> None:
    subject = subject_for({"target": {"limits": {"body": limit, "request": {"path": "/a"}}}})
    asked = request_of(subject, 32 * MI)
    assert isinstance(asked, DrillRequest)
    bodies = [(s.body, s.times * s.parallel) for s in asked.arm.steps if isinstance(s, Send) and s.body]  # fmt: skip

    assert sum(min(b.size, b.ration) * n for b, n in bodies) <= 640 * MI
    assert all(min(b.size, b.ration) * n >= 64 * MI for b, n in bodies if b.hold)
    assert seconds_of(asked.arm) < 500

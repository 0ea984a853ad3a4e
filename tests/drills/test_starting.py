"""Every side of every start-up control and of ERR-002: outcomes of clones in, verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from readiness.control import Control, Subject
from readiness.model import Outcome, Result
from readiness.request import DrillRequest
from readiness.script import Arm, Edit, deadline_of, seconds_of
from readiness.step import Logs
from readiness.timeline import Ending, Exchange, Moment, Problem, Said, Sample, Timeline

from .simulated import Pod
from .tables import assert_row, names_of, sides_of, table_of
from .worlds import KNOWN, subject_of, told

TABLE = table_of("starts.yaml")
ROWS = TABLE["rows"]
IDS = ("CFG-001", "CFG-002", "CFG-006", "CFG-007", "ERR-002")
CONTROLS: Mapping[str, Control] = {i: c for i in IDS if isinstance(c := KNOWN[i], Control)}
HEALTHY: Mapping[str, Any] = {"complete": {"ready": True, "silent": True}}


def outcome(arm: Arm, row: Mapping[str, Any]) -> Timeline:
    """The timeline of one clone as a row describes it; a refusal that names what is wrong by default."""
    told = (HEALTHY | row.get("clones", {})).get(arm.name, {"exit": 1})
    if "problem" in told:
        return Timeline(arm.name, problem=Problem(told["problem"], "so it is"))
    moments = [Moment(1.0, "created"), Moment(3.0, "running")]
    endings: tuple[Ending, ...] = ()
    if told.get("ready"):
        moments.append(Moment(4.0, "ready"))
    if "exit" in told:
        after = told.get("after", 1)
        reason = told.get("reason", "Error")
        endings = (Ending(3.0 + after, "app", told["exit"], 0, reason, 1e9, 1e9 + after),)
    words = () if told.get("silent") else tuple(w for s in arm.steps if isinstance(s, Logs) for w in s.words)  # fmt: skip
    at = 3.0 + told.get("hang", 1)
    moments += [Moment(9.0, "flapped")] * told.get("flapped", False)
    waited, after = told.get("waited", 0.0), told.get("after", told.get("hang", 1))
    samples = () if told.get("unmetered") else (Sample(2.9 + after, waited=waited),)
    return Timeline(arm.name, container="app", moments=tuple(moments), endings=endings, lag=told.get("lag", 0.0),
                    said=(Said("log", at, words),), samples=samples)  # fmt: skip


def erring(arm: Arm, row: Mapping[str, Any]) -> Timeline:
    """The timeline of the arm of ERR-002."""
    if "clones" in row:
        return outcome(arm, row)
    ended = Outcome(row.get("outcome", "response"))
    answer = ended is Outcome.RESPONSE
    sent = Exchange("trigger", 0, 0, 1, 1, 1, 2, ended, row.get("status", 500) if answer else 0, whole=answer)  # fmt: skip
    log = {k: tuple(v) if isinstance(v, list) else v for k, v in row["log"].items()}
    return Timeline(arm.name, exchanges=(sent,), said=(Said("trigger", 3.0), Said("trigger", 5.0, **log)))  # fmt: skip


def subject_for(row: Mapping[str, Any]) -> Subject:
    target = TABLE["target"] | {"errors": {"trigger": "/boom"}} | row.get("target", {})
    target["config"] = TABLE["target"]["config"] | row.get("declares", {})
    return subject_of(target, Pod(), port=row.get("port", True))


@pytest.mark.parametrize("row", ROWS, ids=names_of(ROWS))
def test_row(row: dict[str, Any]) -> None:
    assert_row(
        row,
        CONTROLS,
        subject_for(row),
        lambda id_, arm: (erring if id_ == "ERR-002" else outcome)(arm, row),
    )


@pytest.mark.parametrize("id_", CONTROLS)
def test_every_side_is_shown(id_: str) -> None:
    assert sides_of(ROWS, id_) >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


@pytest.mark.parametrize("id_", CONTROLS)
def test_without_an_answer_nothing_is_said(id_: str) -> None:
    assert told(CONTROLS[id_].judge(subject_for({}), {})) == "Unknown NotDrilled"


def arms(id_: str, **row: Any) -> dict[str, Arm]:
    asked = CONTROLS[id_].ask(subject_for(row))
    return {r.arm.name: r.arm for r in asked if isinstance(r, DrillRequest)}


def test_all_controls_share_the_control_arm_and_its_expansion() -> None:
    asked = [arms(id_) for id_ in IDS[:4]]

    assert len({each["complete"] for each in asked}) == 1
    assert {arm.explicit for each in asked for arm in each.values()} == {True}
    assert asked[0]["complete"].edits == ()


def test_an_arm_takes_away_or_puts_in_what_is_declared() -> None:
    assert arms("CFG-001")["env-TOKEN-unset"].edits == (Edit("TOKEN"),)
    assert arms("CFG-002")["env-TTL-bad2"].edits == (Edit("TTL", "0"),)
    assert arms("CFG-006")["variant-no-path"].edits == (Edit("DATA_DIR"),)
    assert arms("CFG-007")["variant-no-plugin"].edits == (Edit("STORE", "none"),)


def test_a_value_that_is_put_in_needs_no_expansion() -> None:
    variant = {"name": "a", "set": [{"name": "S", "value": "x"}], "expect": "refuse", "says": "b"}
    asked = arms("CFG-007", declares={"env": [], "variants": [variant]})

    assert {arm.explicit for arm in asked.values()} == {False}


def test_twenty_variables_end_within_what_is_allowed() -> None:
    many = [{"name": f"V{n}", "required": True} for n in range(20)]
    asked = tuple(arms("CFG-001", declares={"env": many}).values())

    assert len(asked) == 21
    assert deadline_of(asked) < 21 * max(map(seconds_of, asked)) / 3 + 200

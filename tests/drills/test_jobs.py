"""Every side of the controls of jobs and of a second start: what became of clones in, verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from readiness.api import read_policy
from readiness.control import Control, Subject
from readiness.drills.jobs import job_seconds
from readiness.model import Result
from readiness.request import DrillRequest
from readiness.scenario import Unmet
from readiness.script import Arm, deadline_of
from readiness.step import Boot, Play, Stop
from readiness.timeline import Check, Ending, Imprint, Moment, Problem, Said, Timeline

from .simulated import Pod
from .tables import assert_row, names_of, sides_of, table_of
from .worlds import KNOWN, subject_of, told

TABLE = table_of("jobs.yaml")
ROWS = TABLE["rows"]
IDS = ("SHD-007", "SHD-009", "CFG-014")
CONTROLS: Mapping[str, Control] = {i: c for i in IDS if isinstance(c := KNOWN[i], Control)}
STORES = [
    {"name": "queue", "external": {"redis": {"hosts": ["queue"]}}},
    {"name": "db", "external": {"mongodb": {"hosts": ["db"]}}},
]
STOP, END = 24.0, 26.0


def subject_for(row: Mapping[str, Any]) -> Subject:
    made = subject_of(TABLE["target"] | {"uses": []}, Pod(**row.get("pod", {})), port=row.get("port", True))  # fmt: skip
    policy = read_policy({"targets": [TABLE["target"] | row.get("target", {})], "dataServices": STORES})  # fmt: skip
    assert made.workload is not None
    spec = made.workload["spec"]["template"]["spec"]
    spec["containers"][0]["readinessProbe"] = row.get("probe", {"periodSeconds": 0})
    if row.get("claims"):
        spec["volumes"] = [{"name": "state", "persistentVolumeClaim": {"claimName": "state"}}]
    return Subject(policy, policy.targets[0], made.snapshot, made.workload)


def outcome(arm: Arm, given: Mapping[str, Any]) -> Timeline:
    """What a drill shows of a good application, with what the row says is otherwise."""
    if "problem" in given:
        return Timeline(arm.name, problem=Problem(given["problem"], "so it is"))
    if arm.name == "twice":
        return two_starts(arm, given)
    said = given.get(
        "said", [[0, 0, []], [1, 1, [int(arm.name[-1])]]] if arm.name[:5] == "jobs-" else []
    )
    looks = tuple(Said("jobs", 1.0, mentions=m, structured=s, numbers=tuple(n)) for m, s, n in said)
    stop, end = given.get("stop", STOP), given.get("end", END)
    moments = tuple(Moment(at, name) for at, name in ((0.0, "created"), (3.0, "ready"), (stop, "stopping")))  # fmt: skip
    endings = () if given.get("unseen") else (Ending(end, "app", 0),)
    checks = tuple(checks_of(arm, given))
    return Timeline(arm.name, stopped=stop, container="app", moments=moments, endings=endings, said=looks, checks=checks)  # fmt: skip


def checks_of(arm: Arm, given: Mapping[str, Any]):
    for step in arm.steps:
        if isinstance(step, Play):
            for scene in step.scenes:
                wrong = tuple(Unmet(*each) for each in given.get(step.label, {}).items())
                yield Check(step.label, scene.name, 5.0, 6.0, 200, wrong)


def two_starts(arm: Arm, given: Mapping[str, Any]) -> Timeline:
    moments: list[Moment] = []
    said: list[Said] = []
    imprints: list[Imprint] = []
    for nth, name in enumerate(("first", "second")):
        seen = {"said": nth == 0, "took": 3.0, "hash": "a"} | given.get(name, {})
        at = 100.0 * nth
        moments += [Moment(at, "created", "", nth), Moment(at + 2, "running", "", nth)]
        imprints.append(Imprint(name, 0, seen["hash"]))
        if not seen.get("unseen"):
            moments.append(Moment(at + 2 + seen["took"], "ready", "", nth))
            said.append(Said(name, at + 20, ("first account",) if seen["said"] else ()))
    return Timeline(arm.name, container="app", moments=tuple(moments), said=tuple(said), imprints=tuple(imprints), lag=given.get("lag", 0.0))  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=names_of(ROWS))
def test_row(row: dict[str, Any]) -> None:
    arms = row.get("arms", {})
    assert_row(
        row, CONTROLS, subject_for(row), lambda _id, arm: outcome(arm, arms.get(arm.name, {}))
    )


@pytest.mark.parametrize("id_", CONTROLS)
def test_every_side_is_shown(id_: str) -> None:
    assert sides_of(ROWS, id_) >= {Result.PASS, Result.FAIL, Result.UNKNOWN}


@pytest.mark.parametrize("id_", CONTROLS)
def test_without_an_answer_nothing_is_said(id_: str) -> None:
    assert told(CONTROLS[id_].judge(subject_for({}), {})) == "Unknown NotDrilled"


@pytest.mark.parametrize("id_", CONTROLS)
def test_without_a_workload_nothing_is_asked(id_: str) -> None:
    subject = replace(subject_for({}), workload=None)

    assert CONTROLS[id_].ask(subject) == ()
    assert CONTROLS[id_].judge(subject, {}).reason == "TargetNotFound"


def arms(id_: str, **row: Any) -> dict[str, Arm]:
    asked = CONTROLS[id_].ask(subject_for(row))
    return {r.arm.name: r.arm for r in asked if isinstance(r, DrillRequest)}


def test_a_worker_shares_its_stores_with_no_other_arm() -> None:
    asked = {name: arm for id_ in IDS for name, arm in arms(id_).items()}

    assert asked.keys() == {"jobs-0", "jobs-1", "job-short", "job", "twice"}
    assert all(arm.apart for arm in asked.values())


def test_the_other_clone_comes_when_the_first_has_gone() -> None:
    steps = [type(step).__name__ for step in arms("SHD-009")["job"].steps]

    assert steps == ["Meter", "Boot", "Play", "Pause", "Play", "Stop", "Exit", "Meter", "Boot", "Play", "Pause", "Play"]  # fmt: skip


def test_jobs_are_counted_where_the_log_outlives_the_process() -> None:
    for arm in arms("SHD-007").values():
        assert [step.signal for step in arm.steps if isinstance(step, Stop)] == ["TERM"]


@pytest.mark.parametrize(
    ("pod", "drain", "outlasts"),
    [({}, "15s", 30), ({"grace": 60}, "15s", 60), ({"hook": 20}, "15s", 35), ({"hook": 20, "shown": False}, "15s", 45),
     ({"grace": 600}, "15s", 120), ({"grace": 600}, "5m", 300)],
)  # fmt: skip
def test_a_job_outlasts_all_that_its_worker_may_take(
    pod: dict[str, Any], drain: str, outlasts: int
) -> None:
    """By what passes before the signal: a worker takes it (10 s), the clone settles (5 s at most), and a few seconds."""
    row = {"pod": pod, "target": {"shutdown": {"drain": drain}}}

    assert job_seconds(subject_for(row)) == outlasts + 10 + 5 + 6


def test_a_job_is_waited_for_as_long_as_it_takes_and_as_its_scenario_says() -> None:
    plays = {step.label: step for step in arms("SHD-009")["job"].steps if isinstance(step, Play)}

    assert [scene.within for scene in plays["done"].scenes] == [60.0]
    assert plays["done"].longer == plays["start"].seconds == 51
    assert [scene.within for scene in plays["again"].scenes] == [0.0]
    assert [scene.name for scene in plays["still"].scenes] == ["working"]
    assert {label: play.succeed for label, play in plays.items()} == {"start": True, "still": True, "done": False, "again": False}  # fmt: skip


def test_all_of_it_ends_within_what_is_allowed() -> None:
    asked = tuple(arm for id_ in IDS for arm in arms(id_).values())

    assert all(isinstance(arm.steps[1], Boot) for arm in asked)
    assert deadline_of(asked) < 1200

"""What the tables of this folder are read and checked by: rows of what clones did, and what each control must say.

What is decided in a row must be undecided once clones ran another image, and what fails must not once what was seen is spoiled.

Under `expect` a row holds the verdict of each control as `Result Reason`; words of a text (`fix: …`)
are those of the first control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from readiness.control import Control, Subject
from readiness.drills.spoiled import KEPT, LATE
from readiness.model import Manifest, Result
from readiness.request import Answers, DrillRequest
from readiness.script import Arm
from readiness.timeline import Moment, Timeline

from .worlds import told

TEXTS = ("message", "expected", "observed", "fix", "evidence")
Row = Mapping[str, Any]
SPOILED: Mapping[str, Callable[[Timeline], Timeline]] = {
    "lag": lambda seen: replace(seen, lag=0.21),
    "throttled": lambda seen: replace(seen, throttled=0.26),
    "flapped": lambda seen: replace(seen, moments=(*seen.moments, Moment(8.0, "flapped", "", 1))),
    "crowded": lambda seen: replace(seen, crowded=0.71),
}


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
        answers = {r: outcome(id_, r.arm) for r in requests}
        verdict = controls[id_].judge(subject, answers)

        assert told(verdict) == expected, verdict
        assert_fair(controls[id_], subject, answers)
        assert_bound(controls[id_], subject, answers)
        assert verdict.where == "Deployment/api"
        for name in TEXTS:
            if name in row and id_ == next(iter(row["expect"])):
                assert row[name] in getattr(verdict, name), verdict


def ran(digest: str) -> Manifest:
    """A pod that runs an image."""
    status = {"containerStatuses": [{"name": "app", "imageID": f"registry/api@{digest}"}]}
    return {"metadata": {"name": "api-1"}, "status": status}


def assert_bound(control: Control, subject: Subject, answers: Answers) -> None:
    """What is decided by these answers is so for the image that the pods run, and for no other one."""
    plain = control.judge(subject, answers)
    if plain.result not in (Result.PASS, Result.FAIL) or control.judge(subject, {}) == plain:
        return
    live = replace(subject, pods=(ran("sha256:a"),))
    same = {r: replace(t, images=("sha256:a",)) for r, t in answers.items() if isinstance(t, Timeline)}  # fmt: skip
    other = {r: replace(t, images=("sha256:a", "sha256:b")) for r, t in same.items()}

    assert control.judge(live, same) == plain
    assert control.judge(subject, other) == plain  # nobody knows what the pods run
    assert told(control.judge(live, other)) == "Unknown ImageDiffers"


def assert_fair(control: Control, subject: Subject, answers: Answers) -> None:
    """What fails by these answers does not once they are spoiled, unless lack of CPU cannot be the reason."""
    plain = control.judge(subject, answers)
    if plain.result is not Result.FAIL or control.judge(subject, {}) == plain:
        return
    for name, spoil in SPOILED.items():
        seen = {r: spoil(t) for r, t in answers.items() if isinstance(t, Timeline)}
        verdict = control.judge(subject, seen)
        anyway = plain.reason not in LATE if name == "crowded" else name == "throttled" and plain.reason in KEPT  # fmt: skip
        if (name, plain.reason) == ("crowded", "KilledAtGrace"):
            continue  # who is killed with nothing to do is deaf, however crowded it is
        assert verdict == plain if anyway else verdict.result is Result.UNKNOWN, (name, plain, verdict)  # fmt: skip


def sides_of(rows: Iterable[Row], id_: str) -> set[str]:
    """The results that some row expects of a control."""
    return {row["expect"][id_].split()[0] for row in rows if id_ in row["expect"]}

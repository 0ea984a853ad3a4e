"""How looks become a verdict: probes are believed after three alike, drills after two of three."""

from __future__ import annotations

import pytest

from readiness.evidence import DRILLS, PROBES, Look, Series
from readiness.model import Result, Verdict

LOOKS = {
    "P": Verdict(Result.PASS, "Drained", "fine", evidence="p"),
    "A": Verdict(Result.FAIL, "NotDrained", "lost", evidence="a"),
    "B": Verdict(Result.FAIL, "KilledAtGrace", "killed", evidence="b"),
    "U": Verdict(Result.UNKNOWN, "Disturbed", "late", evidence="u"),
    "X": Verdict(Result.UNKNOWN, "DrillDisturbed", "spoiled", evidence="x"),
    "F": Verdict(Result.UNKNOWN, "Flaky", "disagree"),
}
NOW = 1000.0
DAY = 86400.0


def settled(series: Series, looks: str, standing: str = "", *, revised: bool = False) -> Look:
    look = Look("k", LOOKS[standing] if standing else None, at=1.0, revised_at=9.0 * revised)
    for nth, name in enumerate(looks):
        assert nth == 0 or look.streak, f"the series had ended before look {nth + 1}"
        look = series.settle(look, LOOKS[name], now=NOW + nth, max_age=7 * DAY, jitter=1.0)
    return look


@pytest.mark.parametrize(
    ("series", "standing", "looks", "reason", "confidence"),
    [
        (PROBES, "", "P", "Drained", ""),
        (PROBES, "A", "P", "Drained", ""),
        (PROBES, "", "UP", "Drained", ""),
        (PROBES, "", "AAA", "NotDrained", "3/3"),
        (PROBES, "P", "APA", "Flaky", "2/3"),
        (PROBES, "P", "APP", "Flaky", "2/3"),
        (PROBES, "A", "A", "NotDrained", ""),
        (DRILLS, "", "P", "Drained", ""),
        (DRILLS, "P", "P", "Drained", ""),
        (DRILLS, "U", "P", "Drained", ""),
        (DRILLS, "", "UP", "Drained", ""),
        (DRILLS, "", "AA", "NotDrained", "2/2"),
        (DRILLS, "P", "APA", "NotDrained", "2/3"),
        (DRILLS, "P", "ABB", "KilledAtGrace", "2/3"),
        (DRILLS, "", "UAA", "NotDrained", "2/3"),
        (DRILLS, "", "UU", "Disturbed", "2/2"),
        (DRILLS, "", "XXXP", "Drained", ""),
        (DRILLS, "", "AXA", "NotDrained", "2/2"),
        (DRILLS, "", "XAXPXA", "NotDrained", "2/3"),
        (DRILLS, "", "APP", "Flaky", "2/3"),
        (DRILLS, "", "ABP", "Flaky", "1/3"),
        (DRILLS, "", "UAP", "Flaky", "1/3"),
        (DRILLS, "A", "A", "NotDrained", ""),
        (DRILLS, "A", "PPP", "Drained", "3/3"),
        (DRILLS, "A", "PPA", "Flaky", "1/3"),
        (DRILLS, "A", "PAA", "NotDrained", "2/3"),
        (DRILLS, "F", "PPP", "Drained", "3/3"),
    ],
)
def test_what_stands(
    series: Series, standing: str, looks: str, reason: str, confidence: str
) -> None:
    look = settled(series, looks, standing)

    assert look.streak == ()
    assert look.standing is not None
    assert (look.standing.reason, look.standing.confidence) == (reason, confidence)
    assert look.at == NOW + len(looks) - 1


def test_a_new_revision_does_not_answer_for_the_failure_of_the_old_one() -> None:
    assert settled(DRILLS, "P", "A", revised=True).standing == LOOKS["P"]


def test_what_disagrees_is_kept_as_evidence() -> None:
    look = settled(DRILLS, "ABP")

    assert look.standing is not None
    assert look.standing.evidence == "a | b | p"
    assert look.standing.observed == "Fail/NotDrained, Fail/KilledAtGrace, Pass/Drained"


@pytest.mark.parametrize(
    ("series", "looks", "least", "most"),
    [
        (PROBES, "AAA", 270, 300),
        (PROBES, "UUU", 54, 60),
        (DRILLS, "A", 1, 1),
        (DRILLS, "AA", 0.9 * DAY, DAY),
        (DRILLS, "UU", 600, 700),
        (DRILLS, "ABP", 600, 700),
        (DRILLS, "P", 4.9 * DAY, 5.6 * DAY),
    ],
)
def test_when_it_is_looked_at_again(series: Series, looks: str, least: float, most: float) -> None:
    look = settled(series, looks)

    assert least <= look.due - (NOW + len(looks) - 1) <= most


def test_a_spoiled_look_is_taken_again_a_few_times_and_then_it_is_the_answer() -> None:
    look, waits = Look("k"), []
    while look.standing is None:
        look = DRILLS.settle(look, LOOKS["X"], now=NOW, max_age=7 * DAY, jitter=0.0)
        waits.append(look.due - NOW)

    assert waits[: len(DRILLS.discards)] == list(DRILLS.discards)
    assert (look.standing.result, look.standing.reason) == (Result.UNKNOWN, "DrillDisturbed")
    assert len(waits) <= len(DRILLS.discards) + DRILLS.looks

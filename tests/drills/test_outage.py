"""Timelines of failover drills and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.disturbance import Oust, Record, Whole
from readiness.drills.codec import dump_script, dump_timeline, load_script, load_timelines
from readiness.drills.outage import (
    CALM,
    HANDOVER,
    KILLED,
    arms,
    is_trouble,
    judge_outage,
    longest,
    measured,
)
from readiness.failover import Application, FailoverRequest, FailoverScript, StoreSubject, script_of
from readiness.timeline import Ledger, Moment, Problem, Served, Timeline

SUBJECT = StoreSubject("shop", "cache", "redis", ("c-0.m.shop.svc",), 6379, "c", ("s-0.s.shop.svc",), group="shop-c", applications=(Application("api", "api.shop.svc", "10.0.0.9", 80, "/deep"),))  # fmt: skip
WELL = Ledger(1.0, 60.0, 5000, gaps=((4.0, 6.0), (20.0, 20.4)), read=True)
QUIET = Ledger(1.0, 11.0, 800, gaps=((2.0, 2.1),), read=True)
HELD = Problem("Held", "its budget does not let a member go")


def moments(**at: float) -> tuple[Moment, ...]:
    return tuple(Moment(when, name.rstrip("_")) for name, when in at.items())


def drill(**changed: dict[str, Any]) -> dict[str, Timeline]:
    """A service that does everything right, and what is different in an arm."""
    gone = moments(whole=0.5, ousted=4.0, primary=5.9, whole_=40.0)
    right = {
        CALM: Timeline(CALM, ledger=QUIET, moments=moments(whole=0.1)),
        HANDOVER: Timeline(HANDOVER, ledger=WELL, moments=gone),
        KILLED: Timeline(KILLED, ledger=WELL, moments=gone),
    }
    return {arm: replace(seen, **changed.get(arm, {})) for arm, seen in right.items()}


def late(begins: float, ends: float) -> Ledger:
    return replace(WELL, gaps=((begins, ends),))


def served(*down: tuple[float, float], well: bool = True) -> tuple[Served, ...]:
    """An application, and another one that never notices."""
    return Served("api", 60, down, well=well), Served("web", 60)


NEVER_OTHER = moments(whole=0.5, ousted=4.0, whole_=40.0)
NEVER_WHOLE = moments(whole=0.5, ousted=4.0, primary=5.0)
CASES = {
    "all well": ({}, "Pass", "FailsOver"),
    "a gap at the limit": ({KILLED: {"ledger": late(4.0, 34.0)}}, "Pass", "FailsOver"),
    "a gap before the primary went": ({KILLED: {"ledger": late(1.0, 4.0)}}, "Pass", "FailsOver"),
    "lost when asked to go": ({HANDOVER: {"ledger": replace(WELL, lost=1)}}, "Fail", "HandOverLosesWrites"),
    "lost when killed": ({KILLED: {"ledger": replace(WELL, lost=1)}}, "Fail", "FailoverLosesWrites"),
    "too slow": ({KILLED: {"ledger": late(3.9, 34.1)}}, "Fail", "FailoverTooSlow"),
    "writes never come back": ({KILLED: {"ledger": late(4.0, 600.0)}}, "Fail", "FailoverTooSlow"),
    "too slow, and nobody had a CPU": ({KILLED: {"ledger": late(4.0, 40.0), "crowded": 0.9}}, "Unknown", "DrillDisturbed"),
    "too slow, and our own loop was late": ({KILLED: {"ledger": late(4.0, 40.0), "lag": 0.3}}, "Fail", "FailoverTooSlow"),
    "lost, and nobody had a CPU": ({KILLED: {"ledger": replace(WELL, lost=1), "crowded": 0.9}}, "Fail", "FailoverLosesWrites"),
    "crowded in the other arm": ({HANDOVER: {"crowded": 0.9}, KILLED: {"ledger": late(4.0, 40.0)}}, "Fail", "FailoverTooSlow"),
    "nobody follows": ({HANDOVER: {"moments": NEVER_OTHER}}, "Fail", "NoFailover"),
    "nobody follows, and nothing can be read": (
        {HANDOVER: {"moments": NEVER_OTHER, "ledger": replace(WELL, read=False)}}, "Fail", "NoFailover",
    ),
    "it does not come back": ({KILLED: {"moments": NEVER_WHOLE}}, "Fail", "NotWholeAgain"),
    "a failure and an open question": (
        {HANDOVER: {"ledger": replace(WELL, lost=3)}, KILLED: {"problem": HELD, "ledger": None, "moments": ()}},
        "Fail", "HandOverLosesWrites",
    ),
    "nothing could be read": ({KILLED: {"ledger": replace(WELL, read=False)}}, "Unknown", "LedgerNotRead"),
    "its budget held it": ({HANDOVER: {"problem": HELD, "moments": moments(whole=0.5)}}, "Unknown", "Held"),
    "never whole": ({CALM: {"problem": Problem("NotWhole", "c-1 Lagging"), "ledger": None}}, "Unknown", "NotWhole"),
    "undisturbed and slow": ({CALM: {"ledger": replace(QUIET, gaps=((2.0, 4.1),))}}, "Unknown", "ControlArmFailed"),
    "undisturbed and few": ({CALM: {"ledger": replace(QUIET, acknowledged=49)}}, "Unknown", "ControlArmFailed"),
    "undisturbed and lost": ({CALM: {"ledger": replace(QUIET, lost=1)}}, "Unknown", "ControlArmFailed"),
    "undisturbed and not read": ({CALM: {"ledger": replace(QUIET, read=False)}}, "Unknown", "ControlArmFailed"),
    "undisturbed, nothing written": ({CALM: {"ledger": None}}, "Unknown", "ControlArmFailed"),
    "its application gets over it in time": ({KILLED: {"served": served((4.0, 64.0))}}, "Pass", "FailsOver"),
    "a hook takes its time before the primary really goes": ({HANDOVER: {"served": served((96.0, 98.0))}}, "Pass", "FailsOver"),
    "its application takes too long": ({KILLED: {"served": served((4.0, 64.1))}}, "Fail", "ApplicationDoesNotRecover"),
    "its application fails again and again": ({HANDOVER: {"served": served((4.0, 34.0), (70.0, 101.0))}}, "Fail", "ApplicationDoesNotRecover"),
    "its application is ill to the end": ({KILLED: {"served": served((50.0, 60.0), well=False)}}, "Fail", "ApplicationDoesNotRecover"),
    "too long, and nobody had a CPU": ({KILLED: {"served": served((5.0, 90.0)), "crowded": 0.9}}, "Unknown", "DrillDisturbed"),
    "undisturbed and ill": ({CALM: {"served": served((2.0, 3.0))}}, "Unknown", "ApplicationUnwell"),
    "undisturbed and never asked": ({CALM: {"served": (Served("api"),)}}, "Unknown", "ApplicationUnwell"),
    "ill when the primary was to go": ({HANDOVER: {"problem": Problem("ApplicationUnwell", "api"), "moments": moments(whole=0.5)}}, "Unknown", "ApplicationUnwell"),
    "not killed": ({KILLED: {"ledger": None, "moments": ()}}, "Unknown", "NotDrilled"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "result", "reason"), CASES.values(), ids=CASES)
def test_what_a_drill_means(changed: dict[str, Any], result: str, reason: str):
    verdict = judge_outage(drill(**changed), most_seconds=30.0, most_lost=0)

    assert (verdict.result, verdict.reason) == (result, reason)
    assert verdict.result == "Pass" or verdict.fix
    assert verdict.result != "Fail" or (verdict.expected and verdict.observed)


def test_what_may_be_lost_is_what_is_declared_and_never_when_it_hands_over():
    lossy = replace(WELL, lost=7)

    assert judge_outage(drill(killed={"ledger": lossy}), 30.0, 7).reason == "FailsOver"
    assert judge_outage(drill(killed={"ledger": lossy}), 30.0, 6).reason == "FailoverLosesWrites"
    assert judge_outage(drill(handover={"ledger": lossy}), 30.0, 7).reason == "HandOverLosesWrites"


@pytest.mark.parametrize("arm", [CALM, HANDOVER, KILLED])
def test_an_arm_without_an_answer_proves_nothing(arm: str):
    seen = {name: each for name, each in drill().items() if name != arm}

    assert judge_outage(seen, 30.0, 0).reason == "NotDrilled"


@pytest.mark.parametrize(
    ("arm", "changed", "trouble"),
    [
        (CALM, {}, False),
        (CALM, {"ledger": replace(QUIET, lost=1)}, True),
        (CALM, {"problem": HELD}, True),
        (HANDOVER, {}, False),
        (HANDOVER, {"moments": NEVER_WHOLE}, True),
        (HANDOVER, {"ledger": late(4.0, 64.1)}, True),
        (HANDOVER, {"ledger": replace(WELL, lost=3)}, False),
        (HANDOVER, {"ledger": None}, True),
        (CALM, {"served": served((2.0, 3.0))}, True),
        (HANDOVER, {"served": served((4.0, 34.0))}, False),
        (HANDOVER, {"served": served((4.0, 34.1))}, True),
        (HANDOVER, {"served": served((4.0, 5.0), well=False)}, True),
    ],
)
def test_after_which_arm_nothing_more_is_disturbed(arm: str, changed: dict[str, Any], trouble: bool):  # fmt: skip
    assert is_trouble(drill(**{arm: changed})[arm]) is trouble


def test_whole_before_and_after_and_the_control_first():
    names = [arm.name for arm in arms()]

    assert names == sorted(names) == [CALM, HANDOVER, KILLED]
    assert not any(isinstance(step, Oust) for step in arms()[0].steps)
    for arm in arms():
        assert isinstance(arm.steps[0], Whole)
        assert isinstance(arm.steps[1], Record)
    assert [s.grace for arm in arms() for s in arm.steps if isinstance(s, Oust)] == [None, 1]
    assert longest() < 30 * 60  # the least that a window may last


def test_a_script_and_its_answer_survive_being_written_down():
    requests = [FailoverRequest(SUBJECT, arm) for arm in arms()]
    script = script_of("run1", requests)
    seen = drill()[KILLED]

    assert isinstance(script, FailoverScript)
    assert script.arms == arms()
    assert script.deadline == longest()
    assert load_script(dump_script(script)) == script
    assert list(load_timelines("run1", [dump_timeline("run1", seen)])) == [seen]


def test_what_is_told_of_an_arm():
    follows = (Moment(4.0, "ousted", "c-0"), Moment(6.0, "primary", "c-1"))
    seen = replace(drill()[KILLED], moments=follows)

    assert measured(seen) == "killed: longest gap 2.0 s, 5000 acknowledged, 0 lost, c-1 follows"
    ill = replace(seen, served=served((4.0, 7.2)))
    assert measured(ill).endswith("c-1 follows, api ill for 3 s, web ill for 0 s")
    assert measured(Timeline(KILLED, problem=HELD)) == "killed: Held"

"""HLT-004: deep health tells the truth about what the application needs, and shallow health does not need it.

Judged from a clone whose store, or upstream, goes silent and comes back. What deep health says is
not known here, only whether it is ill.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, not_applicable, passed, unknown
from readiness.drills import faulting, trial
from readiness.drills.faulting import BACK, CALM, ILL, SHALLOW, WELL, Case, spoken
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request, Timeline
from readiness.timeline import Exchange

CHECK: Final = "ask each dependency something in deep health, with a timeout of a second or two, and answer 503 when it does not answer"


def ask(subject: Subject) -> tuple[Request, ...]:
    """One clone per dependency."""
    return faulting.ask(subject, faulting.cut_off(subject))


def judge(subject: Subject, answers: Answers) -> Verdict:
    """Of upstreams only those count that deep health speaks of."""
    cases = faulting.cut_off(subject)
    if not cases:
        return trial.undeclared(
            subject,
            "uses: [cache], with cache among spec.dataServices",
            "no dependency is declared that deep health could tell the truth about",
        )
    return faulting.judged(subject, answers, cases, _judge)


def _judge(subject: Subject, case: Case, seen: Mapping[str, Timeline]) -> Verdict:
    timeline = seen["deep"]
    one = partial(_one, timeline)
    well, ill, back = one(WELL), one(ILL), one(BACK)
    if well is None or not well.fits or not _steady(timeline, CALM):
        return _uncontrolled(subject, well)
    if ill is None or back is None:
        return unknown(
            "NotDrilled", "the drill ended before its last question", fix="it is repeated by itself"
        )
    if case.upstream and not ill.fits and spoken(case.name) not in (*well.found, *ill.found):
        return not_applicable("NotSpokenOf", f"deep health does not speak of upstream {case.name}")
    return (
        _untrue(case, timeline, ill)
        or _gone(case, back)
        or passed("DeepHealthTrue", f"deep health follows {case.name} down and up again, shallow health does not")
    )  # fmt: skip


def _untrue(case: Case, seen: Timeline, ill: Exchange) -> Verdict | None:
    if faulting.ended(seen):
        return _depends(case, "its process ends")
    if not ill.fits and ill.answered and ill.status != 200:
        return unknown(
            "DeepHealthUnclear", f"deep health answers neither that it is well nor that it is ill while {case.name} is silent",
            expected="200 or 503", observed=str(ill.status), fix="let nothing limit how often health may be asked",
        )  # fmt: skip
    if not ill.fits:
        return _lies(case) if ill.answered else _hangs(case)
    return None if _steady(seen, SHALLOW) else _depends(case, "no answer of 200 in time")


def _gone(case: Case, back: Exchange) -> Verdict | None:
    if back.fits:
        return None
    return failed(
        "NoRecovery", f"deep health stays ill after {case.name} is back",
        expected=f"200 within {faulting.BACK_WITHIN:g} s", observed="not by then",
        fix="connect again when a connection has failed, and keep no failed state longer than some seconds",
    )  # fmt: skip


def _one(seen: Timeline, label: str) -> Exchange | None:
    return next(iter(seen.labelled(label)), None)


def _steady(seen: Timeline, label: str) -> bool:
    """Whether shallow health answered 200 every time."""
    found = seen.labelled(label)
    return bool(found) and all(x.answered and x.status == 200 for x in found)


def _uncontrolled(subject: Subject, well: Exchange | None) -> Verdict:
    shown = str(well.status) if well is not None and well.answered else "no answer"
    healthy = well is not None and well.fits
    return unknown(
        "ControlArmFailed", "health of a fresh clone is not 200 while nothing is wrong",
        expected="200 from health.path and health.deepPath", observed="health.path is not" if healthy else shown,
        fix=f"declare everything that it looks at in spec.targets[{subject.target.name}]: uses and upstreams",
    )  # fmt: skip


def _lies(case: Case) -> Verdict:
    return failed(
        "DeepHealthLies", f"deep health says that all is well while {case.name} does not answer",
        expected=f"503, or a word such as degraded, within {faulting.ILL_WITHIN:g} s", observed="the usual answer",
        fix=f"{CHECK}; an open connection proves nothing",
    )  # fmt: skip


def _hangs(case: Case) -> Verdict:
    return failed(
        "DeepHealthHangs", f"deep health does not answer while {case.name} does not",
        expected=f"503, or a word such as degraded, within {faulting.ILL_WITHIN:g} s", observed="no answer by then",
        fix=CHECK,
    )  # fmt: skip


def _depends(case: Case, observed: str) -> Verdict:
    return failed(
        "ShallowDepends", f"shallow health fails while {case.name} does not answer: Kubernetes would restart every pod",
        expected="200 from health.path as before", observed=observed,
        fix="answer health.path from memory, and let nothing that waits for a dependency block it",
    )  # fmt: skip


PLUGINS: Final = (
    Control(
        id="HLT-004",
        title="Deep health tells the truth",
        severity=Severity.P1,
        criterion="While a store of uses, or an upstream that deep health speaks of, takes connections and answers nothing, "
        "health.deepPath on a clone answers 5xx, or says degraded, within 10 s, and health.path 200; within 30 s of its return "
        "health.deepPath is 200 again.",
        fix=CHECK,
        safety=Safety.DRILL, max_age=trial.WEEK, needs=("health.deepPath",),
        ask=ask, judge=judge,
        checklists=("000/5.2",),
    ),
)  # fmt: skip

"""What the operator remembers between passes: the standing verdict of every look, and its age.

Values only: a pass receives a Memory and returns the next one. A probe's deviation stands only
after three looks with the same reason; a mixed series is Unknown/Flaky.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from readiness.model import Result, Verdict

LOOK_GAPS: Final = (1.0, 5.0)
LOOKS: Final = len(LOOK_GAPS) + 1
RENEW_AT: Final = 0.8
RUN: Final = ("", "run-at")
PREVIOUS_REVISION_SECONDS: Final = 1800.0
RECHECK_FAILED_SECONDS: Final = 300.0
RECHECK_UNPROVEN_SECONDS: Final = 60.0
UNASKED: Final = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The evidence of one control on one target.

    `standing` is the settled verdict (None before the first), confirmed at `at` (epoch seconds)
    for the revision `key` (UNASKED: there was no way to ask). `streak` holds unsettled looks; the next look is due at `due`.
    """

    key: str
    standing: Verdict | None = None
    at: float = 0.0
    streak: tuple[Verdict, ...] = ()
    due: float = 0.0
    revised_at: float = 0.0


Memory = Mapping[tuple[str, str], Look]
"""Looks by (control id, target name); RUN marks a run asked for by annotation."""


def settle(look: Look, seen: Verdict, *, now: float, max_age: float, jitter: float) -> Look:
    """The look after one more observation.

    A Pass stands at once unless it contradicts a Fail of the series (missing data contradicts
    nothing); so does what already stands. Anything else needs LOOKS equal results. `jitter` in 0…1 spreads the next look over a tenth of the interval;
    what does not hold is looked at again soon, so that a repair shows.
    """
    streak = (*look.streak, seen)
    unopposed = seen.result.holds and all(v.result is Result.UNKNOWN for v in look.streak)
    if unopposed or (len(streak) == 1 and _alike(seen, look.standing)):
        verdict = seen if seen.result.holds else replace(seen, confidence=_confidence(look))
    elif len(streak) < LOOKS:
        return replace(look, streak=streak, due=now + LOOK_GAPS[len(streak) - 1])
    else:
        verdict = _weigh(streak)
    interval = max_age * (RENEW_AT - 0.1 * jitter)
    if not verdict.result.holds:
        failed = verdict.result is Result.FAIL
        soon = RECHECK_FAILED_SECONDS if failed else RECHECK_UNPROVEN_SECONDS
        interval = min(interval, soon * (1 - 0.1 * jitter))
    return replace(look, standing=verdict, at=now, streak=(), due=now + interval, revised_at=0.0)


def unasked(verdict: Verdict, now: float) -> Look:
    """The look of a control that has no way to ask; it is looked at as soon as there is one."""
    return Look(UNASKED, verdict, at=now, due=float("inf"))


def _alike(seen: Verdict, standing: Verdict | None) -> bool:
    return standing is not None and (seen.result, seen.reason) == (standing.result, standing.reason)


def _confidence(look: Look) -> str:
    return look.standing.confidence if look.standing else ""


def _weigh(streak: tuple[Verdict, ...]) -> Verdict:
    last = streak[-1]
    agreeing = sum((v.result, v.reason) == (last.result, last.reason) for v in streak)
    if agreeing == len(streak):
        return replace(last, confidence=f"{agreeing}/{len(streak)}")
    seen = ", ".join(f"{v.result}/{v.reason}" for v in streak)
    return Verdict(
        Result.UNKNOWN,
        "Flaky",
        f"{len(streak)} looks disagree: {seen}",
        expected=last.expected,
        observed=seen,
        fix="look at the replicas one by one; repeat with the annotation readiness.dev/run-at",
        where=last.where,
        via=last.via,
        confidence=f"{agreeing}/{len(streak)}",
    )

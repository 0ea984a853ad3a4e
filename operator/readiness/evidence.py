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


@dataclass(frozen=True, slots=True)
class Look:
    """The evidence of one control on one target.

    `standing` is the settled verdict (None before the first), confirmed at `at` (epoch seconds)
    for the revision `key`. `streak` holds unsettled looks; the next look is due at `due`.
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

    A Pass stands at once unless it interrupts a series; anything else needs LOOKS equal results.
    `jitter` in 0…1 spreads the next look over a tenth of the interval.
    """
    streak = (*look.streak, seen)
    if len(streak) == 1 and seen.result.holds:
        return _stand(look, seen, now=now, interval=max_age * (RENEW_AT - 0.1 * jitter))
    if len(streak) < LOOKS:
        return replace(look, streak=streak, due=now + LOOK_GAPS[len(streak) - 1])
    return _stand(look, _weigh(streak), now=now, interval=max_age * (RENEW_AT - 0.1 * jitter))


def _stand(look: Look, verdict: Verdict, *, now: float, interval: float) -> Look:
    return replace(look, standing=verdict, at=now, streak=(), due=now + interval, revised_at=0.0)


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

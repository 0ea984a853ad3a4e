"""What the operator remembers between passes: the standing verdict of every look, and its age.

Values only: a pass receives a Memory and returns the next one. A probe's deviation stands only
after three looks with the same reason, a drill's after two of three; a mixed series is Unknown/Flaky.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from readiness.model import Result, Safety, Verdict

RENEW_AT: Final = 0.8
SPOILED: Final = "DrillDisturbed"
RUN: Final = ("", "run-at")
PREVIOUS_REVISION_SECONDS: Final = 1800.0
FLAKY: Final = "Flaky"
UNASKED: Final = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The evidence of one control on one target.

    `standing` is the settled verdict (None before the first), confirmed at `at` (epoch seconds)
    for the revision `key` (UNASKED: there was no way to ask). `streak` holds unsettled looks at the
    revision `current`, which is there now; the next look is due at `due`. `revised_at`: since when it is not `key`.
    """

    key: str
    standing: Verdict | None = None
    at: float = 0.0
    streak: tuple[Verdict, ...] = ()
    due: float = 0.0
    revised_at: float = 0.0
    current: str = ""


Memory = Mapping[tuple[str, str], Look]
"""Looks by (control id, target name); RUN marks a run asked for by annotation."""


@dataclass(frozen=True, slots=True)
class Series:
    """How looks become a verdict: `gaps` are the seconds between looks in doubt, `agreeing` how many
    must see the same deviation. What does not hold is looked at again soon, so that a repair shows;
    `strict`: a Pass after a Fail of the same revision needs every look. A look that was spoiled is
    not counted but taken again after each of `discards` seconds; then it is the answer.
    """

    gaps: tuple[float, ...]
    agreeing: int
    failed_after: float
    unproven_after: float
    strict: bool = False
    discards: tuple[float, ...] = ()

    @property
    def looks(self) -> int:
        """How many looks a doubt takes at most."""
        return len(self.gaps) + 1

    def settle(
        self, look: Look, seen: Verdict, *, now: float, max_age: float, jitter: float
    ) -> Look:
        """The look after one more observation of what `revised` has brought it to.

        A Pass stands at once unless it contradicts a Fail (missing data contradicts nothing); so
        does what already stands of this revision. What is in doubt leaves what stands as it is.
        `jitter` in 0…1 spreads the next look over a tenth of the interval.
        """
        streak = (*look.streak, seen)
        spoiled = sum(v.reason == SPOILED for v in streak)
        if seen.reason == SPOILED and spoiled <= len(self.discards):
            return replace(look, streak=streak, due=now + self.discards[spoiled - 1])
        streak = tuple(v for v in streak if v.reason != SPOILED)
        if not streak or seen.reason == SPOILED:
            verdict = seen
        elif self._unopposed(look, seen) or (len(streak) == 1 and _stands_already(seen, look)):
            verdict = seen if seen.result.holds else replace(seen, confidence=_confidence(look))
        elif (agreed := self._agreed(streak)) is not None:
            verdict = agreed
        elif len(streak) < self.looks:
            return replace(look, streak=streak, due=now + self.gaps[len(streak) - 1])
        else:
            verdict = _flaky(streak)
        interval = max_age * (RENEW_AT - 0.1 * jitter)
        if not verdict.result.holds:
            soon = self.failed_after if verdict.result is Result.FAIL else self.unproven_after
            interval = min(interval, soon * (1 - 0.1 * jitter))
        return Look(
            look.current or look.key, verdict, now, due=now + interval, current=look.current
        )

    def _unopposed(self, look: Look, seen: Verdict) -> bool:
        doubted = self.strict and not look.revised_at and _deviates(look.standing)
        clear = all(v.result is Result.UNKNOWN for v in look.streak)
        return seen.result.holds and clear and not doubted

    def _agreed(self, streak: tuple[Verdict, ...]) -> Verdict | None:
        """The newest look, when enough of the series saw the same."""
        last, agreeing = streak[-1], _agreeing(streak)
        if agreeing < (self.looks if last.result.holds else self.agreeing):
            return None
        return replace(last, confidence=f"{agreeing}/{len(streak)}")


PROBES: Final = Series(gaps=(1.0, 5.0), agreeing=3, failed_after=300.0, unproven_after=60.0)
DRILLS: Final = Series(
    (1.0, 1.0), agreeing=2, failed_after=86400.0, unproven_after=700.0, strict=True,
    discards=(30.0, 120.0, 300.0),
)  # fmt: skip
"""A clone of a deterministic failure need not start every five minutes, and after an open question
none starts within ten, jitter included."""


OUTAGES: Final = Series((), agreeing=1, failed_after=86400.0, unproven_after=3600.0)
"""What is live is not disturbed again to see whether it fails again."""


def series_of(safety: Safety) -> Series:
    """How looks of a class of controls are weighed."""
    if safety is Safety.DISRUPTIVE:
        return OUTAGES
    return DRILLS if safety is Safety.DRILL else PROBES


def revised(look: Look, key: str, now: float) -> Look:
    """The look after what it saw may have changed, or changed back. Doubts of another revision are none."""
    if look.current != key:
        look = replace(look, current=key, streak=())
    if look.standing is None or look.key in (key, UNASKED):
        return replace(look, revised_at=0.0) if look.revised_at else look
    return look if look.revised_at else replace(look, revised_at=now)


def unasked(verdict: Verdict, now: float) -> Look:
    """The look of a control that has no way to ask; it is looked at as soon as there is one."""
    return Look(UNASKED, verdict, at=now, due=float("inf"))


def _alike(seen: Verdict, standing: Verdict | None) -> bool:
    return standing is not None and (seen.result, seen.reason) == (standing.result, standing.reason)


def _stands_already(seen: Verdict, look: Look) -> bool:
    return not look.revised_at and _alike(seen, look.standing)


def _confidence(look: Look) -> str:
    return look.standing.confidence if look.standing else ""


def _deviates(standing: Verdict | None) -> bool:
    return standing is not None and (standing.result is Result.FAIL or standing.reason == FLAKY)


def _agreeing(streak: tuple[Verdict, ...]) -> int:
    return sum(_alike(streak[-1], v) for v in streak)


def _flaky(streak: tuple[Verdict, ...]) -> Verdict:
    last = streak[-1]
    seen = ", ".join(f"{v.result}/{v.reason}" for v in streak)
    return Verdict(
        Result.UNKNOWN,
        FLAKY,
        f"{len(streak)} looks disagree: {seen}",
        expected=last.expected,
        observed=seen,
        fix="look at the replicas one by one; repeat with the annotation readiness.dev/run-at",
        where=last.where,
        via=last.via,
        confidence=f"{_agreeing(streak)}/{len(streak)}",
        evidence=" | ".join(v.evidence for v in streak if v.evidence),
    )

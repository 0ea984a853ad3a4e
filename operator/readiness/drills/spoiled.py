"""The one rule by which a drill fails nobody for what happened around its clone. Every judge of a drill goes through it.

A prober that is held up, a CPU that others have, a node that goes away: what is seen meanwhile may be the
application's doing or not. How a verdict is found is not known here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from readiness.control import unknown
from readiness.evidence import SPOILED
from readiness.model import Result, Verdict
from readiness.timeline import Timeline

MOST_LAG: Final = 0.2
MOST_THROTTLED: Final = 0.25
MOST_CROWDED: Final = 0.7
MOST_STARVED: Final = 0.5
LATE: Final = frozenset({
    "ApplicationDoesNotRecover", "DeepHealthHangs", "DeepHealthLies", "DrainExceeded", "DrainNotConfigurable",
    "DrainTooLong", "EffectDuplicated", "FailoverTooSlow", "GapsDoNotGrow", "HealthSuffers", "JobLost", "KilledAtGrace", "LikelyLameDuck", "LingersWhenIdle", "NoRecovery",
    "NoTimeout", "NotLogged", "NotRecovered", "ShallowDepends", "SignalIgnored", "SilentFallback", "SlowerStart",
    "Unbounded", "WaitsForConnections", "WriteHangs",
})  # fmt: skip
"""What a machine that has no CPU left does to an application that would have been in time: it works, ends, refuses
or tells later than it is waited for. What a start that hangs has waited for is known exactly (`starting.py`)."""
KEPT: Final = frozenset({"MemoryGrows", "NearLimit", "OutOfMemory"})
"""What is in memory is there however little CPU it is given. Ten bodies at a time make a small limit of CPU felt."""


def disturbed(what: str) -> Verdict:
    """The verdict on a look that says nothing, and is taken again by itself."""
    return unknown(
        SPOILED, f"the look was spoiled: {what} meanwhile",
        expected="an undisturbed clone", observed=what,
        fix="it is repeated by itself; if that does not help, give the node or the clone more CPU",
    )  # fmt: skip


def spoiled(seen: Timeline) -> Verdict | None:
    """What disturbed the look itself, so that it says nothing about the application."""
    if seen.lag > MOST_LAG:
        return replace(disturbed("the prober itself was held up"), evidence=f"{seen.lag:.2f} s late")  # fmt: skip
    if any(moment.name == "flapped" for moment in seen.moments):
        return disturbed("the clone's node was not Ready")
    if seen.throttled > MOST_THROTTLED:
        return disturbed("the clone's CPU was throttled")
    return None


def fair(
    verdict: Verdict, *seen: Timeline, took: float | None = None, deaf: bool = False
) -> Verdict:
    """A verdict on these timelines, where a Fail can only be the application's doing.

    `took` is how long its end took at least. Who is `deaf`, killed with nothing to do, is so however crowded it
    is, unless that very clone waited for a CPU.
    """
    if verdict.result is not Result.FAIL:
        return verdict
    for each in seen:
        wrong = spoiled(replace(each, throttled=0.0) if verdict.reason in KEPT else each)
        if wrong is None and verdict.reason in LATE:
            wrong = _delayed(each, took, deaf=deaf)
        if wrong is not None:
            return _instead(wrong, verdict)
    return verdict


def fair_to_live(verdict: Verdict, seen: Timeline) -> Verdict:
    """The same where something live was disturbed: there is no clone, and seconds are counted in tens."""
    late = verdict.result is Result.FAIL and verdict.reason in LATE
    wrong = _delayed(seen, None, deaf=False) if late else None
    return _instead(wrong, verdict) if wrong is not None else verdict


def _instead(wrong: Verdict, of: Verdict) -> Verdict:
    evidence = f"{of.evidence} {wrong.evidence}".strip()
    return replace(wrong, evidence=evidence, where=of.where, via=of.via)


def _delayed(seen: Timeline, took: float | None, *, deaf: bool) -> Verdict | None:
    """What kept a clone from being in time, by our own feeling or by what was read beside it."""
    if seen.crowded > MOST_CROWDED and not deaf:
        return disturbed("the machine was crowded")
    starved = took is not None and seen.starved > MOST_STARVED * took
    return disturbed("the clone waited for a CPU") if starved else None

"""The arm that starts an application twice on the same throw-away stores, and how long each start took.

What that means for a requirement is not known here.
"""

from __future__ import annotations

from typing import Final

from readiness.control import Subject
from readiness.drills.arms import SETTLE, boot_seconds, terms_of
from readiness.drills.starting import config_of
from readiness.drills.subject import drill_subject
from readiness.request import DrillRequest
from readiness.script import Arm
from readiness.step import Boot, Exit, Logs, Meter, Pause, Peek, Step, Stop
from readiness.timeline import NEVER, Timeline
from readiness.workload import app_container

SAID: Final = 10.0
"""How long after it is Ready an application may still say that it sets up its store."""
SHARE: Final = 0.1
ALLOWANCE: Final = 5.0
"""What two equal starts may differ by on a busy node, besides the period of the probe that tells Ready."""
PERIOD: Final = 10.0


def request_of(subject: Subject) -> DrillRequest | None:
    """The arm as a request; none without a workload, a word to look for, or a store that both starts share."""
    pattern = config_of(subject).bootstrap_pattern
    if subject.workload is None or pattern is None:
        return None
    whose, boot = drill_subject(subject), (Meter(), Boot(boot_seconds(subject)))
    if not whose.stores:
        return None
    first, second = (
        Logs(label, (pattern,), within=within)
        for label, within in (("first", SAID), ("second", 0.0))
    )
    places = places_of(subject)
    looks = [(Peek(label, places),) if places else () for label in ("first", "second")]
    end = (Pause(SETTLE), *looks[0], Stop(), Exit(terms_of(subject).grace + 10))
    steps: tuple[Step, ...] = (*boot, first, *end, *boot, Pause(SAID), second, *looks[1])
    return DrillRequest(whose, Arm("twice", steps, apart=True))


def places_of(subject: Subject) -> tuple[tuple[str, str, str], ...]:
    """Where the hashes are that a second start must leave as they are: store, key, field."""
    data = subject.target.data
    known = {store.name for store in drill_subject(subject).stores if store.kind == "redis"}
    hashes = data.password_hashes if data else ()
    return tuple((h.store, h.key, h.field or "") for h in hashes if h.store in known)


def starts_of(seen: Timeline) -> tuple[float, float] | None:
    """Seconds from running to Ready of the first and of the second clone, where both were seen."""
    took = [
        seen.moment("ready", clone)
        - max(seen.moment("running", clone), seen.moment("created", clone))
        for clone in (0, 1)
        if seen.moment("ready", clone) != NEVER
    ]
    return (took[0], took[1]) if len(took) == 2 else None


def limit_of(subject: Subject, first: float) -> float:
    """How long the second start may take: readiness is told once in a probe's period only."""
    container = app_container(subject.workload or {}, subject.target.container) or {}
    probes = (container.get(name) or {} for name in ("readinessProbe", "startupProbe"))
    period = sum(float(probe.get("periodSeconds", PERIOD)) for probe in probes if probe)
    return first * (1 + SHARE) + period + ALLOWANCE

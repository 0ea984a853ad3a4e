"""The arms of a shutdown drill: what is done to a clone so that its end proves something.

Steps composed from what a target declares and its template shows; who carries them out and what
they mean is not known here. A clone settles before it is told to end: one that has just become
Ready gets its signal a second or two late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Subject
from readiness.drills.subject import drill_subject
from readiness.model import Manifest
from readiness.script import Arm, DrillRequest, Edit
from readiness.step import Boot, Exit, Flow, Hold, Knock, Meter, Pause, Send, Step, Stop
from readiness.workload import DEFAULT_GRACE_SECONDS, app_container, pod_spec, pre_stop_seconds

FAST: Final = "fast"
SLOW: Final = "slow"
HELD: Final = "held"
KNOCK: Final = "knock"
STUCK: Final = "stuck"
PLACE: Final = "{seconds}"
BOOT: Final = 120.0
SETTLE: Final = 4.5
"""From three to four seconds after Ready on the signal comes at once, also where a meter has just started."""
WARM: Final = 3.0
LEAD: Final = 1.0
"""How long before the signal knocking begins."""
MOST_KNOCKS: Final = 400
EDITED_DRAIN: Final = 3
WATCHED: Final = 0.6
"""For how long after its deletion a clone is knocked at, however soon it has gone: that tells one that is gone too soon."""
APART: Final = 3.5
"""How long before the signal the endless request begins: one that is capped at the drain ends too early."""
SHORTEST, LONGEST = 3, 300
TURN: Final = 0.5
"""How soon after a slow request has ended the next one begins."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a target promises about its end, in seconds. `hook` None: preStop hides its duration.

    `long` and `short` are how long its slow requests take; 0 when none is declared.
    """

    drain: float
    lame_duck: float
    refuse_after: float
    idle_exit: float
    propagation: float
    grace: float
    hook: float | None
    long: int = 0
    short: int = 0


def terms_of(subject: Subject) -> Terms:
    """From the target's declaration and the pod template."""
    declared, workload = subject.target.shutdown, subject.workload or {}
    drain = seconds(declared.drain)
    grace = pod_spec(workload).get("terminationGracePeriodSeconds")
    long = min(LONGEST, max(SHORTEST, int(0.8 * drain))) if declared.slow_request else 0
    return Terms(
        drain=drain,
        lame_duck=seconds(declared.lame_duck or "0s"),
        refuse_after=seconds(declared.refuse_after),
        idle_exit=seconds(declared.idle_exit),
        propagation=seconds(declared.propagation),
        grace=float(DEFAULT_GRACE_SECONDS if grace is None else grace),
        hook=pre_stop_seconds(app_container(workload, subject.target.container) or {}),
        long=long,
        short=min(long, max(2, round(0.25 * drain))) if timed(subject) else long,
    )


def timed(subject: Subject) -> bool:
    """Whether the slow request takes as long as it is told to."""
    slow = subject.target.shutdown.slow_request
    return slow is not None and PLACE in slow.path


def fast_path(subject: Subject) -> str:
    """What a pod answers at once: its health, else what anyone may read, else the root."""
    health, http = subject.target.health, subject.target.http
    if health is not None:
        return health.path
    return http.public[0] if http is not None and http.public else "/"


def requests_of(subject: Subject, *names: str) -> dict[str, DrillRequest]:
    """The named arms as requests, as far as they apply to the subject."""
    if subject.workload is None:
        return {}
    whose, arms = drill_subject(subject), arms_of(subject)
    return {name: DrillRequest(whose, arms[name]) for name in names if name in arms}


def arms_of(subject: Subject) -> Mapping[str, Arm]:
    """Every arm of a shutdown drill that applies to the subject, by name.

    Without a port nothing is requested; without a slow request nothing is in flight.
    """
    terms, port = terms_of(subject), drill_subject(subject).port
    boot = Boot(boot_seconds(subject))
    fast: tuple[Step, ...] = (Send(FAST, fast_path(subject), times=5),) if port else ()
    knocks = (_knock(subject, terms, terms.refuse_after + 10), Pause(LEAD)) if port else ()

    def rested(length: float) -> tuple[Step, ...]:
        return (Meter(), boot, Pause(length), *fast)

    calm = rested(SETTLE - LEAD if port else SETTLE)
    warm = rested(WARM)  # what follows takes long enough to settle
    load = _load(subject, terms) if port and terms.long else ()
    end, interrupt = (Stop(), Exit(terms.grace + 10)), (Stop("INT"), Exit(terms.drain + 5))
    found = {
        "idle": rested(SETTLE) + end,
        "held": (*calm, _hold(subject, terms), *knocks, Stop(), Exit(terms.grace + 10, WATCHED))
        if port
        else (),
        "waves": warm + load + end if load else (),
        "stuck": warm + _stuck(subject, terms, terms.long) + end if load and timed(subject) else (),
        "drain-env": warm + _stuck(subject, terms, 2) + end if load and timed(subject) else (),
        "sigint": (warm + load if load else calm + knocks) + interrupt,
    }
    return _edited(subject, {name: Arm(name, steps) for name, steps in found.items() if steps})


def boot_seconds(subject: Subject) -> float:
    """How long a clone may take to become Ready: two minutes, and what its own probes allow."""
    container: Manifest = app_container(subject.workload or {}, subject.target.container) or {}
    startup, ready = container.get("startupProbe") or {}, container.get("readinessProbe") or {}
    allowed = startup.get("periodSeconds", 10) * startup.get("failureThreshold", 3)
    waits = startup.get("initialDelaySeconds", 0) + ready.get("initialDelaySeconds", 0)
    return float(min(600, BOOT + waits + (allowed if startup else 0)))


def _edited(subject: Subject, arms: Mapping[str, Arm]) -> Mapping[str, Arm]:
    """The arm whose drain is configured anew carries the variable; undeclared, there is none."""
    env = subject.target.shutdown.drain_env
    if env is None or "drain-env" not in arms:
        return {name: arm for name, arm in arms.items() if name != "drain-env"}
    value = str(EDITED_DRAIN * (1000 if env.unit == "ms" else 1))
    return {**arms, "drain-env": Arm("drain-env", arms["drain-env"].steps, (Edit(env.name, value),))}  # fmt: skip


def _hold(subject: Subject, terms: Terms) -> Hold:
    late = terms.refuse_after + terms.lame_duck + 1
    return Hold(HELD, fast_path(subject), reuse_after=(0.5, late))


def _knock(subject: Subject, terms: Terms, after: float) -> Knock:
    """Knocks until `after` seconds past the signal, at most ten a second and MOST_KNOCKS in all."""
    hook = terms.grace if terms.hook is None else terms.hook
    every = max(0.1, round((LEAD + hook + terms.lame_duck + after) / MOST_KNOCKS, 2))
    return Knock(KNOCK, fast_path(subject), every=every, most=MOST_KNOCKS)


def _load(subject: Subject, terms: Terms) -> tuple[Step, ...]:
    """Slow requests without a break, of both lengths; the long one has been seen to work before the signal."""
    lengths = dict.fromkeys((terms.long, terms.short))
    paths = tuple((float(n), _slow_path(subject, n)) for n in lengths)
    flow = Flow(SLOW, paths, size=4 if timed(subject) else 1, every=TURN)
    measure = (Send("measure", _slow_path(subject, 1), parallel=8, seconds=1.0, measure=True),)
    knock = _knock(subject, terms, terms.drain + 2)
    last = (Pause(_lead_in(terms) - LEAD), _hold(subject, terms), knock, Pause(LEAD))
    return (*(measure if timed(subject) else ()), flow, *last)


def _lead_in(terms: Terms) -> float:
    """How long the flow runs before the stop, so that the signal finds a request half-way.

    That matters where requests run one after another: long, short, long, with a turn between.
    """
    hook, starts = terms.hook or 0.0, [0.0]
    lengths = [terms.long, terms.short] * (int(hook / (terms.long + terms.short)) + 3)
    for length in lengths:
        starts.append((starts[-1] + length) // TURN * TURN + TURN)
    earliest = terms.long + LEAD
    late = (earliest + TURN * n for n in range(2 * terms.short + 6))
    fits = (
        at for at in late
        if any(s + 1 <= at + hook <= s + n - 2 for s, n in zip(starts, lengths, strict=False))
    )  # fmt: skip
    return next(fits, earliest)


def _stuck(subject: Subject, terms: Terms, control: int) -> tuple[Step, ...]:
    """One request that outlasts every drain, after one of `control` seconds that must work."""
    forever = max(4 * terms.drain, terms.grace + 10)
    path = _slow_path(subject, int(forever))
    return (
        Send(SLOW, _slow_path(subject, control), seconds=float(control)),
        Flow(STUCK, ((forever, path),), size=1, every=forever),
        Pause(APART),
    )


def _slow_path(subject: Subject, length: int) -> str:
    slow = subject.target.shutdown.slow_request
    return slow.path.replace(PLACE, str(length)) if slow is not None else ""

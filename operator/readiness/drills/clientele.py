"""The applications of a data service whose primary is taken away: who is asked, and what their answers mean.

Pure. Asked is where an application tells most of its stores: deep health, else its first public route, else health.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from readiness import hops
from readiness.control import Subject, failed, unknown
from readiness.failover import Application
from readiness.model import Verdict
from readiness.timeline import Timeline

if TYPE_CHECKING:
    from readiness.api.target import Target

RECOVERS: Final = 60.0
"""For how long, all in all, an application may answer 5xx, or nothing: a hook may take its time until the primary really goes."""
ENOUGH: Final = 30.0
"""Nothing more is disturbed once an application has not been well for so long."""


def applications_of(subject: Subject, store: str) -> tuple[Application, ...]:
    """Whom to ask while the primary of a data service is away."""
    return tuple(each for each in _found(subject, store) if isinstance(each, Application))


def unseen(subject: Subject, store: str) -> Verdict | None:
    """The first application that declares how it is asked, and that nobody finds there."""
    return next((each for each in _found(subject, store) if isinstance(each, Verdict)), None)


def uncontrolled(seen: Timeline) -> Verdict | None:
    """Why applications that nothing disturbs prove nothing about those that something does."""
    ill = [each.name for each in seen.served if each.down or not each.asked]
    if not ill:
        return None
    return unknown(
        "ApplicationUnwell", f"{', '.join(ill)} answers 5xx, or nothing, before anything is disturbed",
        expected="an answer below 500, once a second", observed="not every time",
        fix="see its log, and whether a NetworkPolicy keeps the pod of the drill from its Service",
    )  # fmt: skip


def is_harmed(seen: Timeline) -> bool:
    """Whether an application suffers so much that nothing more must be disturbed."""
    return any(end - start > ENOUGH for each in seen.served for start, end in each.down) or not all(
        each.well for each in seen.served
    )


def judge_served(seen: Timeline, way: str) -> Verdict | None:
    """What is wrong with how applications got over it."""
    ill = [s.name for s in seen.served if not s.well or sum(end - start for start, end in s.down) > RECOVERS]  # fmt: skip
    if not ill:
        return None
    return failed(
        "ApplicationDoesNotRecover", f"{', '.join(ill)} does not get over it that the primary {way}",
        expected=f"answers of 500 and more, or none, for {RECOVERS:g} s at most", observed="for longer",
        fix="have its client look for the primary anew after an error (Sentinels, every host of the replica set, every broker), with a timeout of a few seconds, and connect again",
    )  # fmt: skip


def told(seen: Timeline) -> str:
    """How long each application was not well, for the evidence."""
    longest = ((s.name, max((end - start for start, end in s.down), default=0.0)) for s in seen.served)  # fmt: skip
    return "".join(f", {name} ill for {seconds:.0f} s" for name, seconds in longest)


def _found(subject: Subject, store: str) -> Iterator[Application | Verdict]:
    for target in subject.policy.targets:
        path = _path(target)
        if store in target.uses and target.service is not None and path:
            hop = hops.service_hop(target, subject.snapshot)
            if hop is None:
                yield unknown(
                    "ApplicationUnseen", f"whether {target.name} survives cannot be seen: its Service has no address or no such port",
                    fix=f"correct spec.targets[{target.name}].service",
                )  # fmt: skip
            else:
                yield Application(target.name, hop.host, hop.address, hop.port, path, tls=hop.tls)


def _path(target: Target) -> str:
    health, public = target.health, target.http.public if target.http else ()
    deep = health.deep_path if health else None
    return deep or next(iter(public), health.path if health else "")

"""Defects of the end: what a process does wrong after its signal. They show on clones that are stopped."""

import signal
from collections.abc import Callable
from dataclasses import replace

from specimen.defects.starting import Parts, StartDefect

FOREVER = 3600.0


def ending(**change: object) -> Callable[[Parts], Parts]:
    """Ends otherwise."""
    return lambda parts: replace(parts, end=replace(parts.end, **change))


DEFECTS: dict[str, StartDefect] = {
    defect.id: defect
    for defect in (
        StartDefect("SHD-001/exit-code", "after SIGTERM it ends with 0 or 143", {"SHD-001": "ExitCode", "SHD-002": "ExitCode"}, ending(code=1)),
        StartDefect("SHD-001/deaf", "SIGTERM ends it", {"SHD-001": "KilledAtGrace", "SHD-003": "AcceptsNewWork", "SHD-005": "KilledAtGrace", "SHD-006": "KilledAtGrace"}, ending(signals=(signal.SIGINT,))),
        StartDefect("SHD-002/deaf", "SIGINT ends it", {"SHD-002": "SignalIgnored"}, ending(signals=(signal.SIGTERM,))),
        StartDefect("SHD-003/accepts", "it takes no new request", {"SHD-003": "AcceptsNewWork"}, ending(accepts=True)),
        StartDefect("SHD-004/cuts", "requests under way are finished", {"SHD-004": "InFlightLost", "SHD-001": "NotDrained", "SHD-002": "NotDrained", "SHD-005": "DrainTooShort"}, ending(drain=lambda _: 0.0), unproven={"SHD-003": "EndsFirst"}),
        StartDefect("SHD-005/endless", "the drain has a limit", {"SHD-005": "KilledAtGrace"}, ending(drain=lambda _: FOREVER)),
        StartDefect("SHD-006/lingers", "with nothing open it ends at once", {"SHD-006": "LingersWhenIdle"}, ending(lingers=6.0)),
    )
}  # fmt: skip

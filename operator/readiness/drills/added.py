"""What a drill adds to the time that the application itself needs.

An arm takes as long as its clones take to start, to do what they are asked to take long for, and to
end. The rest is the drill's: settling, quick requests, last answers. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from readiness.timeline import NEVER, Timeline


def added_of(seen: Timeline) -> float:
    """Seconds of an arm in which no clone was starting, working on a slow request or a scenario, or ending.

    What isolates a clone, and what else the node does before it runs, is part of its start.
    """
    spans = sorted(_needed(seen))
    if not spans:
        return 0.0
    at, added = spans[0][0], 0.0
    for start, end in (*spans, (_last(seen),) * 2):
        added += max(0.0, start - at)
        at = max(at, end)
    return added


def _needed(seen: Timeline) -> Iterator[tuple[float, float]]:
    for clone in {m.clone for m in seen.moments if m.name == "created"}:
        created, ready, stopped = (seen.moment(n, clone) for n in ("created", "ready", "stopped"))
        own = (e.at for e in seen.endings if (e.container, e.clone) == (seen.container, clone))
        ended = next(own, _last(seen))
        yield created, ended if ready == NEVER else ready
        if stopped != NEVER:
            yield stopped, ended
    yield from ((x.start, x.end) for x in seen.exchanges if x.seconds and x.end != NEVER)
    yield from ((check.start, check.end) for check in seen.checks)


def _last(seen: Timeline) -> float:
    """When the last thing was seen that the arm waited for."""
    ends = (*(x.end for x in seen.exchanges), *(c.end for c in seen.checks))
    return max((*ends, *(e.at for e in seen.endings), *(s.at for s in seen.said)), default=NEVER)

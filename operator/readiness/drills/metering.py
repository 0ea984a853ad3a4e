"""What a meter's samples say: how long a clone was held back, and how its memory went.

The meter writes a line per sample; only numbers come out of it. What they mean for a requirement is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Final

from readiness.timeline import NEVER, Sample

STEP: Final = 1024 * 1024
"""A change of memory smaller than this is not kept."""


def dump_sample(sample: Sample) -> str:
    """The meter's line of a sample."""
    return json.dumps({"sample": asdict(sample)})


def dump_obstacle(words: str) -> str:
    """The meter's line about what it cannot read."""
    return json.dumps({"unmeasured": words})


def read_line(line: str, epoch: float) -> Sample | str | None:
    """A sample in seconds since `epoch`, or what could not be read; None for any other line."""
    try:
        found = json.loads(line)
        if "unmeasured" in found:
            return str(found["unmeasured"])
        sample = Sample(**found["sample"])
        return replace(sample, at=sample.at - epoch)
    except (ValueError, TypeError, KeyError):
        return None


def throttled_of(samples: Iterable[Sample], since: float) -> float:
    """The share of the time from `since` on in which a quota held the clone back; NEVER: not measured."""
    told = [s for s in samples if s.held != NEVER and s.at >= since]
    if len(told) < 2:
        return NEVER
    first, last = told[0], told[-1]
    return min(1.0, (last.held - first.held) / (last.at - first.at))


def starved_of(samples: Iterable[Sample], until: float) -> float:
    """For how long, at most, the clone may have wanted a CPU and had none; NEVER: not measured.

    What came after the last sample counts as waiting: nobody saw it.
    """
    told = [s for s in samples if s.waited != NEVER]
    return told[-1].waited + max(0.0, until - told[-1].at) if told else NEVER


def waited_of(samples: Iterable[Sample], since: float) -> float:
    """For how long the clone's threads waited for a CPU from a time on, as far as anybody looked; NEVER: not measured."""
    told = [s for s in samples if s.waited != NEVER]
    before = [s for s in told if s.at <= since]
    return told[-1].waited - before[-1].waited if since != NEVER and before else NEVER


def blind_of(samples: Sequence[Sample]) -> float:
    """The longest time between two samples; NEVER for fewer."""
    return max((b.at - a.at for a, b in pairwise(samples)), default=NEVER)


def thinned(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The first, the last, and between them those in which memory changed."""
    kept: list[Sample] = []
    for each in samples:
        last = kept[-1] if kept else None
        if last is None or _differs(each, last) or each is samples[-1]:
            kept.append(each)
    return tuple(kept)


def _differs(one: Sample, other: Sample) -> bool:
    return (
        abs(one.memory - other.memory) >= STEP
        or abs(one.rss - other.rss) >= STEP
        or one.killed != other.killed
    )

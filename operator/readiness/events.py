"""When an Event may be written: duplicates become a series, floods stop. Limits as client-go's.

Pure, with the clock as an argument: of one object at most 25 events at once and one more every
five minutes; the same event again within ten minutes only counts up; more than ten similar ones
are told as one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from readiness.naming import digest
from readiness.redact import clean

BURST: Final = 25
REFILL_SECONDS: Final = 300.0
WINDOW_SECONDS: Final = 600.0
SIMILAR: Final = 10
OBJECTS: Final = 4096
NOTE_LIMIT: Final = 1000
COMBINED: Final = "(combined from similar events): "


@dataclass(frozen=True, slots=True)
class Posting:
    """What to write: the event `name` with `note`; `count` above 1 continues its series."""

    name: str
    note: str
    count: int


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last: float


@dataclass(slots=True)
class _Object:
    tokens: float = BURST
    filled: float = 0.0
    series: dict[tuple[str, str, str], _Series] = field(default_factory=dict)


class EventLimits:
    """Remembers what was told about which object, for the objects seen last."""

    def __init__(self) -> None:
        self._objects: OrderedDict[str, _Object] = OrderedDict()

    def admit(self, uid: str, type_: str, reason: str, note: str, now: float) -> Posting | None:
        """What to write for this note about the object `uid`, or None when it said enough."""
        known = self._objects.setdefault(uid, _Object(filled=now))
        self._objects.move_to_end(uid)
        while len(self._objects) > OBJECTS:
            self._objects.popitem(last=False)
        known.series = {
            key: series
            for key, series in known.series.items()
            if now - series.last < WINDOW_SECONDS
        }
        note = clean(note, NOTE_LIMIT)
        similar = sum(key[:2] == (type_, reason) for key in known.series)
        if similar >= SIMILAR and (type_, reason, note) not in known.series:
            key, note = (type_, reason, COMBINED), clean(COMBINED + note, NOTE_LIMIT)
        else:
            key = (type_, reason, note)
        if not _spend(known, now):
            return None
        name = f"{digest(uid)}.{digest(uid, *key, str(int(now)))}"
        series = known.series.setdefault(key, _Series(name, 0, now))
        series.count, series.last = series.count + 1, now
        return Posting(series.name, note, series.count)


def _spend(known: _Object, now: float) -> bool:
    elapsed = max(0.0, now - known.filled)
    known.tokens = min(BURST, known.tokens + elapsed / REFILL_SECONDS)
    known.filled = now
    if known.tokens < 1.0:
        return False
    known.tokens -= 1.0
    return True

"""When a schedule falls due, in its own time zone: the one place that knows cron. Pure.

Times are epoch seconds. Where a clock is put forward, what would have been due in the missing hour is due at
its end; where it is put back, it is due once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

__all__ = ["CronSimError", "Window", "due_after", "due_by", "window_at"]


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when something may be done."""

    opens: float
    closes: float

    def holds(self, now: float, seconds: float = 0.0) -> bool:
        """Whether it is open now, and still will be in so many seconds."""
        return self.opens <= now and now + seconds <= self.closes


def window_at(cron: str, zone: str, seconds: float, now: float) -> Window:
    """The window that is open, or else the next one, of those that open by a schedule and stay open for so long."""
    opens = due_by(cron, zone, now)
    if now > opens + seconds:
        opens = due_after(cron, zone, now)
    return Window(opens, opens + seconds)


def due_by(cron: str, zone: str, now: float) -> float:
    """When it last fell due, now included. Raises CronSimError for what is no schedule."""
    return next(CronSim(cron, _local(now + 1, zone), reverse=True)).timestamp()


def due_after(cron: str, zone: str, now: float) -> float:
    """When it falls due next."""
    return next(CronSim(cron, _local(now, zone))).timestamp()


def _local(now: float, zone: str) -> datetime:
    return datetime.fromtimestamp(int(now), ZoneInfo(zone))

"""How crowded the machine is, as the prober itself feels it: how long it waits for a CPU that it wants.

The kernel counts that for every thread. Where it does not, nothing is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

TOLD: Final = Path("/proc/self/schedstat")


class Crowd:
    """Looks, each at a time of the drill: nanoseconds that our thread ran, and waited to run."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, int, int]] = []

    def look(self, at: float) -> None:
        """Note what the kernel has counted until now."""
        try:
            ran, waited, *_ = map(int, TOLD.read_text().split())
        except (OSError, ValueError):
            return
        self._looks.append((at, ran, waited))

    def share(self, since: float) -> float:
        """Of the time since then in which we wanted a CPU, the share in which we had none."""
        looks = [look for look in self._looks if look[0] >= since]
        if not looks:
            return 0.0
        ran, waited = (looks[-1][n] - looks[0][n] for n in (1, 2))
        return waited / (ran + waited) if ran + waited else 0.0

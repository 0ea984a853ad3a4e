"""When a policy's data services are looked at again without anything having changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from readiness.dataservices.ordering import RETRY_SECONDS
from readiness.dataservices.tls import REASON as CERTIFICATE
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.snapshot import Obstacle
from readiness.workload import stamp_of

FOREVER: Final = float("inf")
REPAIR_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0
LATE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 300.0


def next_at(
    wish: Wish, obstacles: Iterable[Obstacle], repaired: Iterable[float], *, waits: bool
) -> float:
    """When warnings may tell more, a write may be tried again, or Secrets are read again.

    `repaired`: when children were put back; `waits`: whether a service still lacks something.
    """
    now, met = wish.now, tuple(obstacles)
    times = [
        *(each.at + RETRY_SECONDS for each in met if each.at),
        *(at + REPAIR_SECONDS + 1 for at in repaired),
    ]
    if any(each.reason == CERTIFICATE for each in met):
        times.append(now + RETRY_SECONDS)
    if waits:
        young = now - _since(wish.policy) < STEADY_SECONDS
        times.append(now + (LOOK_SECONDS if young else LATE_SECONDS))
    return min([now + STEADY_SECONDS, *(at for at in times if at > now)])


def _since(policy: Manifest) -> float:
    """Since when Provisioned says what it says; for ever, where it says nothing yet."""
    rows = (policy.get("status") or {}).get("conditions") or ()
    stamps = (row.get("lastTransitionTime") for row in rows if row.get("type") == "Provisioned")
    return stamp_of(next(stamps, None)) or FOREVER

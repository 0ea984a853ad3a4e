"""When a policy's data services are looked at again without anything having changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from readiness.dataservices.ordering import RETRY_SECONDS
from readiness.dataservices.tls import REASON as CERTIFICATE
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.workload import stamp_of

if TYPE_CHECKING:
    from readiness.dataservices.provision import Service

FOREVER: Final = float("inf")
REPAIR_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0
LATE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 300.0


def next_at(wish: Wish, services: tuple[Service, ...], repaired: Iterable[float]) -> float:
    """When warnings may tell more, a write may be tried again, or Secrets are read again. `repaired`: when children last were."""
    if not services:
        return FOREVER
    now = wish.now
    met = (each.at for service in services for each in service.obstacles if each.at)
    times = [
        *(at + RETRY_SECONDS for at in met),
        *(at + REPAIR_SECONDS + 1 for at in repaired),
    ]
    if any(each.reason == CERTIFICATE for service in services for each in service.obstacles):
        times.append(now + RETRY_SECONDS)
    if any(service.waiting for service in services):
        times.append(
            now + (LOOK_SECONDS if now - _since(wish.policy) < STEADY_SECONDS else LATE_SECONDS)
        )
    return min([now + STEADY_SECONDS, *(at for at in times if at > now)])


def _since(policy: Manifest) -> float:
    """Since when Provisioned says what it says; for ever, where it says nothing yet."""
    rows = (policy.get("status") or {}).get("conditions") or ()
    stamps = (row.get("lastTransitionTime") for row in rows if row.get("type") == "Provisioned")
    return stamp_of(next(stamps, None)) or FOREVER

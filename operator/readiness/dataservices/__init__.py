"""Data services that the operator provides: each kind is a value, found in KINDS.

Pure: orders in; manifests, refusals, readings and commands out. Nothing here knows a cluster.
"""

from __future__ import annotations

from typing import Final

from readiness.dataservices.order import Credential, Kind, Order, Refusal

KINDS: Final[tuple[Kind, ...]] = ()

__all__ = ["KINDS", "Credential", "Kind", "Order", "Refusal"]

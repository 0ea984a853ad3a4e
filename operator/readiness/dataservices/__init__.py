"""Data services that the operator provides: each kind is a value, found in KINDS.

Pure: orders in; manifests, refusals, readings and commands out. Nothing here knows a cluster.
"""

from __future__ import annotations

from typing import Final

from readiness.dataservices.order import Credential, Kind, Order, Refusal
from readiness.dataservices.rabbitmq import RABBITMQ
from readiness.dataservices.redis import REDIS

KINDS: Final[tuple[Kind, ...]] = (REDIS, RABBITMQ)

__all__ = ["KINDS", "Credential", "Kind", "Order", "Refusal"]

"""Loading a dump into a throw-away server on loopback and counting what it holds: a driver for each kind of store.

The server stands in a container of its own beside this process and obeys its script through a directory both see
(`place.py`). Drivers count as the verification of a dump does, so that both sides can be compared; they judge nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readiness.backups.manifest import Kind
from readiness.engines.restores import mongodb, rabbitmq, redis, volume
from readiness.engines.restores.place import Driver, LoadError, Place, Target

DRIVERS: Final[Mapping[Kind, Driver]] = {
    "redis": redis.DRIVER,
    "rabbitmq": rabbitmq.DRIVER,
    "mongodb": mongodb.DRIVER,
    "volume": volume.DRIVER,
}

__all__ = ["DRIVERS", "Driver", "LoadError", "Place", "Target"]

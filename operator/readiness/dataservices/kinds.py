"""The kinds of data services that the operator provides.

Imported where there is one to provide: most policies, and most checks of manifests, do without builders.
"""

from __future__ import annotations

from typing import Final

from readiness.dataservices.kind import Kind
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.rabbitmq import RABBITMQ
from readiness.dataservices.redis import REDIS

KINDS: Final[tuple[Kind, ...]] = (REDIS, RABBITMQ, MONGODB)

"""Redis with Sentinels: what it needs, what it is built of, and what is refused."""

from __future__ import annotations

from typing import Final

from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Login
from readiness.dataservices.redis.access import CREDENTIALS
from readiness.dataservices.redis.build import build, problems
from readiness.dataservices.redis.commands import next_step
from readiness.dataservices.redis.dump import NEEDS, dump_of, source_of

REDIS: Final = Kind(
    "redis",
    CREDENTIALS,
    build,
    problems,
    next_step,
    source=source_of,
    dump=dump_of,
    needs=NEEDS,
    filler=Login("admin", "admin"),
)

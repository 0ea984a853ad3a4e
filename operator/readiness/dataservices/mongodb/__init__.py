"""MongoDB as a replica set: what it needs, what it is built of, and what is refused."""

from __future__ import annotations

from typing import Final

from readiness.dataservices.kind import Kind
from readiness.dataservices.mongodb.build import build
from readiness.dataservices.mongodb.dump import NEEDS, dump_of, source_of
from readiness.dataservices.mongodb.planning import next_step
from readiness.dataservices.mongodb.settings import problems_of
from readiness.dataservices.mongodb.users import OPERATED
from readiness.dataservices.order import Credential

KEYFILE: Final = Credential("keyfile", 1008, "base64")
"""756 bytes in base64, of the 1024 characters that mongod accepts."""
MONGODB: Final = Kind(
    "mongodb", (KEYFILE, *map(Credential, OPERATED)), build, problems_of, next_step, preview=True, asked=True, source=source_of, dump=dump_of, needs=NEEDS
)  # fmt: skip
"""A preview until its suite has passed on a real mongod."""

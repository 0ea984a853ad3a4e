"""What a policy declares about what one workload stores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from readiness.api.formats import Name
from readiness.api.types import Count, Schema, keyed

StoreKey = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class PasswordHash(Schema):
    """Where the application keeps the hash of a password that it sets up at its first start."""

    store: Name = Field(description="Name of the data service, a Redis, which must stand in uses.")
    key: StoreKey = Field(description="Key under which it stands, such as account:admin.")
    field: StoreKey | None = Field(
        None,
        description="Field of the hash at that key, where others of its fields change at every start. Default: the whole "
        "value, of any type.",
    )


class Pool(Schema):
    """Connections that the workload may open to one data service."""

    store: Name = Field(description="Name of the data service, which must stand in uses.")
    workers: Annotated[Count, Field(ge=1, le=1024)] = Field(
        1, description="Processes of a pod that have a pool of their own."
    )
    max_pool_size: Annotated[Count, Field(ge=1, le=100000)] = Field(
        description="Most connections of one pool."
    )
    max_replicas: Annotated[Count, Field(ge=1, le=10000)] | None = Field(
        None,
        description="Most pods, where something scales them. Default: the workload's replicas.",
    )


class Data(Schema):
    """What the application stores."""

    pool: Annotated[tuple[Pool, ...], *keyed("store")] = Field(
        (), max_length=16, description="Pools of connections, by data service (DAT-012)."
    )
    password_hashes: Annotated[tuple[PasswordHash, ...], *keyed("key")] = Field(
        (),
        max_length=8,
        description="Hashes that a second start must leave as they are (CFG-014). Read on throw-away stores only.",
    )

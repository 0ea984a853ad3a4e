"""What a policy declares about the data services its targets use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from readiness.api.formats import Name, ObjectName, matching
from readiness.api.mongodb import MongoDB
from readiness.api.rabbitmq import RabbitMQ
from readiness.api.redis import Redis
from readiness.api.types import Count, Flag, Rule, Schema, scalar_set

Host = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*([0-9][-0-9]*)?[a-z]([-a-z0-9]*[a-z0-9])?$",
        "must be a host name in lower case such as cache.shop.svc, without scheme and port, and no address: "
        "only a name can lead to a throw-away store",
    ),
]


class SecretRef(Schema):
    """A Secret in the policy's own namespace."""

    name: ObjectName = Field(description="Name of the Secret.")


class Store(Schema):
    """Where a store that is not of the operator's making is found."""

    hosts: Annotated[tuple[Host, ...], *scalar_set()] = Field(
        min_length=1,
        max_length=16,
        description="Every name by which targets reach it, as it stands in their environment.",
    )
    port: Annotated[Count, Field(ge=1, le=65535)] | None = Field(
        None, description="Its port. Default: 6379 for redis, 27017 for mongodb, 5672 for rabbitmq."
    )
    secret_ref: SecretRef | None = Field(
        None,
        description="Secret that targets log in with: keys `username`, `password`, and where there is one `database` "
        "or `virtual-host`. The operator never reads it; a drill's throw-away store is given it. Default: none.",
    )


class External(Schema):
    """A store that somebody else runs, by its kind."""

    redis: Store | None = Field(None, description="A Redis.")
    mongodb: Store | None = Field(None, description="A MongoDB.")
    rabbitmq: Store | None = Field(None, description="A RabbitMQ.")
    rules = (
        Rule(
            cel="[has(self.redis), has(self.mongodb), has(self.rabbitmq)].exists_one(x, x)",
            message="exactly one of redis, mongodb and rabbitmq must be set: declare two services under two names",
            holds=lambda e: sum(s is not None for s in (e.redis, e.mongodb, e.rabbitmq)) == 1,
        ),
    )


class Backup(Schema):
    """What is decided about backups of a data service."""

    enabled: Flag = Field(
        description="false: it is meant to have none. true is refused until the operator makes backups."
    )


class DataService(Schema):
    """One data service, under the name that targets use for it."""

    name: Name = Field(description="Name of the data service within this policy.")
    redis: Redis | None = Field(
        None,
        description="A Redis that the operator provides: members that replicate, and Sentinels.",
    )
    mongodb: MongoDB | None = Field(
        None, description="A MongoDB that the operator provides: one replica set."
    )
    rabbitmq: RabbitMQ | None = Field(
        None, description="A RabbitMQ that the operator provides: one cluster."
    )
    external: External | None = Field(
        None,
        description="A store that is there already. A drill never reaches it: clones meet a throw-away one under "
        "the same names.",
    )
    backup: Backup | None = Field(
        None, description="Backups of it. Default: nothing is decided, and there are none."
    )
    rules = (
        Rule(
            cel="[has(self.redis), has(self.mongodb), has(self.rabbitmq), has(self.external)].exists_one(x, x)",
            message="exactly one of redis, mongodb, rabbitmq and external must be set: declare two services under "
            "two names",
            holds=lambda s: (
                sum(kind is not None for kind in (s.redis, s.mongodb, s.rabbitmq, s.external)) == 1
            ),
        ),
    )

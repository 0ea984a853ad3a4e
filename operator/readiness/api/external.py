"""What a policy declares about a store that somebody else runs: where it is, and who may look at it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from readiness.api.formats import ObjectName, matching
from readiness.api.types import Count, Flag, Rule, Schema, scalar_set
from readiness.ports import ADMINISTRATORS, SENTINEL

Host = Annotated[
    str,
    StringConstraints(max_length=253),
    matching(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*([0-9][-0-9]*)?[a-z]([-a-z0-9]*[a-z0-9])?$",
        "must be a host name in lower case such as cache.shop.svc, without scheme and port, and no address: "
        "only a name can lead to a throw-away store",
    ),
]
PortNumber = Annotated[Count, Field(ge=1, le=65535)]
GroupName = Annotated[
    str,
    StringConstraints(max_length=64),
    matching(r"^[A-Za-z0-9._-]+$", "must be the name that sentinels have for the set: mymaster"),
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
    port: PortNumber | None = Field(
        None,
        description="Its port. Default: 6379 for redis, 27017 for mongodb, 5672 for rabbitmq, or 5671 with tls.",
    )
    tls: Flag = Field(
        False,
        description="Whether it speaks TLS. Certificates are checked against the key `ca.crt` of the Secret that is "
        "used to look, else against public authorities.",
    )
    secret_ref: SecretRef | None = Field(
        None,
        description="Secret that targets log in with: keys `username`, `password`, and where there is one `database` "
        "or `virtual-host`. A drill's throw-away store is given it. The operator logs in with it only where it "
        "carries the label readiness.dev/probe: allowed. Default: none.",
    )
    probe_secret_ref: SecretRef | None = Field(
        None,
        description="Secret of a login of the operator's own that may read settings and users and no data, with the "
        "label readiness.dev/probe: allowed. Default: secretRef.",
    )


class Sentinels(Schema):
    """The Sentinels of a Redis."""

    port: PortNumber = Field(SENTINEL, description="Port at which the hosts answer as Sentinels.")
    group: GroupName = Field("mymaster", description="What they call the set.")


class RedisStore(Store):
    """A Redis that is there already."""

    sentinel: Sentinels | None = Field(
        None,
        description="Set where hosts are Sentinels, too: they name the members. Default: hosts are the members, of a "
        "cluster or of a set that something else fails over.",
    )


class RabbitMQStore(Store):
    """A RabbitMQ that is there already."""

    management_port: PortNumber = Field(
        ADMINISTRATORS["rabbitmq"].plain,
        description="Port of the management plug-in, by which it is looked at.",
    )


class External(Schema):
    """A store that somebody else runs, by its kind."""

    redis: RedisStore | None = Field(None, description="A Redis.")
    mongodb: Store | None = Field(None, description="A MongoDB.")
    rabbitmq: RabbitMQStore | None = Field(None, description="A RabbitMQ.")
    rules = (
        Rule(
            cel="[has(self.redis), has(self.mongodb), has(self.rabbitmq)].exists_one(x, x)",
            message="exactly one of redis, mongodb and rabbitmq must be set: declare two services under two names",
            holds=lambda e: sum(s is not None for s in (e.redis, e.mongodb, e.rabbitmq)) == 1,
        ),
    )

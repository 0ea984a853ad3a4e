"""What a policy declares about how a workload uses queues and a limiter's keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from readiness.api.formats import Duration, Name, Regex, matching
from readiness.api.types import Count, Schema, scalar_set

KeyPattern = Annotated[
    str,
    StringConstraints(max_length=128),
    matching(
        r"^[A-Za-z0-9_.:/-]+(\{[a-z_]+\}[A-Za-z0-9_.:/-]*)+$",
        "must begin with letters and name its parts in braces: ratelimit:{user_id}:{method}",
    ),
]


class Priority(Schema):
    """How jobs of some clients come before those of others."""

    per_client: Regex | None = Field(
        None,
        description="Simple regular expression, matched whole, for names of queues of single clients. Default: one queue "
        "with priorities.",
    )
    levels: Annotated[Count, Field(ge=2, le=255)] = Field(
        2, description="How many priorities a queue has to tell apart."
    )


class Qos(Schema):
    """Queues of jobs (QOS family)."""

    store: Name = Field(
        description="Name of the data service, a RabbitMQ, which must stand in uses."
    )
    queues: Annotated[tuple[Regex, ...], *scalar_set()] = Field(
        min_length=1,
        max_length=16,
        description="Simple regular expressions, each matched whole, for the names of the queues that hold jobs.",
    )
    job_ttl: Duration = Field(
        "24h", alias="jobTTL", description="How long a job may wait before it expires (QOS-004)."
    )
    priority: Priority | None = Field(None, description="Priorities (QOS-009).")


class LimiterKeys(Schema):
    """The keys of a limiter that counts in a Redis."""

    store: Name = Field(description="Name of the data service, a Redis, which must stand in uses.")
    key_pattern: KeyPattern = Field(
        description="How a key is made up: what is in braces stands for one part without a colon."
    )


class Rate(Schema):
    """How requests are limited."""

    redis: LimiterKeys | None = Field(None, description="Keys in a Redis (DAT-016).")

"""What a policy declares about the data services its targets use."""

from __future__ import annotations

from pydantic import Field

from readiness.api.backups import Backup
from readiness.api.external import External
from readiness.api.formats import Name
from readiness.api.mongodb import MongoDB
from readiness.api.rabbitmq import RabbitMQ
from readiness.api.redis import Redis
from readiness.api.types import Rule, Schema


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
        description="A store that is there already. It is looked at, not provided. A drill never reaches it: clones "
        "meet a throw-away one under the same names.",
    )
    backup: Backup | None = Field(
        None, description="What differs for it from what spec.backups says."
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
        Rule(
            cel="has(self.external) || !has(self.backup) || !(has(self.backup.image) || has(self.backup.secretRef))",
            message="backup.image and backup.secretRef are of external services only: one that is provided is dumped by its own image and user",
            holds=lambda s: bool(
                s.external or s.backup is None or not (s.backup.image or s.backup.secret_ref)
            ),
        ),
    )

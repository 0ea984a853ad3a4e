"""What is declared of a RabbitMQ that the operator provides."""

from __future__ import annotations

from pydantic import Field

from readiness.api.provisioned import Bytes, Encryptable


class RabbitMQ(Encryptable):
    """A RabbitMQ cluster with quorum queues."""

    storage: Bytes = Field(
        "10Gi", description="Size of each member's volume. It can grow, never shrink."
    )

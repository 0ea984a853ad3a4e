"""What is declared of a RabbitMQ that the operator provides."""

from __future__ import annotations

from readiness.api.provisioned import Provisioned


class RabbitMQ(Provisioned):
    """A RabbitMQ cluster with quorum queues."""

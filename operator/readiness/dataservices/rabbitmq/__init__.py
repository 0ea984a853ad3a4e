"""RabbitMQ: members that find each other by name, quorum queues, and a stop that waits for its queues."""

from __future__ import annotations

from typing import Final

from readiness.dataservices.exporter import build_monitor, endpoint_of
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Login, Order
from readiness.dataservices.rabbitmq.commands import next_step
from readiness.dataservices.rabbitmq.conf import problems
from readiness.dataservices.rabbitmq.dump import NEEDS, dump_of, source_of
from readiness.dataservices.rabbitmq.objects import build_objects
from readiness.dataservices.rabbitmq.pods import build_members
from readiness.dataservices.rabbitmq.users import CREDENTIALS, OPERATOR
from readiness.model import Manifest


def build_rabbitmq(order: Order) -> tuple[Manifest, ...]:
    """Every child but the credentials Secret."""
    own = endpoint_of(order, order.host(order.name()))
    return (*build_objects(order), build_members(order), *build_monitor(order, (own,)))


RABBITMQ: Final = Kind(
    "rabbitmq",
    CREDENTIALS,
    build_rabbitmq,
    problems,
    next_step,
    source=source_of,
    dump=dump_of,
    needs=NEEDS,
    filler=Login(OPERATOR, f"{OPERATOR}-password"),
)

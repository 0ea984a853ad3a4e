"""What tells Prometheus of a MongoDB: one mongodb_exporter that asks every member. It knows these, and asks nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from readiness import naming
from readiness.dataservices.exporter import (
    Exporter,
    asked_for,
    build_exporter,
    build_monitor,
    endpoint_of,
)
from readiness.dataservices.order import Order
from readiness.dataservices.parts import Part
from readiness.model import Manifest

PORT: Final = 9216
USER: Final = "monitor"


def exporter_of(order: Order, members: Part, hosts: Sequence[str]) -> tuple[Manifest, ...]:
    """The exporter; nothing where there is no image of it. `hosts` have their port with them."""
    if not order.exporter_image:
        return ()
    endpoint = endpoint_of(order, "")
    secret = {"name": order.name(naming.CREDENTIALS), "key": USER}
    exporter = Exporter(
        port=PORT,
        asks=(members,),
        health="/",
        args=("--collector.diagnosticdata", "--collector.replicasetstatus"),
        env=(
            {"name": "MONGODB_URI", "value": ",".join(f"mongodb://{host}" for host in hosts)},
            {"name": "MONGODB_USER", "value": USER},
            {"name": "MONGODB_PASSWORD", "valueFrom": {"secretKeyRef": secret}},
        ),
        reads=order.credentials[USER],
    )
    targets = dict(zip(members.hosts, hosts, strict=True))
    return (
        *build_exporter(order, exporter),
        *build_monitor(order, [asked_for(host, at, endpoint) for host, at in targets.items()]),
    )

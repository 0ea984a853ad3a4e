"""Orders for tests: what one policy asks for, with passwords that say whose they are."""

from __future__ import annotations

from typing import Any

from readiness import naming
from readiness.api.dataservice import DataService
from readiness.dataservices.order import Order
from readiness.dataservices.parts import build_secret
from readiness.dataservices.redis import REDIS
from readiness.model import Manifest
from readiness.snapshot import Certificate

PASSWORDS = {each.key: f"secret-of-{each.key}" for each in REDIS.credentials}


def order_of(
    spec: dict[str, Any] | None = None,
    certificate: Certificate | None = None,
    exporter: str = "",
    **credentials: str,
) -> Order:
    return Order(
        namespace="shop",
        policy="checkout",
        service=DataService.model_validate({"name": "cache", "redis": spec or {}}),
        image="redis:7",
        operator_image="operator:1",
        operator_namespace="readiness-system",
        nodes=3,
        credentials={**PASSWORDS, **credentials},
        certificate=certificate,
        exporter_image=exporter,
    )


def manifests_of(order: Order) -> list[Manifest]:
    """Everything that is applied, with the Secret of generated values."""
    return [
        build_secret(order.name(naming.CREDENTIALS), order.credentials),
        *REDIS.build(order),
    ]

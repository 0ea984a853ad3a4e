"""What tells Prometheus of a Redis: one redis_exporter that asks every member and every Sentinel.

Whoever may ask it can name any address to it. It has a password for the servers of this Redis and for no other, and its
NetworkPolicy lets it reach nobody else. Pure.
"""

from __future__ import annotations

from typing import Final

from readiness.dataservices.exporter import (
    Exporter,
    asked_for,
    build_exporter,
    build_monitor,
    endpoint_of,
)
from readiness.dataservices.order import Order
from readiness.dataservices.parts import Part
from readiness.dataservices.redis.access import EXPORTER, LOGINS, logins_of, scheme_of
from readiness.dataservices.redis.settings import redis_of
from readiness.dataservices.tls import AUTHORITY, CERTIFICATE, KEY, VOLUME, volume_of
from readiness.model import Manifest

PORT: Final = 9121
_FILES: Final = {"CA_CERT": AUTHORITY, "SERVER_CERT": CERTIFICATE, "SERVER_KEY": KEY}


def exporter_of(order: Order, parts: tuple[Part, ...], name: str) -> tuple[Manifest, ...]:
    """The exporter and how it is found; nothing where no image of it is known. `name` is one that the certificate is for."""
    if not order.exporter_image:
        return ()
    endpoint, scheme = endpoint_of(order, name), scheme_of(order)
    endpoints = [
        asked_for(host, f"{scheme}://{host}:{port}", endpoint)
        for part in parts
        for host in part.hosts
        for port in part.ports.values()
    ]
    return (*build_exporter(order, _exporter(order, parts)), *build_monitor(order, endpoints))


def _exporter(order: Order, parts: tuple[Part, ...]) -> Exporter:
    tls = redis_of(order).tls
    told = {
        "REDIS_ADDR": "",  # it asks only whom it is told to
        "REDIS_USER": EXPORTER,
        "REDIS_PASSWORD_FILE": f"/logins/{LOGINS}",
        "REDIS_EXPORTER_CONFIG_COMMAND": "-",  # what CONFIG GET answers holds passwords
        "REDIS_EXPORTER_SET_CLIENT_NAME": "false",
        "REDIS_EXPORTER_CONNECTION_TIMEOUT": "5s",
    }
    if tls:
        told |= {f"REDIS_EXPORTER_TLS_{key}_FILE": f"/{VOLUME}/{file}" for key, file in _FILES.items()}  # fmt: skip
    secret = {
        "secretName": order.name("access"),
        "defaultMode": 0o440,
        "items": [{"key": LOGINS, "path": LOGINS}],
    }
    return Exporter(
        port=PORT,
        asks=parts,
        health="/health",
        env=tuple({"name": name, "value": value} for name, value in told.items()),
        volumes=({"name": "logins", "secret": secret}, *([volume_of(tls)] if tls else ())),
        reads=logins_of(order, parts),
        encrypted=tls is not None,
    )

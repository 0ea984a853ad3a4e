"""How a Redis is dumped: by a replica, over the network, and read by a server of its own image before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness.dataservices.order import Dump, Order
from readiness.dataservices.parts import canonical
from readiness.dataservices.redis.build import members_of
from readiness.dataservices.redis.settings import MEMORY, redis_of
from readiness.dataservices.tls import VOLUME, volume_of

SAMPLES: Final = 100
"""Keys of each database whose content a restore is held against."""
_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".lua")}  # fmt: skip


def dump_of(order: Order) -> Dump:
    """Two containers of the server's image; the second needs the memory of a member."""
    members, tls = members_of(order), redis_of(order).tls
    memory = canonical(redis_of(order).resources.limits.memory or MEMORY)
    hosts = {"MEMBERS": " ".join(members.hosts)} | ({"TLS": f"/{VOLUME}"} if tls else {})
    return Dump(
        scripts=SCRIPTS,
        user="backup",
        ports=tuple(members.ports.values()),
        dump=("sh", "/scripts/dump.sh"),
        verify=("sh", "/scripts/verify.sh"),
        told=hosts | {"SAMPLES": str(SAMPLES)},
        memory=memory,
        volumes=(volume_of(tls),) if tls else (),
    )

"""How a Redis is dumped: by a replica, over the network, and read by a server of its own image before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness.dataservices.order import Dump, Login, Order, Source
from readiness.dataservices.redis.build import members_of
from readiness.dataservices.redis.settings import MEMORY, redis_of
from readiness.dataservices.source import own_source

SAMPLES: Final = 100
"""Keys of each database whose content a restore is held against."""
NEEDS: Final = (
    "+info +ping +psync +sync +replconf, and no Redis Cluster: a member of one has a part only"
)
_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".lua")}  # fmt: skip


def source_of(order: Order) -> Source:
    """One of ours: its members, as the user that may copy."""
    members = members_of(order)
    return own_source(members, members.ports["redis"], Login("backup", "backup"), redis_of(order).resources.limits.memory or MEMORY)  # fmt: skip


def dump_of(source: Source) -> Dump:
    """Two containers of the server's image; the second needs the memory of a member."""
    told = {"MEMBERS": " ".join(source.hosts), "PORT": str(source.port), "SAMPLES": str(SAMPLES)}
    return Dump(SCRIPTS, told, source.memory)

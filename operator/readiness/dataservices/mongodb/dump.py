"""How a MongoDB is dumped: of one secondary, with its oplog, and loaded by a server of its own image before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness.dataservices.mongodb.build import members_of
from readiness.dataservices.mongodb.settings import MEMORY, PORT, mongodb_of
from readiness.dataservices.order import Dump, Login, Order, Source
from readiness.dataservices.restore import LOOK
from readiness.dataservices.source import own_source
from readiness.quantities import bytes_of

ROOM: Final = 3
"""Volumes of a member: documents lie in a dump as they are, not compressed, and beside it what is loaded of them."""
SHELL: Final = "512Mi"
"""The shell alone takes 150 MiB of it."""
NEEDS: Final = "the role backup of the database admin, and a member of a replica set"
_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".js")}  # fmt: skip


def source_of(order: Order) -> Source:
    """One of ours: its members, as the user with the role `backup`."""
    limit = mongodb_of(order).resources.limits.memory or MEMORY
    return own_source(members_of(order), PORT, Login("backup", "backup"), limit)


def dump_of(source: Source) -> Dump:
    """Two containers of the server's image; a server, mongorestore and a shell share the second's memory."""
    return Dump(
        scripts=SCRIPTS | {"look.js": LOOK},
        told={
            "MEMBERS": " ".join(f"{host}:{source.port}" for host in source.hosts),
            "PORT": str(PORT),
        },
        memory=max(source.memory, MEMORY, key=bytes_of),
        room=ROOM,
        memory_to_dump=SHELL,
    )

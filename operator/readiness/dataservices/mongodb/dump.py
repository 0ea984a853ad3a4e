"""How a MongoDB is dumped: of one secondary, with its oplog, and loaded by a server of its own image before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness.dataservices.mongodb.build import hosts_of, members_of
from readiness.dataservices.mongodb.settings import MEMORY, PORT, mongodb_of
from readiness.dataservices.order import Dump, Order
from readiness.dataservices.parts import canonical
from readiness.dataservices.restore import LOOK
from readiness.quantities import bytes_of

ROOM: Final = 3
"""Volumes of a member: documents lie in a dump as they are, not compressed, and beside it what is loaded of them."""
SHELL: Final = "512Mi"
"""The shell alone takes 150 MiB of it."""
_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".js")}  # fmt: skip


def dump_of(order: Order) -> Dump:
    """Two containers of the server's image; a server, mongorestore and a shell share the second's memory."""
    memory = mongodb_of(order).resources.limits.memory or MEMORY
    return Dump(
        scripts=SCRIPTS | {"look.js": LOOK},
        user="backup",
        ports=tuple(members_of(order).ports.values()),
        dump=("sh", "/scripts/dump.sh"),
        verify=("sh", "/scripts/verify.sh"),
        told={"MEMBERS": " ".join(hosts_of(order)), "PORT": str(PORT)},
        memory=canonical(max(memory, MEMORY, key=bytes_of)),
        room=ROOM,
        memory_to_dump=SHELL,
    )

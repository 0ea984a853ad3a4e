"""How a RabbitMQ is dumped: one member exports its definitions, and a server of its own image boots with them before they count.

Messages are not in it. The management API is asked as a user who may export and can read no message; the other way, RabbitMQ's
own command, needs the cookie, with which whoever holds it runs any code on every member.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from readiness.backups.definitions import SORTS
from readiness.dataservices.order import Dump, Login, Order, Source
from readiness.dataservices.rabbitmq.conf import memory_of, part_of, ports_of
from readiness.dataservices.rabbitmq.users import EXPORTER
from readiness.dataservices.restore import COUNT
from readiness.dataservices.source import own_source

NEEDS: Final = "the tag administrator, without which RabbitMQ exports no definitions"
_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".erl")}  # fmt: skip


def source_of(order: Order) -> Source:
    """One of ours: the management API of its members."""
    login = Login(EXPORTER.name, EXPORTER.key)
    return own_source(part_of(order), ports_of(order)["management"], login, memory_of(order))


def dump_of(source: Source) -> Dump:
    """Two containers of the server's image; the second needs the memory of a member."""
    return Dump(
        scripts=SCRIPTS | {"count.erl": COUNT, "sorts.json": json.dumps(SORTS)},
        told={"MEMBERS": " ".join(source.hosts), "PORT": str(source.port)},
        memory=source.memory,
    )

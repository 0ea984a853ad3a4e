"""How a RabbitMQ is dumped: one member exports its definitions, and a server of its own image boots with them before they count.

Messages are not in it. The management API is asked as a user who may export and can read no message; the other way, RabbitMQ's
own command, needs the cookie, with which whoever holds it runs any code on every member.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from readiness.backups.definitions import SORTS
from readiness.dataservices.order import Dump, Order
from readiness.dataservices.parts import canonical
from readiness.dataservices.rabbitmq.conf import memory_of, part_of, ports_of, spec_of
from readiness.dataservices.rabbitmq.users import EXPORTER
from readiness.dataservices.restore import COUNT
from readiness.dataservices.tls import VOLUME, volume_of

_HERE: Final = Path(__file__).with_name("backup")
SCRIPTS: Final = {each.name: each.read_text() for each in sorted(_HERE.iterdir()) if each.suffix in (".sh", ".erl")}  # fmt: skip


def dump_of(order: Order) -> Dump:
    """Two containers of the server's image; the second needs the memory of a member."""
    tls, port = spec_of(order).tls, ports_of(order)["management"]
    hosts = {"MEMBERS": " ".join(part_of(order).hosts), "PORT": str(port)}
    return Dump(
        scripts=SCRIPTS | {"count.erl": COUNT, "sorts.json": json.dumps(SORTS)},
        user=EXPORTER.key,
        ports=(port,),
        dump=("sh", "/scripts/dump.sh"),
        verify=("sh", "/scripts/verify.sh"),
        told=hosts | ({"TLS": f"/{VOLUME}"} if tls else {}),
        memory=canonical(memory_of(order)),
        volumes=(volume_of(tls),) if tls else (),
    )

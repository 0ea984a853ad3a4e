"""Who may do what in a RabbitMQ, and the documents that say so: definitions and the binding.

Each role has a user of its own. The application's have two, of which one is in the binding: a
rotation changes the other one and then turns the binding to it, so that at no moment a login fails.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from readiness.dataservices.order import NEXT, NOTE, PREVIOUS, Credential, Order
from readiness.dataservices.rabbitmq.conf import ports_of, spec_of
from readiness.dataservices.tls import authority_of

VHOST: Final = "/"
COOKIE: Final = "erlang-cookie"
ACTIVE: Final = f"{NOTE}user"
"""Key of the credentials Secret that a rotation adds: which application user the binding names."""
APPLICATION: Final = ("app-a", "app-b")
OPERATOR: Final = "readiness-operator"


@dataclass(frozen=True, slots=True)
class User:
    """A user. `access` is the pattern of names it may configure, write and read; empty: none."""

    name: str
    tags: tuple[str, ...] = ()
    access: tuple[str, str, str] | None = None

    @property
    def key(self) -> str:
        """Where its password is in the credentials Secret."""
        return f"{self.name}-password"


EXPORTER: Final = User("definitions", ("administrator",))
"""Only an administrator may export definitions; without a right on any name it reads no message."""
USERS: Final = (
    *(User(name, (), (".*", ".*", ".*")) for name in APPLICATION),
    # who may not enter a virtual host is told of none of its queues; with these rights no name in it can be touched
    User("monitoring", ("monitoring",), ("^$", "^$", "^$")),
    EXPORTER,
    User(OPERATOR, ("administrator",)),
)
CREDENTIALS: Final = (Credential(COOKIE), *(Credential(user.key) for user in USERS))


def wanted_password(user: User, credentials: Mapping[str, str]) -> str:
    """What a user should log in with: the password that is to come, where there is one."""
    return credentials.get(user.key + NEXT, credentials[user.key])


def operator_passwords(credentials: Mapping[str, str]) -> tuple[str, ...]:
    """What the operator's own user may have, the likeliest first: a member that starts loads what its files say, which may be the one before."""
    keys = (f"{OPERATOR}-password{suffix}" for suffix in ("", NEXT, PREVIOUS))
    return tuple(credentials[key] for key in keys if key in credentials)


def password_hash(user: str, password: str) -> str:
    """As RabbitMQ stores it: four bytes of salt, and SHA-256 over them and the password.

    The salt follows from both, so that what did not change is written the same.
    """
    salt = hashlib.sha256(f"salt\0{user}\0{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def active_user(credentials: Mapping[str, str]) -> str:
    """The application's user whom the binding names."""
    return credentials.get(ACTIVE, APPLICATION[0])


def definitions(credentials: Mapping[str, str]) -> str:
    """The definitions that every member loads when it starts: nobody else, and no guest, gets in."""
    found = {
        "vhosts": [{"name": VHOST, "default_queue_type": "quorum"}],
        "users": [
            {
                "name": user.name,
                "password_hash": password_hash(user.name, credentials[user.key]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(user.tags),
            }
            for user in USERS
        ],
        "permissions": [
            {"user": user.name, "vhost": VHOST, **dict(zip(("configure", "write", "read"), user.access, strict=True))}
            for user in USERS
            if user.access
        ],
    }  # fmt: skip
    return json.dumps(found, indent=1)


def binding(order: Order) -> dict[str, str]:
    """The Secret's contents by which an application finds its RabbitMQ, in the form of service bindings."""
    user = active_user(order.credentials)
    password = order.credentials[f"{user}-password"]
    host = order.host(order.name())
    scheme, port = ("amqps" if spec_of(order).tls else "amqp"), ports_of(order)["amqp"]
    return {
        "type": "rabbitmq",
        "provider": "readiness-operator",
        "host": host,
        "port": str(port),
        "username": user,
        "password": password,
        "virtual-host": VHOST,
        "uri": f"{scheme}://{user}:{password}@{host}:{port}/%2F",
        **authority_of(order),
    }

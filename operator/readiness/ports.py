"""Where servers of each kind of data service listen, unless somebody says otherwise.

Values only; it knows no service and no protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ports:
    """One port without TLS and one with it, which may be the same."""

    plain: int
    encrypted: int

    def of(self, *, tls: bool) -> int:
        """The one of the two."""
        return self.encrypted if tls else self.plain


CLIENTS: Final = {
    "redis": Ports(6379, 6379),
    "mongodb": Ports(27017, 27017),
    "rabbitmq": Ports(5672, 5671),
}
"""Every kind, and where applications reach it."""
ADMINISTRATORS: Final = CLIENTS | {"rabbitmq": Ports(15672, 15671)}
"""Where it is looked at and filled: a RabbitMQ by its management API."""
SENTINEL: Final = 26379

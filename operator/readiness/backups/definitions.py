"""What a RabbitMQ's definitions hold, counted: the same for a dump and for what a server says after loading it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from readiness.backups.manifest import Tally, Verified

SORTS: Final = (
    "vhosts", "permissions", "topic_permissions", "parameters", "policies", "queues", "exchanges",
    "bindings",
)  # fmt: skip
"""Sorts of objects that somebody declared; global parameters are the cluster's own."""


def verified_of(document: str | bytes, tool: str) -> Verified:
    """How many there are of each sort, and of users. Raises ValueError for what are no definitions."""
    found: Any = json.loads(document)
    if not isinstance(found, dict) or not isinstance(found.get("vhosts"), list):
        raise ValueError("no definitions of a RabbitMQ")
    tallies = tuple(Tally(sort, len(found[sort])) for sort in SORTS if found.get(sort))
    return Verified(tool, tallies, (), _digest(found), len(found.get("users") or ()))


def _digest(found: dict[str, Any]) -> str:
    """Of everything that is declared, whatever its order: two servers with the same definitions have the same."""
    rows = sorted(
        json.dumps([sort, row], sort_keys=True)
        for sort in (*SORTS, "users")
        for row in found.get(sort) or ()
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()

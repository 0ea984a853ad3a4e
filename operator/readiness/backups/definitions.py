"""What definitions of a RabbitMQ consist of, and what of them a server lacks, or may be given.

Compared are the fields that make a thing what it is: releases of RabbitMQ add others to what they export.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from readiness.backups.restored import Mismatch

Document = Mapping[str, Any]
SORTS: Final[Mapping[str, tuple[str, ...]]] = {
    "vhosts": ("name", "default_queue_type"),
    "users": ("name", "password_hash", "hashing_algorithm", "tags"),
    "permissions": ("user", "vhost", "configure", "write", "read"),
    "topic_permissions": ("user", "vhost", "exchange", "write", "read"),
    "global_parameters": ("name", "value"),
    "parameters": ("vhost", "component", "name", "value"),
    "policies": ("vhost", "name", "pattern", "apply-to", "definition", "priority"),
    "exchanges": ("vhost", "name", "type", "durable", "auto_delete", "arguments"),
    "queues": ("vhost", "name", "durable", "auto_delete", "arguments"),
    "bindings": ("vhost", "source", "destination", "destination_type", "routing_key", "arguments"),
}
"""By sort, the fields that are compared."""
OWN: Final[Mapping[str, int]] = {
    "vhosts": 1, "users": 1, "permissions": 2, "topic_permissions": 3, "global_parameters": 1,
}  # fmt: skip
"""Sorts that a new server has some of already; so many of their fields say which one it is."""


def held_of(document: Document) -> int:
    """How much somebody has declared there, beyond what a new server has."""
    return sum(len(document.get(sort) or ()) for sort in SORTS if sort not in OWN)


def addable_of(saved: Document, there: Document) -> Document:
    """What can be given to a server without writing over anything: whom it has already keeps its password."""
    return dict(saved) | {
        sort: [row for row in saved.get(sort) or () if _keys(sort, [row]).isdisjoint(_keys(sort, there.get(sort) or ()))]
        for sort in OWN
    }  # fmt: skip


def missing_of(given: Document, found: Document) -> Iterator[Mismatch]:
    """Sorts of which a server has not everything that it was given."""
    for sort, fields in SORTS.items():
        wanted, there = (_rows(each.get(sort) or (), fields) for each in (given, found))
        if lost := wanted - there:
            yield Mismatch(sort, f"{len(wanted)} as they were saved", f"{len(wanted - lost)}")


def _keys(sort: str, rows: Sequence[Document]) -> set[str]:
    return _rows(rows, SORTS[sort][: OWN[sort]])


def _rows(rows: Sequence[Document], fields: Sequence[str]) -> set[str]:
    return {json.dumps([row.get(field) or None for field in fields], sort_keys=True) for row in rows}  # fmt: skip

"""Definitions of a RabbitMQ: what of them a new server is given, and what it is found to lack."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.backups.definitions import addable_of, held_of, missing_of

Document = dict[str, Any]
QUEUE = {"vhost": "/", "name": "orders", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "quorum"}}  # fmt: skip
APP = {"name": "app", "password_hash": "saved", "hashing_algorithm": "sha", "tags": []}
RIGHT = {"user": "app", "vhost": "/", "configure": "", "write": "", "read": ".*"}
SAVED: Document = {
    "vhosts": [{"name": "/"}, {"name": "shop"}], "users": [APP, APP | {"name": "clerk"}],
    "permissions": [RIGHT, RIGHT | {"vhost": "shop"}], "global_parameters": [{"name": "cluster_name", "value": "old"}],
    "queues": [QUEUE],
}  # fmt: skip
NEW: Document = {
    "vhosts": [{"name": "/", "default_queue_type": "quorum"}], "users": [APP | {"password_hash": "new"}],
    "permissions": [RIGHT | {"read": ""}], "global_parameters": [{"name": "cluster_name", "value": "new"}], "queues": [],
}  # fmt: skip


def test_nothing_that_is_there_is_written_over():
    given = addable_of(SAVED, NEW)

    assert [row["name"] for row in given["vhosts"]] == ["shop"]
    assert [row["name"] for row in given["users"]] == ["clerk"]
    assert [row["vhost"] for row in given["permissions"]] == ["shop"]
    assert given["global_parameters"] == []
    assert given["queues"] == [QUEUE]


@pytest.mark.parametrize(
    ("document", "held"),
    [
        ({}, 0),
        (NEW, 0),
        (SAVED, 1),
        ({"exchanges": [{}], "bindings": [{}], "policies": [{}], "parameters": [{}]}, 4),
    ],
)
def test_what_a_new_server_has_of_itself_is_nothing(document: Document, held: int):
    assert held_of(document) == held


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"queues": [QUEUE]}, []),
        ({"queues": [QUEUE | {"type": "quorum"}, QUEUE | {"name": "another"}]}, []),
        ({"queues": []}, ["queues: expected 1 as they were saved, found 0"]),
        ({}, ["queues: expected 1 as they were saved, found 0"]),
        ({"queues": [QUEUE | {"arguments": {}}]}, ["queues: expected 1 as they were saved, found 0"]),
        ({"queues": [QUEUE | {"vhost": "shop"}]}, ["queues: expected 1 as they were saved, found 0"]),
    ],
)  # fmt: skip
def test_what_a_server_lacks_of_what_it_was_given_is_named(found: Document, says: list[str]):
    assert list(map(str, missing_of({"queues": [QUEUE]}, found))) == says

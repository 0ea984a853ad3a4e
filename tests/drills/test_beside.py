"""Ephemeral containers beside a clone's: as locked down as they can be and still see what they are for."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.drills.beside import (
    METER,
    WHO,
    Owner,
    build_meter,
    build_signaller,
    has_ended,
    has_started,
    owner_of,
    read_owner,
)
from readiness.drills.place import CONTAINER_SECURITY

DROPPED = {"drop": ["ALL"]}


def pod(container: dict[str, Any] | None = None, whole: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    app = {"name": "app"} | ({"securityContext": container} if container else {})
    return {"spec": {"containers": [{"name": "other"}, app], "securityContext": whole or {}}}


@pytest.mark.parametrize(
    ("container", "whole", "owner"),
    [
        ({}, {}, Owner()),
        ({"runAsUser": 5}, {"runAsUser": 9, "runAsGroup": 8}, Owner(5, 8)),
        ({"runAsUser": 0}, {"runAsUser": 9}, Owner(0)),
        ({}, {"runAsGroup": 0}, Owner(None, 0)),
    ],
    ids=["nobody says it", "the container wins", "root is somebody", "a group alone"],
)
def test_who_a_container_runs_as(container: dict[str, Any], whole: dict[str, Any], owner: Owner) -> None:  # fmt: skip
    assert owner_of(pod(container, whole), "app") == owner


def test_who_process_1_is_is_read_as_it_is_told() -> None:
    assert read_owner("10001:10002") == Owner(10001, 10002)
    with pytest.raises(ValueError, match="invalid literal"):
        read_owner("Traceback")


@pytest.mark.parametrize(
    ("owner", "container", "expected"),
    [
        (Owner(10001, 10002), {}, {"runAsUser": 10001, "runAsGroup": 10002, "runAsNonRoot": True, "capabilities": DROPPED}),
        (Owner(10001, 0), {"capabilities": {"add": ["KILL"]}}, {"runAsUser": 10001, "runAsGroup": 0, "runAsNonRoot": True, "capabilities": DROPPED}),
        (Owner(0, 0), {}, {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False, "capabilities": {}}),
        (Owner(0, 3), {"capabilities": {"drop": ["ALL"], "add": ["KILL"]}}, {"runAsUser": 0, "runAsGroup": 3, "runAsNonRoot": False, "capabilities": {"drop": ["ALL"], "add": ["KILL"]}}),
    ],
    ids=["a user", "a user keeps no capability", "root with what runtimes grant", "root with its own"],
)  # fmt: skip
def test_a_meter_is_whom_it_reads(owner: Owner, container: dict[str, Any], expected: dict[str, Any]) -> None:  # fmt: skip
    made = build_meter("op:1", pod(container), "app", owner, 0.2)

    assert (made["name"], made["targetContainerName"], made["args"]) == (METER, "app", ["drill-meter", "--every", "0.2"])  # fmt: skip
    context = made["securityContext"]
    assert {key: context[key] for key in expected} == expected
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_signaller_keeps_no_capability() -> None:
    made = build_signaller("op:1", "app", WHO, None)

    assert made["securityContext"] == CONTAINER_SECURITY | {
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": True,
    }
    assert build_signaller("op:1", "app", "INT", 7)["securityContext"]["runAsUser"] == 7


@pytest.mark.parametrize(
    ("state", "started", "ended"),
    [({"waiting": {}}, False, None), ({"running": {}}, True, None), ({"terminated": {"exitCode": 3}}, True, {"exitCode": 3})],
)  # fmt: skip
def test_what_has_started_and_ended(state: dict[str, Any], started: bool, ended: Any) -> None:
    told = {"status": {"ephemeralContainerStatuses": [{"name": METER, "state": state}]}}

    assert (has_started(told, METER), has_ended(told, METER)) == (started, ended)
    assert (has_started({}, METER), has_ended({}, METER)) == (False, None)

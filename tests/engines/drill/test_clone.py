"""What a clone's own status says of its start."""

from __future__ import annotations

import pytest

from readiness.engines.drill.clone import Clone


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], ""),
        ([{"name": "migrate", "state": {"running": {}}}], ": init container migrate has not ended"),
        ([{"name": "a", "state": {"terminated": {"exitCode": 0}}}, {"name": "b", "state": {}}], ": init container b has not ended"),
        ([{"name": "proxy", "started": True, "state": {"running": {}}}], ""),
    ],
    ids=["none", "hangs", "the second", "a native sidecar"],
)  # fmt: skip
def test_what_it_waits_for(states, words):
    clone = Clone("app", lambda: 1.0)
    clone.saw("ADDED", {"metadata": {"name": "c"}, "status": {"initContainerStatuses": states}})

    assert clone.waits_for == words


READY, NOT_READY, CUT_OFF = (True, True), (False, False), (False, True)
"""(Ready, ContainersReady): the control plane takes away only the first when it hears nothing of the node."""


@pytest.mark.parametrize(
    ("seen", "leaving", "flapped"),
    [
        ([NOT_READY, READY], False, False),
        ([READY, NOT_READY], False, False),
        ([READY, CUT_OFF], False, True),
        ([READY, CUT_OFF, READY], False, True),
        ([CUT_OFF, READY], False, False),
        ([READY, CUT_OFF], True, False),
    ],
    ids=["it becomes Ready", "its probe fails", "its node is lost", "and found", "before it was Ready", "it is told to end"],
)  # fmt: skip
def test_a_node_that_was_not_ready(seen, leaving, flapped):
    clone = Clone("app", lambda: 1.0)
    for nth, told in enumerate(seen):
        conditions = [
            {"type": kind, "status": str(holds)}
            for kind, holds in zip(("Ready", "ContainersReady"), told, strict=True)
        ]
        gone = {"deletionTimestamp": "2026-11-21T10:00:00Z"} if leaving and nth else {}
        clone.saw("MODIFIED", {"metadata": {"name": "c"} | gone, "status": {"conditions": conditions}})  # fmt: skip

    assert clone.moment("flapped") == flapped


@pytest.mark.parametrize(("word", "exposed"), [("open", True), ("", False)])
def test_whether_anything_isolated_it(word, exposed):
    ended = {"exitCode": 0, "message": word}
    states = [{"name": "readiness-isolation", "state": {"terminated": ended}}]
    clone = Clone("app", lambda: 1.0)
    clone.saw("ADDED", {"metadata": {"name": "c"}, "status": {"initContainerStatuses": states}})

    assert clone.moment("exposed") == exposed
    assert clone.endings == []  # not the application's


def test_the_image_is_known_once_it_was_told():
    clone = Clone("app", lambda: 1.0)
    for told in ("", "registry/app@sha256:a", ""):
        statuses = [{"name": "app", "imageID": told}, {"name": "proxy", "imageID": "sha256:b"}]
        clone.saw("MODIFIED", {"metadata": {"name": "c"}, "status": {"containerStatuses": statuses}})  # fmt: skip

    assert clone.image == "sha256:a"


@pytest.mark.parametrize(
    ("name", "word", "reason"),
    [
        ("readiness-isolation", "open", "NotIsolated"),
        ("readiness-isolation", "", "InitFailed"),
        ("migrate", "open", "InitFailed"),
    ],
)
def test_a_clone_that_nothing_isolates_does_not_start(name, word, reason):
    states = [{"name": name, "state": {"terminated": {"exitCode": 1, "message": word}}}]
    clone = Clone("app", lambda: 1.0)
    clone.saw("ADDED", {"metadata": {"name": "c"}, "status": {"initContainerStatuses": states}})

    assert clone.obstacle(patient=True).reason == reason

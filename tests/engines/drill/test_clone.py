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

"""Real ends of pods, as the API server tells them: judged, written once, kept across a restart of the operator."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from holdrig import until
from holdworld import deployment, policy

pytestmark = pytest.mark.api
QUIET = 3.0  # seconds in which whatever else would come has come
TWIN = policy(controls=("SHD-001p",))


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def end_one(space, code: int, used: int) -> None:
    """One pod runs for a minute, is asked to go, ends after so many seconds and is removed, as a kubelet would do it."""

    def alive():
        pods = space.api.request("GET", space.path("pods"))["items"]
        return [p for p in pods if not p["metadata"].get("deletionTimestamp")]

    name = until(alive, 20, "a pod")[0]["metadata"]["name"]
    path, began = space.path("pods", name), stamp(datetime.now(UTC) - timedelta(minutes=1))
    space.api.request(
        "POST",
        f"{path}/binding",
        {"target": {"kind": "Node", "name": "n"}, "metadata": {"name": name}},
    )

    def tell(ready: str, since: str, state: dict[str, object]) -> None:
        container = {"name": "app", "ready": ready == "True", "restartCount": 0, "image": "i", "imageID": "i", "state": state}  # fmt: skip
        rows = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
        status = {"phase": "Running", "conditions": rows, "containerStatuses": [container]}
        space.patch("pods", name, {"status": status}, "status")

    tell("True", began, {"running": {"startedAt": began}})
    gone = space.api.request("DELETE", path)["metadata"]["deletionTimestamp"]
    finished = stamp(datetime.fromisoformat(gone) + timedelta(seconds=used - 30))
    tell("False", finished, {"terminated": {"exitCode": code, "startedAt": began, "finishedAt": finished}})  # fmt: skip
    space.api.request("DELETE", path, {"gracePeriodSeconds": 0})


def row(space):
    return {"reason": "", "observed": ""} | space.finding("SHD-001p")


def test_ends_are_judged_written_once_and_kept_across_a_restart(launch, space, seat, audit):
    operator = launch()
    space.apply(deployment(replicas=1))
    space.apply(TWIN)
    until(lambda: row(space)["observed"] == "no termination yet")
    for _ in range(4):
        end_one(space, 0, 1)
    until(lambda: "0 killed at the end of the grace period, of 4" in row(space)["observed"])
    assert row(space)["reason"] == "TooFewTerminations"

    operator.restart()
    end_one(space, 143, 0)
    until(lambda: row(space)["reason"] == "EndsInOrder")
    end_one(space, 137, 30)
    until(lambda: row(space)["reason"] == "KilledAtGrace")
    assert "1 killed at the end of the grace period, of 6" in row(space)["observed"]

    time.sleep(QUIET)
    audit.mark()
    operator.restart()
    space.patch("deployments", "app", {"metadata": {"labels": {"looked": "again"}}})
    time.sleep(QUIET)
    assert audit.calls(seat.user, space.name) == []
    assert "1 killed at the end of the grace period, of 6" in row(space)["observed"]

"""Ends of pods, read from real events, and back from the text that a report holds."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from readiness.cluster.project import KINDS
from readiness.terminations import Termination, parse_terminations, terminations_of

EVENTS = yaml.safe_load((Path(__file__).parent / "terminations.yaml").read_text())
POD = next(kind for kind in KINDS if kind.name == "Pod")
KILLED = Termination("jrvn5", "9d857c745", 1795274193, 1795274223, 30, 137, "app")


def ended(name="waitress"):
    """The first event that shows the end, as a watch tells it."""
    return copy.deepcopy(next(e for e in EVENTS[name] if e["status"]["phase"] != "Running"))


@pytest.mark.parametrize(
    ("name", "code", "used", "killed"),
    [("waitress", 137, 30, True), ("node-exit", 0, 0, False), ("uvicorn", 0, 0, False)],
)
def test_every_real_end_is_seen_once_in_the_events_of_its_pod(name, code, used, killed):
    told = [terminations_of(POD.project(e)) for e in EVENTS[name]]
    fresh = [new - old for old, new in zip([frozenset(), *told], told, strict=False)]
    (end,) = [e for ends in fresh for e in ends]

    assert (end.code, end.finished - end.asked, end.killed) == (code, used, killed)
    assert end.grace == 30
    assert [bool(ends) for ends in told] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("why", "path", "value"),
    [
        ("not asked to go", "metadata/deletionTimestamp", None),
        ("removed at last: nobody knows when it was asked", "metadata/deletionGracePeriodSeconds", 0),
        ("given less time than its spec says", "metadata/deletionGracePeriodSeconds", 5),
        ("a clone of a drill", "metadata/labels/readiness.dev~drill", "r1"),
        ("evicted by the kubelet", "status/reason", "Evicted"),
        ("its node was lost", "status/reason", "NodeLost"),
        ("not Ready for a minute", "status/conditions/0/lastTransitionTime", "2026-11-21T15:15:33Z"),
        ("never Ready", "status/conditions", []),
        ("out of memory", "status/containerStatuses/0/state/terminated/reason", "OOMKilled"),
        ("the end is made up", "status/containerStatuses/0/state/terminated/reason", "ContainerStatusUnknown"),
        ("restarted just before", "status/containerStatuses/0/state/terminated/startedAt", "2026-11-21T15:16:30Z"),
        ("ended before it was asked", "status/containerStatuses/0/state/terminated/finishedAt", "2026-11-21T15:16:31Z"),
        ("the node was away for long", "status/containerStatuses/0/state/terminated/finishedAt", "2026-11-21T15:17:14Z"),
        ("never started", "status/containerStatuses/0/state/terminated/startedAt", None),
        ("still running", "status/containerStatuses/0/state", {"running": {}}),
        ("a container of its init phase", "status/containerStatuses/0/name", "migrate"),
    ],
)  # fmt: skip
def test_what_the_application_did_not_decide_is_left_out(why, path, value):
    pod = ended()
    assert terminations_of(pod) == {KILLED}
    *way, last = [part.replace("~", "/") for part in path.split("/")]
    place = pod
    for part in way:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value

    assert terminations_of(pod) == frozenset(), why


def test_a_pod_that_is_still_ready_answers_too():
    pod = ended()
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]

    assert terminations_of(pod) == {KILLED}


@pytest.mark.parametrize("labels", [{"controller-revision-hash": "db-5d8f7"}, {}])
def test_what_is_written_is_read_back_without_the_container(labels):
    pod = ended()
    pod["metadata"]["labels"] = labels
    (end,) = terminations_of(pod)
    text = f"{end}; {end}; 2026-11-21T15:17:0…"

    (back, again) = parse_terminations(text)
    assert back == again
    assert str(back) == str(end)
    assert (back.asked, back.killed, back.container) == (end.asked, end.killed, "")

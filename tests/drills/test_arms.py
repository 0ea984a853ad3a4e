"""The arms of a shutdown drill: what is declared decides what is done, and it stays within its time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.drills.added import added_of
from readiness.drills.arms import SETTLE, arms_of, boot_seconds, fast_path, requests_of, terms_of
from readiness.script import Arm, Edit
from readiness.step import Exit, Flow, Hold, Knock, Pause, Send, Step, Stop

from .simulated import Pod, Server, simulate
from .test_shapes import SHAPES, TABLE
from .worlds import subject_of

TARGET = TABLE["target"]
HOOKS = (0, 1, 2, 3, 5, 7.5, 10, 15, 20)


def arms(pod: Pod = Pod(), port: bool = True, **shutdown: Any) -> dict[str, Arm]:  # noqa: B008 (frozen)
    declared = {k: v for k, v in (TARGET["shutdown"] | shutdown).items() if v is not None}
    target = TARGET | {"shutdown": declared} | ({} if port else {"service": None})
    return dict(arms_of(subject_of(target, pod, port=port)))


def step(arm: Arm, kind: type[Step]) -> Any:
    return next(s for s in arm.steps if isinstance(s, kind))


@pytest.mark.parametrize(
    ("declared", "port", "names"),
    [
        ({}, True, {"idle", "held", "waves", "stuck", "sigint"}),
        ({"drainEnv": {"name": "D"}}, True, {"idle", "held", "waves", "stuck", "drain-env", "sigint"}),
        ({"slowRequest": {"path": "/export"}}, True, {"idle", "held", "waves", "sigint"}),
        ({"slowRequest": None}, True, {"idle", "held", "sigint"}),
        ({}, False, {"idle", "sigint"}),
    ],
)  # fmt: skip
def test_which_arms_apply(declared: dict[str, Any], port: bool, names: set[str]) -> None:
    assert arms(port=port, **declared).keys() == names


def test_nothing_is_asked_without_a_workload() -> None:
    assert requests_of(replace(subject_of(TARGET, Pod()), workload=None), "idle") == {}


@pytest.mark.parametrize("name", ["idle", "held", "waves", "stuck", "drain-env", "sigint"])
@pytest.mark.parametrize("drain", ["1s", "3s", "15s", "5m"])
@pytest.mark.parametrize("path", ["/slow?seconds={seconds}", "/export", None])
def test_every_arm_settles_has_a_control_and_waits_for_the_end(
    name: str, drain: str, path: str | None
) -> None:
    slow = {"path": path} if path else None
    arm = arms(Pod(grace=45), drain=drain, slowRequest=slow, drainEnv={"name": "D"}).get(name)
    if arm is None:
        return
    meter, boot, _, control, *_, stop, end = arm.steps
    pauses = [s.seconds for s in arm.steps if isinstance(s, Pause)]
    asked = [s.seconds for s in arm.steps if isinstance(s, Send)]

    assert (meter.step, boot.step) == ("meter", "boot")
    assert control == Send("fast", "/healthz", times=5)
    assert sum(pauses) + sum(asked) >= SETTLE
    assert stop == Stop("INT" if name == "sigint" else "")
    assert isinstance(end, Exit)
    assert end.within >= (20 if name == "sigint" and drain == "15s" else 5)
    assert name == "sigint" or end.within == 55


def test_a_clone_that_is_asked_nothing_slow_waits_for_less_than_five_seconds() -> None:
    found = arms(slowRequest=None)
    waits = {n: sum(s.seconds for s in arm.steps if isinstance(s, Pause)) for n, arm in found.items()}  # fmt: skip

    assert waits == dict.fromkeys(("idle", "held", "sigint"), SETTLE)
    assert 4 < SETTLE < 5


def test_requests_are_whole_seconds_up_to_eight_tenths_of_the_drain() -> None:
    flow = step(arms()["waves"], Flow)

    assert flow.paths == ((12.0, "/slow?seconds=12"), (4.0, "/slow?seconds=4"))
    assert [n for n, _ in step(arms(drain="3s")["waves"], Flow).paths] == [3.0, 2.0]
    assert step(arms(drain="1h")["waves"], Flow).paths[0][0] == 300.0
    export = arms(slowRequest={"path": "/export"})["waves"]
    assert step(export, Flow).paths == ((12.0, "/export"),)
    assert step(export, Send).label == "fast"
    assert step(arms()["stuck"], Flow).paths == ((60.0, "/slow?seconds=60"),)


@pytest.mark.parametrize(("unit", "value"), [("s", "3"), ("ms", "3000")])
def test_the_drain_is_set_anew(unit: str, value: str) -> None:
    arm = arms(drainEnv={"name": "DRAIN", "unit": unit})["drain-env"]

    assert arm.edits == (Edit("DRAIN", value),)


def test_connections_are_used_again_when_they_must_be_closed() -> None:
    held = arms(lameDuck="7s", refuseAfter="3s")["held"]

    assert step(held, Hold).reuse_after == (0.5, 11.0)


@pytest.mark.parametrize(
    ("hook", "drain", "every"), [(0, "15s", 0.1), (5, "15s", 0.1), (0, "1m", 0.16)]
)
def test_knocking_lasts_to_the_end(hook: float, drain: str, every: float) -> None:
    knock = step(arms(Pod(hook=hook), drain=drain)["waves"], Knock)

    assert knock.every == every
    assert knock.every * knock.most >= 1 + hook + terms_of(subject_of(TARGET, Pod())).drain


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("slots", [1, 2, 3, 8])
@pytest.mark.parametrize("lag", [0.05, 0.6])
def test_the_signal_finds_a_request_half_way(hook: float, slots: int, lag: float) -> None:
    pod = Pod(hook=hook, grace=60, lag=lag)
    seen = simulate(Server(slots=slots, limit=15), pod, arms(pod)["waves"])
    at = seen.stopped + hook + lag

    assert any(x.start <= at - 0.5 and x.end >= at + 0.5 for x in seen.labelled("slow"))


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        ({"health": {"path": "/h"}, "http": {"public": ["/p"]}}, "/h"),
        ({"health": None, "http": {"public": ["/p", "/q"]}}, "/p"),
        ({"health": None, "http": {"protected": ["/p"]}}, "/"),
        ({"health": None}, "/"),
    ],
)
def test_what_is_asked_for_at_once(paths: dict[str, Any], path: str) -> None:
    assert fast_path(subject_of(TARGET | paths, Pod())) == path


@pytest.mark.parametrize(
    ("probes", "seconds"),
    [
        ({}, 120),
        ({"readinessProbe": {"initialDelaySeconds": 20}}, 140),
        ({"startupProbe": {"periodSeconds": 5, "failureThreshold": 24}}, 240),
        ({"startupProbe": {"timeoutSeconds": 1}}, 150),
        ({"startupProbe": {"failureThreshold": 600}}, 600),
    ],
)
def test_how_long_a_clone_may_take_to_start(probes: dict[str, Any], seconds: float) -> None:
    subject = subject_of(TARGET, Pod())
    assert subject.workload is not None
    subject.workload["spec"]["template"]["spec"]["containers"][0] |= probes

    assert boot_seconds(subject) == seconds


@pytest.mark.parametrize("shape", SHAPES, ids=[s["name"] for s in SHAPES])
def test_a_drill_ends_a_minute_after_its_clones_have_started(shape: dict[str, Any]) -> None:
    """All arms, three clones at a time, the longest first; the kubelet's own patience comes on top."""
    pod = Pod(**shape.get("pod", {}))
    server = Server(**shape["server"])
    seen = [simulate(server, pod, arm) for arm in arms(pod, drainEnv={"name": "D"}).values()]
    killed = max(0.0, pod.grace - 15) if any(e.code == 137 for t in seen for e in t.endings) else 0
    took = sorted((max(x.end for x in t.exchanges) for t in seen), reverse=True)
    lanes = [0.0, 0.0, 0.0]
    for each in took:
        lanes[lanes.index(min(lanes))] += each

    assert max(lanes) <= 2 * pod.startup + pod.hook + 60 + 2 * killed


@pytest.mark.parametrize("shape", SHAPES, ids=[s["name"] for s in SHAPES])
def test_a_drill_adds_five_seconds_to_what_the_application_needs(shape: dict[str, Any]) -> None:
    pod, server = Pod(**shape.get("pod", {})), Server(**shape["server"])
    seen = [simulate(server, pod, arm) for arm in arms(pod, drainEnv={"name": "D"}).values()]

    assert {each.arm: added for each in seen if not 3 <= (added := added_of(each)) <= 5} == {}

"""Scenarios played on processes; arms with a second clone, and with stores that no other arm meets."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from drill_processes import Processes, clone, free_port

from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Drill, Props, Reports
from readiness.model import Manifest
from readiness.scenario import Scene, Unmet
from readiness.script import Arm, DrillSubject, Script, seconds_of
from readiness.step import Boot, Exit, Linger, Logs, Pause, Play, Step, Stop
from readiness.timeline import NEVER, Problem, Timeline

SERVER = """
import http.server, json, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die": os._exit(3)
        told = {"pid": os.getpid(), "path": self.path, "age": int(time.time() - began)}
        if self.command == "POST":
            told["body"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(told).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *a): pass
began = time.time()
print("first words", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STORE = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
BOOT, END = Boot(5.0), (Stop(), Exit(5.0))
START = Scene("start", "/jobs?s={seconds}", "POST", '{"s": {seconds}, "t": "{other}"}', extracts=(("pid", "pid"),), asserts=(("body.s", "7"), ("path", "/jobs?s=7"), ("body.t", "{other}")))  # fmt: skip
SAME = Scene("same", "/{pid}", extracts=(("path", "path"),))
SAME_PID = Scene("who", "/", extracts=(("pid", "pid"),))
OLD = Scene("old", "/", asserts=(("age", "1"),), within=5.0)


def drilled(*arms: Arm, stores: dict[str, Manifest | Problem] | None = None) -> tuple[list[Timeline], list[str], dict[str, Any]]:  # fmt: skip
    """Timelines, names of pods in the order in which they were created, and of whose store each clone was told."""

    async def run() -> tuple[list[Timeline], list[str], dict[str, Any]]:
        port = free_port()
        stage, seen, told = Processes(port), list[Timeline](), {}

        def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest:
            told[f"{arm.name}-{nth}"] = [s["metadata"]["name"] for s in props.stores.values() if isinstance(s, dict)]  # fmt: skip
            made = clone(f"{arm.name}-{nth}", SERVER)
            made["spec"]["containers"][0]["image"] = f"registry/app@sha256:{nth}"
            return made

        subject = DrillSubject("test", "t", "apps/v1", "Deployment", "x", port=port)
        script = Script("run", subject, arms, clones=1, deadline=40.0)
        dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)
        props = Props(stores=stores or {})
        await Drill(script, stage, dialer, (build, props), Reports(lambda arm, moment: None, seen.append)).run()  # fmt: skip
        return seen, list(stage.made), told

    return asyncio.run(run())


def store(name: str) -> Manifest:
    port = str(free_port())
    container = {"name": "app", "command": [sys.executable, "-c", STORE, port], "env": [{"name": "PORT", "value": port}]}  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def play(*steps: Step) -> Timeline:
    (seen,), _, _ = drilled(Arm("play", steps))
    return seen


def test_scenes_follow_each_other_and_know_what_was_extracted():
    seen = play(BOOT, Play("a", (START, SAME), 7), Play("b", (SAME,)))

    assert seen.problem is None
    assert [(c.label, c.scene, c.status, c.unmet) for c in seen.checks] == [
        ("a", "start", 200, ()), ("a", "same", 200, ()), ("b", "same", 200, ()),
    ]  # fmt: skip
    assert all(c.start <= c.end for c in seen.checks)


def test_a_scene_is_repeated_until_it_holds():
    seen = play(BOOT, Play("a", (OLD,)))

    assert [c.unmet for c in seen.checks] == [()]
    assert seen.checks[0].end - seen.checks[0].start >= 0.5


def test_a_scene_that_must_hold_ends_the_arm_and_says_what_was_wrong():
    seen = play(BOOT, Play("a", (Scene("x", "/", asserts=(("pid", "0"), ("none", "1"))), SAME)), Pause(30))  # fmt: skip

    assert [c.unmet for c in seen.checks] == [(Unmet("pid", "more"), Unmet("none", "absent"))]
    assert seen.problem is not None
    assert (seen.problem.reason, seen.problem.words) == (
        "Unplayed", "step x of the scenario does not hold on a clone: pid (more), none (absent), status 200",
    )  # fmt: skip


def test_that_a_scene_does_not_hold_may_be_an_answer():
    seen = play(BOOT, Play("a", (Scene("x", "/", status=(404,)), SAME), succeed=False))

    assert seen.problem is None
    assert [(c.scene, c.unmet) for c in seen.checks] == [("x", (Unmet("status"),))]


def test_an_application_that_is_gone_answers_no_scene():
    seen = play(BOOT, *END, Play("a", (Scene("x", "/", within=30.0),), succeed=False))

    assert [(c.status, c.unmet) for c in seen.checks] == [(0, (Unmet("answer", "absent"),))]


def test_a_second_boot_brings_another_clone_on_which_the_steps_after_it_act():
    look = Logs("log", ("first words",))
    steps = (
        BOOT,
        Play("a", (SAME_PID,)),
        look,
        *END,
        BOOT,
        Play("b", (SAME_PID,), succeed=False),
        look,
        Linger(0.1),
    )
    (seen,), made, _ = drilled(Arm("twice", steps))

    assert seen.problem is None
    assert made == ["twice-0", "twice-1"]
    assert [c.status for c in seen.checks] == [200, 200]
    assert [m.clone for m in seen.moments if m.name == "ready"] == [0, 1]
    assert NEVER < seen.moment("ready") < seen.stopped < seen.moment("created", 1) < seen.moment("ready", 1)  # fmt: skip
    assert seen.ending is not None
    assert [bool(said.found) for said in seen.said] == [True, True]
    assert seen.images == ("sha256:0", "sha256:1")


def test_a_second_clone_that_ends_by_itself_ends_the_arm():
    die = Play("a", (Scene("die", "/die"),), succeed=False)
    (seen,), _, _ = drilled(Arm("twice", (BOOT, *END, BOOT, die, Pause(5.0), BOOT)))

    assert seen.problem is not None
    assert (seen.problem.reason, seen.problem.words[-11:]) == ("Ended", "exit code 3")
    assert [e.clone for e in seen.endings] == [0, 1]


@pytest.mark.parametrize("apart", [True, False])
def test_arms_apart_have_stores_of_their_own(apart):
    arms = tuple(Arm(name, (BOOT, *END, BOOT), apart=apart) for name in ("one", "two"))
    seen, made, told = drilled(*arms, stores={"cache": store("cache")})

    assert [t.problem for t in seen] == [None, None]
    stores = {name: names[0] for name, names in told.items()}
    assert len(set(stores.values())) == (2 if apart else 1)
    assert stores["one-0"] == stores["one-2"]
    assert ("cache" in made) is not apart
    assert len(made) == len(set(made)) == (6 if apart else 5)


def test_a_store_that_is_not_there_is_the_problem_of_arms_that_need_it():
    arms = (Arm("one", (BOOT,), apart=True), Arm("two", (BOOT,), apart=True))
    seen, made, _ = drilled(*arms, stores={"cache": Problem("StoreUnavailable", "no image")})

    assert [t.problem and t.problem.reason for t in seen] == ["StoreUnavailable"] * 2
    assert made == []


def test_how_long_an_arm_may_take_counts_its_plays_and_its_stores():
    scenes = (Scene("a", "/"), Scene("b", "/", within=20.0))

    assert seconds_of(Arm("x", (Play("p", scenes, longer=30.0),))) == 10 + 10 + 20 + 30
    assert seconds_of(Arm("x", (), apart=True)) == 60

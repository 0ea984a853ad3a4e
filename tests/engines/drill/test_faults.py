"""Faults on processes: a clone that calls a sink and looks at a store behind its gate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from drill_processes import Processes, clone, free_port, sink

from readiness.drills.codec import dump_timeline, load_timelines
from readiness.drills.environment import edit_environment
from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Drill, Props, Reports
from readiness.model import Manifest, Outcome
from readiness.script import Arm, DrillSubject, Script, Upstream, seconds_of
from readiness.step import Ask, Body, Boot, Calls, Fault, Send
from readiness.timeline import Problem, Timeline

LLM = Upstream("llm", "LLM_URL", "/v1")
CALLING = """
import http.client, os, socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
url = urlsplit(os.environ.get("LLM_URL", "http://127.0.0.1:1"))
store = int(os.environ.get("STORE", "0"))
def called(body):
    line = http.client.HTTPConnection(url.hostname, url.port, timeout=0.6)
    try:
        line.request("POST", url.path + "/secret-token", body, {"Idempotency-Key": "k"})
        return line.getresponse().status
    except OSError:
        return 504
def deep():
    try:
        with socket.create_connection(("127.0.0.1", store), 0.3) as line:
            line.settimeout(0.3)
            line.sendall(b"PING")
            return line.recv(4) != b""
    except OSError:
        return False
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        up = self.path != "/deep" or deep()
        status = called(body) if self.path == "/call" else 200
        if self.path == "/deep" and not up and "HONEST" in os.environ: status = 503
        said = b'{"store": "up", "usual": "error: none"}' if up else b'{"store": "down", "usual": "error: none"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_POST = do_GET
    def log_message(self, *args): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DOWN, ERROR = r"\bdown\b", r"\berror\b"


def drilled(*arms: Arm, broken: Problem | None = None, **env: str) -> dict[str, Timeline]:
    """The timelines of arms on clones that call a sink and a store behind a gate."""

    async def run() -> dict[str, Timeline]:
        store = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port, upstream, gate = free_port(), free_port(), free_port()
        behind = store.sockets[0].getsockname()[1]
        subject = DrillSubject("test", "t", "apps/v1", "Deployment", "x", port=port, upstreams=(LLM,))  # fmt: skip
        stage = Processes(port)

        def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest | Problem:
            made = clone(arm.name, CALLING)
            told = [{"name": n, "value": v} for n, v in ({"STORE": str(gate)} | env).items()]
            container = made["spec"]["containers"][0] | {"env": told}
            edited = edit_environment(container, arm, subject, props.sinks())
            assert not isinstance(edited, Problem)
            made["spec"]["containers"] = [edited]
            return made

        props = Props(
            stores={"cache": sink("gate", (), {gate: behind})},
            sink=broken or sink("sink", (upstream,)), ports={"llm": upstream},
        )  # fmt: skip
        script = Script("run", subject, arms, clones=1, deadline=90.0)
        dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)
        seen: list[Timeline] = []
        reports = Reports(lambda arm, moment: None, seen.append)
        await Drill(script, stage, dialer, (build, props), reports).run()
        store.close()
        return {each.arm: each for each in seen}

    return asyncio.run(run())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


def arm(name: str, *steps: Any) -> Arm:
    return Arm(name, (Boot(20.0), *steps), (LLM.edit,))


CALL = Send("call", "/call", "POST", body=Body(text='{"a": 1}'))


def test_calls_are_told_by_step_without_what_may_be_secret():
    order = (CALL, Calls("first", "llm"), CALL, CALL, Calls("then", "llm", least=2), Calls("none", "llm", within=0.2))  # fmt: skip
    seen = drilled(arm("calls", *order))["calls"]

    assert seen.problem is None
    assert [call.label for call in seen.calls] == ["first", "then", "then"]
    assert {(call.method, call.outcome, call.size) for call in seen.calls} == {("POST", "answered", 8)}  # fmt: skip
    assert len({(call.key, call.path) for call in seen.calls}) == 1
    line = dump_timeline("run", seen)
    assert "secret-token" not in line
    assert next(load_timelines("run", [line])).calls[0].key == seen.calls[0].key


def test_a_fault_holds_for_the_clone_and_may_come_later():
    faults = (Fault("llm", "503"), Fault("llm", "echo", after=1), CALL, CALL, Fault("llm", "tarpit"), CALL, Calls("calls", "llm", 3, last=True))  # fmt: skip
    seen = drilled(arm("faults", *faults))["faults"]

    assert [x.status for x in seen.labelled("call")] == [503, 200, 504]
    assert [call.outcome for call in seen.calls] == ["answered", "answered", "left"]
    assert seen.calls[2].end - seen.calls[2].at < 2
    assert seen.labelled("call")[2].end - seen.labelled("call")[2].start < 2


ILL = Ask("ill", "/deep", (DOWN, ERROR), ill=True, within=5.0, every=0.1)
DEEP = (
    Ask("well", "/deep", (DOWN, ERROR)), Fault("cache", "blackhole"), ILL, Fault("cache", "open"),
    Ask("back", "/deep", (DOWN, ERROR)),
)  # fmt: skip


@pytest.mark.parametrize(("env", "status", "found"), [({}, 200, (DOWN, ERROR)), ({"HONEST": "1"}, 503, (DOWN, ERROR))])  # fmt: skip
def test_health_is_ill_by_its_status_or_by_a_word_that_it_does_not_always_say(
    env: Mapping[str, str], status: int, found: tuple[str, ...]
):
    seen = drilled(arm("deep", *DEEP), **env)["deep"]
    (well,), (ill,), (back,) = map(seen.labelled, ("well", "ill", "back"))

    assert (well.fits, well.found) == (True, (ERROR,))
    assert (ill.fits, ill.status, ill.found) == (True, status, found)
    assert (back.fits, back.found) == (True, (ERROR,))


def test_a_store_of_an_arms_own_fails_on_cue_as_well():
    alone = replace(arm("deep", *DEEP), apart=True)
    seen = drilled(alone, HONEST="1")["deep"]

    assert seen.problem is None
    assert [x.status for label in ("well", "ill", "back") for x in seen.labelled(label)] == [200, 503, 200]  # fmt: skip


def test_health_that_never_says_so_is_told_as_it_was():
    patient = Ask("ill", "/deep", (DOWN,), ill=True, within=0.6, every=0.1)
    seen = drilled(arm("deep", Ask("well", "/deep", (DOWN,)), patient))["deep"]
    (ill,) = seen.labelled("ill")

    assert (ill.fits, ill.status, ill.outcome) == (False, 200, Outcome.RESPONSE)
    assert seen.problem is None


def test_without_its_sink_an_arm_says_so_and_the_others_go_on():
    refused = Problem("Quota", "no room")
    steps = (Boot(20.0), Fault("llm", "503"))
    seen = drilled(Arm("calls", steps), Arm("plain", (Boot(20.0), Send("fast", "/"))), broken=refused)  # fmt: skip

    assert seen["calls"].problem is not None
    assert seen["calls"].problem.reason == "SinkUnavailable"
    assert seen["plain"].problem is None


def test_steps_with_faults_count_in_the_time_that_an_arm_may_take():
    assert seconds_of(Arm("deep", DEEP)) == 10 + 10 + 5 + 10 + 10
    assert seconds_of(Arm("calls", (Calls("a", "llm", within=7.0),))) == 7

"""The matrix of faults without a cluster: clones are processes on loopback, and so are the sink and the gate of a store.

Engine, arms and judges are the real ones. Every clone has a sink of its own, as all come from one address here. READINESS_ROWS
holds parts of the names of the rows that are wanted.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import matrix
import readiness.controls
from readiness.api import read_policy
from readiness.control import Control, Requirement, Subject
from readiness.drills.environment import edit_environment
from readiness.drills.subject import drill_subject
from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Drill, Props, Reports
from readiness.model import Manifest, Verdict
from readiness.registry import discover
from readiness.request import DrillRequest
from readiness.script import Arm, Script, deadline_of
from readiness.snapshot import Snapshot
from readiness.timeline import Problem, Timeline

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engines" / "drill"))
from drill_processes import Processes, own_port, sink, undisturbed  # noqa: E402 (the path must be set first)

KNOWN = discover(readiness.controls, Requirement)
CONTROLS: Mapping[str, Control] = {
    i: c for i in matrix.FAULT_CONTROLS if isinstance(c := KNOWN[i], Control)
}
APPS = ROOT / "e2e" / "apps"
PYTHON, NODE = (sys.executable, str(APPS)), ("node", str(APPS / "node" / "server.mjs"))
HEALTHY = {"healthy-python": PYTHON, "healthy-node": NODE}
CHOSEN = os.environ.get("READINESS_ROWS", "").split(",")
ROWS = {
    id_: defect for id_, defect in (dict.fromkeys(HEALTHY) | matrix.FAULT_DEFECTS).items()
    if any(part in id_ for part in CHOSEN)
}  # fmt: skip
AT_ONCE = 6
LOOKS = 3
PATIENCE = 30.0


@pytest.fixture(scope="module")
def seen() -> Mapping[str, dict[str, Verdict]]:
    """By defect: the verdicts of one drill."""

    async def run() -> Mapping[str, dict[str, Verdict]]:
        places, ports = asyncio.Semaphore(AT_ONCE), itertools.count(23000)
        async with redis() as store:
            found = await asyncio.gather(*(drilled(id_, store, ports, places) for id_ in ROWS))
        return dict(zip(ROWS, found, strict=True))

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("id_", ROWS)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    seen: Mapping[str, dict[str, Verdict]], id_: str
) -> None:
    wrong = {i: v.reason for i, v in seen[id_].items() if v.result != "Pass"}

    assert wrong == matrix.expected_of_drills(ROWS[id_]), seen[id_]


@asynccontextmanager
async def redis() -> AsyncIterator[int]:
    """What answers as a Redis does, as far as deep health asks it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"+PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def drilled(
    id_: str, store: int, ports: Iterator[int], places: asyncio.Semaphore, *, anyway: bool = True
) -> dict[str, Verdict]:
    """One drill of one specimen with every control; a look that was spoiled is taken again. `anyway`: the last one counts."""
    subject = subject_of(HEALTHY.get(id_, PYTHON), "" if id_ in HEALTHY else id_)
    verdicts: dict[str, Verdict] = {}
    for look in range(LOOKS):
        due = {i: c for i, c in CONTROLS.items() if i not in verdicts or verdicts[i].reason == "DrillDisturbed"}  # fmt: skip
        asked = {r for c in due.values() for r in c.ask(subject) if isinstance(r, DrillRequest)}

        async def one(request: DrillRequest) -> tuple[DrillRequest, Timeline]:
            async with places:
                return request, await carried_out(subject, request.arm, store, ports)

        answers = dict(await asyncio.gather(*map(one, asked)))
        if anyway and look == LOOKS - 1:
            answers = {request: undisturbed(seen) for request, seen in answers.items()}
        verdicts |= {i: control.judge(subject, answers) for i, control in due.items()}
    return verdicts


async def carried_out(subject: Subject, arm: Arm, store: int, ports: Iterator[int]) -> Timeline:
    """One arm, on a clone with a sink and a gate of its own."""
    port, llm, pay, gate, control, gated = (own_port(ports) for _ in range(6))
    timelines: list[Timeline] = []

    def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest | Problem:
        assert subject.workload is not None
        pod = subject.workload["spec"]["template"]["spec"]
        found = edit_environment(pod["containers"][0], arm, drill_subject(subject), props.sinks())
        if isinstance(found, Problem):
            return found
        own = {"PORT": str(port), "DEPENDENCIES": f"cache=127.0.0.1:{gate}"}
        kept = [e for e in found["env"] if e["name"] not in own]
        container = {**found, "env": [*kept, *({"name": n, "value": v} for n, v in own.items())]}
        spec = {**pod, "containers": [container], "terminationGracePeriodSeconds": 1}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": arm.name}, "spec": spec}

    props = Props(
        stores={"cache": sink("gate", (), {gate: store}, gated)},
        sink=sink("sink", (llm, pay), control=control), ports={"llm": llm, "pay": pay},
    )  # fmt: skip
    whose = replace(drill_subject(subject), port=port)
    script = Script("run", whose, (arm,), clones=1, deadline=deadline_of((arm,)) + PATIENCE)
    dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)
    reports = Reports(lambda arm, moment: None, timelines.append)
    await Drill(script, Processes(port), dialer, (build, props), reports).run()
    return timelines[0]


def subject_of(command: tuple[str, ...], defects: str) -> Subject:
    """The specimen as the e2e matrix deploys it, but for the place where it runs."""
    env = matrix.FAULT_ENVIRONMENT | {"DEFECTS": defects}
    container: dict[str, Any] = {
        "name": "app", "command": list(command), "args": [],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": 8080}},
    }  # fmt: skip
    template = {"spec": {"containers": [container]}}
    workload = {"kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": template}}
    target = matrix.drill_target("it", matrix.FAULT_DECLARED)
    policy = read_policy({"targets": [target], "dataServices": matrix.FAULT_STORES})
    return Subject(policy, policy.targets[0], Snapshot(namespace="test"), workload)

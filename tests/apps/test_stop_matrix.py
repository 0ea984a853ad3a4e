"""How the specimen ends, with each defect of its end: its clones are processes on loopback, and every arm is a real one.

Engine, arms and judges are those of the operator; e2e/test_drill_matrix.py does the same on pods. READINESS_ROWS holds
parts of the names of the rows that are wanted.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from specimen.defects.starting import StartDefect

import matrix
import readiness.controls
from readiness.api import read_policy
from readiness.control import Control, Requirement, Subject
from readiness.drills.spoiled import MOST_LAG
from readiness.engines import Dialer, Egress, Guard, Resolver, build_trust
from readiness.engines.drill import CAPS, Drill, Props, Reports
from readiness.model import Manifest, Verdict
from readiness.registry import discover
from readiness.request import DrillRequest
from readiness.script import Script, deadline_of
from readiness.snapshot import Snapshot
from readiness.timeline import Timeline

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engines" / "drill"))
from drill_processes import Processes, free_port  # noqa: E402 (the path must be set first)

pytestmark = pytest.mark.slow
KNOWN = discover(readiness.controls, Requirement)
CONTROLS: Mapping[str, Control] = {i: c for i in matrix.STOP_CONTROLS if isinstance(c := KNOWN[i], Control)}  # fmt: skip
APPS = ROOT / "e2e" / "apps"
PYTHON, NODE = (sys.executable, str(APPS)), ("node", str(APPS / "node" / "server.mjs"))
HEALTHY = {"healthy-python": PYTHON, "healthy-node": NODE}
CHOSEN = os.environ.get("READINESS_ROWS", "").split(",")
ROWS: Mapping[str, StartDefect | None] = {
    id_: defect for id_, defect in (dict.fromkeys(HEALTHY) | matrix.STOP_DEFECTS).items()
    if any(part in id_ for part in CHOSEN)
}  # fmt: skip
AT_ONCE = 8


@pytest.fixture(scope="module")
def seen() -> Mapping[str, dict[str, Verdict]]:
    """By defect, the verdicts on every arm."""

    async def run() -> Mapping[str, dict[str, Verdict]]:
        places = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(drilled(row, places) for row in ROWS))
        return dict(zip(ROWS, found, strict=True))

    return asyncio.run(run())


async def drilled(row: str, places: asyncio.Semaphore) -> dict[str, Verdict]:
    """What is judged of one look at each arm; of another one where the machine was too busy for the first."""
    subject = subject_of(row)
    asked = {r for control in CONTROLS.values() for r in control.ask(subject)}
    requests = [r for r in asked if isinstance(r, DrillRequest)]

    async def look(request: DrillRequest) -> Timeline:
        for _ in range(2):
            timeline = await one(subject, request, places)
            if timeline.lag <= MOST_LAG:
                break
        return replace(timeline, lag=0.0)

    looks = await asyncio.gather(*map(look, requests))
    answers = dict(zip(requests, looks, strict=True))
    return {id_: control.judge(subject, answers) for id_, control in CONTROLS.items()}


async def one(subject: Subject, request: DrillRequest, places: asyncio.Semaphore) -> Timeline:
    """One arm on a process of its own, at a port of its own."""
    async with places:
        port, found = free_port(), list[Timeline]()
        whose = replace(request.subject, port=port)
        script = Script("run", whose, (request.arm,), clones=1, deadline=2 * deadline_of((request.arm,)))  # fmt: skip
        dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)

        def build(workload: Manifest, arm: object, nth: int, props: Props) -> Manifest:
            assert subject.workload is not None
            spec = subject.workload["spec"]["template"]["spec"]
            container = spec["containers"][0]
            edits = {e.name: e.value for e in request.arm.edits} | {"PORT": str(port)}
            env = [e for e in container["env"] if e["name"] not in edits]
            env += [{"name": name, "value": value} for name, value in edits.items()]
            pod = {**spec, "containers": [{**container, "env": env}]}
            return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": request.arm.name}, "spec": pod}  # fmt: skip

        reports = Reports(lambda arm, moment: None, found.append)
        await Drill(script, Processes(port), dialer, (build, Props()), reports).run()
        return found[0]


def subject_of(row: str) -> Subject:
    """The specimen as the e2e matrix deploys it, but for the place where it runs."""
    env = matrix.STOP_ENVIRONMENT | {"DEFECTS": row if ROWS[row] else ""}
    container = {
        "name": "app", "command": list(HEALTHY.get(row, PYTHON)), "args": [],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": 8080}},
    }  # fmt: skip
    pod = matrix.stop_pod(container, ROWS[row])
    workload = {"kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": {"spec": pod}}}  # fmt: skip
    policy = read_policy({"targets": [matrix.drill_target("it", matrix.STOP_DECLARED)]})
    return Subject(policy, policy.targets[0], Snapshot(namespace="test"), workload)


@pytest.mark.parametrize("row", ROWS)
def test_a_defect_of_the_end_fails_exactly_the_controls_that_name_it(
    seen: Mapping[str, dict[str, Verdict]], row: str
) -> None:
    """A busy machine may leave a control open, never wrong; and not many of them."""
    expected = matrix.expected_of_drills(ROWS[row])
    found = {id_: v.reason if v.result != "Pass" else "" for id_, v in seen[row].items()}
    wrong = {id_ for id_, reason in found.items() if reason != expected.get(id_, "")}

    assert {id_: seen[row][id_] for id_ in wrong if seen[row][id_].result != "Unknown"} == {}
    assert len(wrong) <= 2, seen[row]

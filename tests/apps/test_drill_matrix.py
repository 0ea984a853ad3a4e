"""The matrix of drills without a cluster: every start-up defect of the specimen, its clones being processes on loopback.

Engine, arms and judges are the real ones; e2e/test_drill_matrix.py does the same on pods.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from specimen.defects.starting import StartDefect

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
from drill_processes import Processes, own_port, undisturbed  # noqa: E402 (the path must be set first)

KNOWN = discover(readiness.controls, Requirement)
CONTROLS: Mapping[str, Control] = {
    i: c for i in matrix.DRILL_CONTROLS if isinstance(c := KNOWN[i], Control)
}
PODS_ONLY = {"LIM-007/memory-volume"}  # what a process writes to a tmpfs is not its own memory
ROWS: Mapping[str, StartDefect | None] = {
    "none": None, **{i: d for i, d in matrix.START_DEFECTS.items() if i not in PODS_ONLY}
}  # fmt: skip
REQUESTED = ("error", "oversize")
AT_ONCE = 4
LOOKS = 3  # a machine that is held up spoils a look, and says so
CANARY = "hunter2-canary"


@pytest.fixture(scope="module")
def seen() -> Mapping[str, tuple[dict[str, Verdict], str]]:
    """By defect: the verdicts of one drill, and everything that came out of it."""

    async def run() -> Mapping[str, tuple[dict[str, Verdict], str]]:
        places, ports = asyncio.Semaphore(AT_ONCE), itertools.count(21000)

        async def one(id_: str) -> tuple[dict[str, Verdict], str]:
            async with places:
                for look in range(LOOKS):
                    defects = "" if id_ == "none" else id_
                    verdicts, told = await drilled(defects, ports, anyway=look == LOOKS - 1)
                    if all(v.reason != "DrillDisturbed" for v in verdicts.values()):
                        break
                return verdicts, told

        found = await asyncio.gather(*map(one, ROWS))
        return dict(zip(ROWS, found, strict=True))

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("id_", ROWS)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    seen: Mapping[str, tuple[dict[str, Verdict], str]], id_: str
) -> None:
    verdicts, told = seen[id_]
    wrong = {i: v.reason for i, v in verdicts.items() if v.result != "Pass"}

    assert wrong == matrix.expected_of_drills(ROWS[id_]), verdicts
    assert CANARY not in told


async def drilled(
    defects: str, ports: Iterator[int], *, anyway: bool = True
) -> tuple[dict[str, Verdict], str]:
    """One drill of the specimen with these defects, by one look."""
    port = own_port(ports)
    subject = subject_of(port, defects)
    own = {
        id_: replace(subject, params={p.name: p.default for p in c.params})
        for id_, c in CONTROLS.items()
    }
    asked = {id_: control.ask(own[id_]) for id_, control in CONTROLS.items()}
    requests = {r.arm.name: r for each in asked.values() for r in each if isinstance(r, DrillRequest)}  # fmt: skip
    arms = tuple(r.arm for r in requests.values())
    timelines: list[Timeline] = []

    def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest | Problem:
        assert subject.workload is not None
        pod = subject.workload["spec"]["template"]["spec"]
        container = edit_environment(pod["containers"][0], arm, drill_subject(subject), {})
        if isinstance(container, Problem):
            return container
        if arm.name not in REQUESTED:  # the rest needs no port of the drill's
            told = {"name": "PORT", "value": str(own_port(ports))}
            container["env"] = [e for e in container["env"] if e["name"] != "PORT"] + [told]
        spec = {**pod, "containers": [container], "terminationGracePeriodSeconds": 2}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": arm.name}, "spec": spec}

    script = Script("run", drill_subject(subject), arms, clones=1, deadline=3 * deadline_of(arms))
    dialer = Dialer(Guard(Egress(("127.0.0.1",)), Resolver()), build_trust(), caps=CAPS)
    reports = Reports(lambda arm, moment: None, timelines.append)
    await Drill(script, Processes(port), dialer, (build, Props()), reports).run()
    answers = {requests[each.arm]: undisturbed(each) if anyway else each for each in timelines}
    return {id_: c.judge(own[id_], answers) for id_, c in CONTROLS.items()}, repr(timelines)


def subject_of(port: int, defects: str) -> Subject:
    """The specimen as the e2e matrix deploys it, but for the place where it runs."""
    env = matrix.DRILL_ENVIRONMENT | {"API_TOKEN": CANARY, "PORT": str(port), "DEFECTS": defects}
    container: dict[str, Any] = {
        "name": "app", "command": [sys.executable, str(ROOT / "e2e" / "apps")],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": port}], "readinessProbe": {"tcpSocket": {"port": port}},
    }  # fmt: skip
    template = {"spec": matrix.start_pod(container, matrix.START_DEFECTS.get(defects))}
    workload = {"kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": template}}
    policy = read_policy({"targets": [matrix.drill_target("it")]})
    return Subject(policy, policy.targets[0], Snapshot(namespace="test"), workload)

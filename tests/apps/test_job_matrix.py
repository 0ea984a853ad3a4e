"""The matrix of workers without a cluster: every defect of the worker, its clones and a real Redis being processes on loopback.

Engine, arms, judges and the start script of the throw-away store are the real ones; e2e/test_drill_jobs.py does the same on pods.
"""

import asyncio
import itertools
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import jobs
import readiness.controls
from readiness.api import read_policy
from readiness.control import Control, Requirement, Subject
from readiness.drills.place import Place
from readiness.drills.stores import build_store
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
sys.path.insert(0, str(ROOT / "tests" / "dataservices" / "redis"))
from drill_processes import Processes, free_port, undisturbed  # noqa: E402 (the path must be set first)
from rig import image_root  # noqa: E402

pytestmark = pytest.mark.slow
KNOWN = discover(readiness.controls, Requirement)
CONTROLS: Mapping[str, Control] = {
    i: c for i in jobs.CONTROLS if isinstance(c := KNOWN[i], Control)
}
ROWS: Mapping[str, tuple[tuple[str, ...], jobs.JobDefect | None]] = {
    **{name: (words, None) for name, words in jobs.VARIANTS.items()},
    **{id_: ((), defect) for id_, defect in jobs.DEFECTS.items()},
}
AT_ONCE = 4
LOOKS = 3  # a machine that is held up spoils a look, and says so


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a redis-server: Debian's own, with the libraries that it was built for."""
    root, folder = image_root("trixie"), tmp_path_factory.mktemp("bin")
    loader, libraries = next(root.glob("lib64/ld-linux*")), next(root.glob("usr/lib/*-linux-gnu"))
    program = folder / "redis-server"
    words = (loader, "--library-path", libraries, root / "usr/bin/redis-server")
    program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    program.chmod(0o755)
    return folder


class Places:
    """Addresses and ports that no two processes of this module share."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.home = Path(tempfile.mkdtemp())
        self._numbers = itertools.count(1)

    def block(self) -> tuple[str, ...]:
        """Loopback addresses for one drill, which are as good as ports; each is allowed by name."""
        number = next(self._numbers)
        return tuple(f"127.{os.getpid() % 200 + 50}.{number}.{n}" for n in range(1, 60))


class Stage(Processes):
    """Processes at addresses of their own, stores with a directory of their own."""

    def __init__(self, port: int, places: Places) -> None:
        super().__init__(port)
        self._places = places
        self.block = places.block()
        self._free = iter(self.block)

    async def create(self, manifest: Manifest) -> Manifest | Problem:
        address = next(self._free)
        own = {"ADDRESS": address, "HOST": address}
        if "store" in manifest["metadata"]["name"]:
            home = tempfile.mkdtemp(dir=self._places.home)
            own |= {"HOME": home, "TMPDIR": home, "STORE_PORT": "6379", "STORE_BIND": address, "PORT": "6379"}  # fmt: skip
            own |= {"PATH": f"{self._places.programs}:{os.environ['PATH']}"}
        (container,) = manifest["spec"]["containers"]
        given = [e for e in container["env"] if "value" in e and e["name"] not in own]
        env = [*given, *({"name": name, "value": value} for name, value in own.items())]
        spec = {**manifest["spec"], "containers": [{**container, "env": env}]}
        return await super().create({**manifest, "spec": spec})


@pytest.fixture(scope="module")
def seen(programs: Path) -> Mapping[str, dict[str, Verdict]]:
    """By row: the verdicts of one drill."""

    async def run() -> Mapping[str, dict[str, Verdict]]:
        turn, places = asyncio.Semaphore(AT_ONCE), Places(programs)

        async def one(id_: str) -> dict[str, Verdict]:
            async with turn:
                for look in range(LOOKS):
                    verdicts = await drilled(id_, places, anyway=look == LOOKS - 1)
                    if all(v.reason != "DrillDisturbed" for v in verdicts.values()):
                        break
                return verdicts

        found = await asyncio.gather(*map(one, ROWS))
        return dict(zip(ROWS, found, strict=True))

    return asyncio.run(run())


@pytest.mark.parametrize("id_", ROWS)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    seen: Mapping[str, dict[str, Verdict]], id_: str
) -> None:
    wrong = {i: v.reason for i, v in seen[id_].items() if v.result != "Pass"}

    assert wrong == jobs.expected(ROWS[id_][1]), seen[id_]


async def drilled(id_: str, places: Places, *, anyway: bool = True) -> dict[str, Verdict]:
    """One drill of one worker, by one look."""
    port = free_port()
    subject = subject_of(port, id_)
    requests = {r.arm.name: r for c in CONTROLS.values() for r in c.ask(subject) if isinstance(r, DrillRequest)}  # fmt: skip
    arms = tuple(r.arm for r in requests.values())
    timelines: list[Timeline] = []

    def build(workload: Manifest, arm: Arm, nth: int, props: Props) -> Manifest | Problem:
        assert subject.workload is not None
        pod = subject.workload["spec"]["template"]["spec"]
        container = dict(pod["containers"][0])
        container["env"] = [*container["env"], {"name": "QUEUE", "value": f"{props.addresses['queue']}:6379"}]  # fmt: skip
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{arm.name}-{nth}"}, "spec": {**pod, "containers": [container]}}  # fmt: skip

    whose = drill_subject(subject)
    stores = {s.name: build_store(s, "redis:1", Place("run", "drill", "uid")) for s in whose.stores}
    script = Script("run", whose, arms, deadline=3 * deadline_of(arms))
    stage = Stage(port, places)
    dialer = Dialer(Guard(Egress(stage.block), Resolver()), build_trust(), caps=CAPS)
    reports = Reports(lambda arm, moment: None, timelines.append)
    await Drill(script, stage, dialer, (build, Props(stores=stores)), reports).run()
    answers = {requests[each.arm]: undisturbed(each) if anyway else each for each in timelines}
    return {i: c.judge(subject, answers) for i, c in CONTROLS.items()}


def subject_of(port: int, id_: str) -> Subject:
    """The worker as the e2e matrix deploys it, but for the place where it runs."""
    words, defect = ROWS[id_]
    env = jobs.ENVIRONMENT | {"PORT": str(port), "DEFECTS": defect.id if defect else "", "PYTHONPATH": str(ROOT / "e2e" / "apps")}  # fmt: skip
    container: dict[str, Any] = {
        "name": "app", "command": [sys.executable, "-m", "worker", *words],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": port}], "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": jobs.GRACE}
    workload = {"kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": {"spec": spec}}}  # fmt: skip
    policy = read_policy({"targets": [jobs.target("it")], "dataServices": jobs.STORES})
    return Subject(policy, policy.targets[0], Snapshot(namespace="test"), workload)

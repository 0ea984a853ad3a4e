"""Servers of every shape that stops differently: a policy that allows drills gets the verdict that follows from what each does.

What is expected stands in shapes/shapes.yaml and was derived with other tools. Slow: one server of each behaviour, then
all of them, READINESS_REPEAT times (10). Meanwhile somebody watches that no drill ever
touches what is alive: no Service gains a clone, no pod of an application is replaced, nothing is left behind.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

import shapes
from operator_fixture import Manifest, Operator, policy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE = "shapes"
DRILL = "readiness.dev/drill"
LEFT_SECONDS = 60
DEADLINE = 3 * 15 * 60
QUICK = (
    "uvicorn-prestop",
    "uvicorn-shell",
    "gunicorn-sync",
    "node-exit",
    "jvm-hook",
    "go-shutdown",
)
SPOILED_AT_MOST = 3
REPEAT = int(os.environ.get("READINESS_REPEAT", "10"))
Findings = Mapping[str, Mapping[str, Manifest]]


@dataclass
class Witness:
    """Looks twice a second while drills run. `wrong` says what must never be."""

    operator: Operator
    clones: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.over.wait(0.5):
            self.look()

    def look(self) -> None:
        """Pods first: a clone that a slice names must be among those seen a moment before or after."""
        for pod in self.operator.get("pods", SPACE):
            if DRILL in pod["metadata"].get("labels", {}):
                self.clones.add(pod["metadata"]["name"])
                self.wrong |= {f"{pod['metadata']['name']} mounts {v['name']}" for v in pod["spec"].get("volumes", ()) if "persistentVolumeClaim" in v or "hostPath" in v}  # fmt: skip
        for found in self.operator.get("endpointslices", SPACE):
            names = {
                (e.get("targetRef") or {}).get("name", "") for e in found.get("endpoints") or ()
            }
            self.wrong |= {
                f"{found['metadata']['name']} leads to {name}" for name in names & self.clones
            }


@dataclass(frozen=True)
class Drilled:
    """Findings by shape and control, what the witness saw, and the applications' pods before and after."""

    found: Findings
    witness: Witness
    before: frozenset[str]
    after: frozenset[str]


def living(operator: Operator) -> frozenset[str]:
    """Uid and restarts of every pod that is no drill's."""
    return frozenset(
        f"{pod['metadata']['uid']} {[s['restartCount'] for s in pod['status'].get('containerStatuses', ())]}"
        for pod in operator.get("pods", SPACE)
        if not any(label.startswith(DRILL) for label in pod["metadata"].get("labels", {}))
    )


def judged_by_drills(name: str, shape: shapes.Shape) -> Manifest:
    """The policy of one shape: nothing but its drills."""
    target = {
        "name": name,
        "workloadRef": {"kind": "Deployment", "name": name},
        "service": {"name": name, "port": "http"},
        "health": {"path": "/health"},
        "shutdown": shape.shutdown,
    }
    controls = [{"id": id_, "mode": "enforce"} for id_ in shapes.CONTROLS]
    return policy(SPACE, name, {
        "profiles": [], "safety": {"allow": ["drill"]}, "targets": [target], "controls": controls,
    })  # fmt: skip


def drill(operator: Operator, names: Sequence[str]) -> Drilled:
    """These shapes, drilled by the operator."""
    witness, before = Witness(operator), living(operator)
    watching = threading.Thread(target=witness.watch)
    watching.start()
    try:
        found: dict[str, Mapping[str, Manifest]] = {}
        for _ in range(SPOILED_AT_MOST):
            if not (open_ := [name for name in names if spoiled(found.get(name))]):
                break
            for name in open_:  # what a busy machine spoiled is no answer; it is drilled anew
                operator.cluster.attempt("kubectl", "-n", SPACE, "delete", "rdy", name)
            operator.apply(*(judged_by_drills(name, shapes.TABLE[name]) for name in open_))
            found |= operator.verdicts(set(open_), DEADLINE)
    finally:
        witness.over.set()
        watching.join()
    return Drilled(found, witness, before, living(operator))


def spoiled(rows: Mapping[str, Manifest] | None) -> bool:
    """Whether a shape has no answer yet, or one that says that the look itself was disturbed."""
    return rows is None or any(row["reason"] == "DrillDisturbed" for row in rows.values())


@pytest.fixture(scope="module")
def stage(operator: Operator) -> Iterator[Operator]:
    """A namespace in which drills may run."""
    operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    operator.permit_drills(SPACE)
    yield operator
    operator.cluster.run("kubectl", "delete", "namespace", SPACE, "--wait=false")


def start(operator: Operator, names: Sequence[str]) -> None:
    """The servers, rolled out."""
    for built in shapes.images(operator.cluster.engine, names):
        operator.cluster.load(built.name, built.archive)
    operator.apply(*shapes.manifests(SPACE, names))
    operator.rolled_out(SPACE, 300)


@pytest.fixture(scope="module")
def drilled(stage: Operator) -> Drilled:
    """One server of each behaviour."""
    start(stage, QUICK)
    return drill(stage, QUICK)


def wrong_in(found: Findings, name: str, control: str) -> str:
    """What is wrong about a verdict, with why it must be another; empty when it is right."""
    row, shape = found[name][control], shapes.TABLE[name]
    result, _, reason = shape.expected[control].partition("/")
    if row["result"] == result and reason in ("", row["reason"]):
        return ""
    return f"{name}: expected {result} {reason}: {shape.why}\n{json.dumps(row, indent=1)}"


@pytest.mark.parametrize(
    ("name", "control"),
    [(name, control) for name in QUICK for control in shapes.CONTROLS],
    ids=[f"{name}/{control}" for name in QUICK for control in shapes.CONTROLS],
)
def test_the_verdict_follows_from_what_the_server_does(drilled: Drilled, name: str, control: str) -> None:  # fmt: skip
    assert wrong_in(drilled.found, name, control) == ""


def test_every_shape_gets_the_same_verdict_every_time(stage: Operator) -> None:
    start(stage, tuple(shapes.TABLE))
    wrong = []
    for nth in range(REPEAT):
        began = time.monotonic()
        for name in shapes.TABLE:  # nothing is remembered from the time before
            stage.cluster.attempt("kubectl", "-n", SPACE, "delete", "rdy", name)
        seen = drill(stage, tuple(shapes.TABLE))
        places = [(name, id_) for name in shapes.TABLE for id_ in shapes.CONTROLS]
        wrong += [
            f"run {nth + 1}: {text}" for place in places if (text := wrong_in(seen.found, *place))
        ]
        wrong += sorted(seen.witness.wrong)
        print(
            f"run {nth + 1}: {time.monotonic() - began:.0f} s, wrong so far: {len(wrong)}",
            flush=True,
        )

    assert wrong == []


def test_no_service_gained_a_clone_and_none_mounted_what_lasts(drilled: Drilled) -> None:
    assert len(drilled.witness.clones) >= 3 * len(QUICK)
    assert drilled.witness.wrong == set()


def test_no_pod_of_an_application_was_touched(drilled: Drilled) -> None:
    assert drilled.before == drilled.after


def test_nothing_is_left_of_any_drill(drilled: Drilled, operator: Operator) -> None:
    deadline = time.monotonic() + LEFT_SECONDS
    while left := [
        f"{each['kind']}/{each['metadata']['name']}"
        for kind in ("pods", "jobs", "networkpolicies")
        for each in operator.get(kind, SPACE)
        if any(label.startswith(DRILL) for label in each["metadata"].get("labels") or {})
    ]:
        assert time.monotonic() < deadline, left
        time.sleep(2)

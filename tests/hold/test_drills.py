"""A drill that is cut off at any step leaves nothing: a killed operator sweeps, an interrupted command clears away.

No node runs here: a thread says what a kubelet would, and makes the clone that the drill's own process would.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from chaosproxy import ChaosProxy, CutAfter, CutBefore, Delay, Fault, calls
from holdrig import ACCOUNT, ROOT, Namespace, until
from holdworld import deployment, policy, target

from readiness.naming import DRILL, DRILL_RUNNER

pytestmark = [pytest.mark.api, pytest.mark.slow]
IMAGE = "registry.example.com/readiness:1.0.0"
LEFT_SECONDS = 60
WRITES = ("job", "way", "end")
STEPS = {
    "job": ("POST", r"/jobs$"),
    "way": ("POST", r"/networkpolicies$"),
    "look": ("GET", r"/pods$"),
    "end": ("DELETE", r"/jobs/"),
}
WAITING = {"waiting": {"reason": "ErrImagePull", "message": "there is no such image"}}


def permit(space: Namespace, seat) -> None:
    """The rights of manifests/drills, for the operator in its seat."""
    text = (ROOT / "manifests/drills/drills.yaml").read_text().replace("your-namespace", space.name)
    for found in yaml.safe_load_all(text):
        for subject in found.get("subjects", ()):
            if subject["name"] == ACCOUNT:
                subject["namespace"] = seat.name
        space.api.running.apply(found)


def left(space: Namespace) -> list[str]:
    """Everything of any drill that is there."""
    places = {
        "jobs": "/apis/batch/v1", "pods": "/api/v1", "networkpolicies": "/apis/networking.k8s.io/v1",
    }  # fmt: skip
    return [
        f"{plural}/{found['metadata']['name']}"
        for plural, group in places.items()
        for found in space.api.request("GET", space.path(plural, group=group))["items"]
        if {DRILL, DRILL_RUNNER} & (found["metadata"].get("labels") or {}).keys()
    ]


@contextmanager
def node(space: Namespace) -> Iterator[list[str]]:
    """Every drill's pod makes its clone, and then does not start. Yields the runs that were seen."""
    over, runs = threading.Event(), []

    def look() -> None:
        for pod in space.api.request("GET", space.path("pods"))["items"]:
            run = (pod["metadata"].get("labels") or {}).get(DRILL_RUNNER)
            if run and run not in runs:
                runs.append(run)
                space.api.request("POST", space.path("pods"), clone(pod, run))
                state = {"name": "drill", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": WAITING}  # fmt: skip
                place = f"{space.path('pods', pod['metadata']['name'])}/status"
                space.http.patch(
                    place, json={"status": {"containerStatuses": [state]}},
                    headers={"Content-Type": "application/merge-patch+json"},
                )  # fmt: skip

    def watch() -> None:
        while not over.wait(0.2):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield runs
    finally:
        over.set()
        thread.join()


def clone(pod, run: str):
    meta = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"], "controller": True}  # fmt: skip
    return {
        "metadata": {"name": f"clone-{run}", "labels": {DRILL: run}, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "app", "image": "registry.example.com/app:1.0.0"}]},
    }


@dataclass(frozen=True)
class Cut:
    """A way to the API server, `through` a proxy that breaks one call of a drill."""

    proxy: ChaosProxy
    through: Path

    def at(self, space: Namespace, step: str, fault: Fault) -> None:
        method, path = STEPS[step]
        self.proxy.break_(calls(method, f"{space.name}{path}"), fault)


@pytest.fixture
def cut(seat, proxy) -> Cut:
    return Cut(proxy, seat.kubeconfig(proxy.url))


@pytest.fixture
def typed(seat, api_server) -> Iterator[Cut]:
    """The same for somebody who may do everything: the proxy's own certificate speaks for the command."""
    tls, keys = seat.tls(), seat.authority.parent
    tls.load_cert_chain(keys / "admin.crt", keys / "admin.key")
    with ChaosProxy(api_server.running.api_url, tls) as proxy:
        yield Cut(proxy, proxy.kubeconfig)


@pytest.fixture
def allowed(space, seat) -> Namespace:
    """A namespace in which drills may run, with an application that is Ready."""
    permit(space, seat)
    space.apply(deployment("app", replicas=1))
    space.run_pod("app", "203.0.113.7")
    return space


@pytest.mark.parametrize("fault", [CutBefore, CutAfter])
@pytest.mark.parametrize("step", WRITES)
def test_an_operator_killed_at_any_step_leaves_no_clone(launch, allowed, cut, step, fault):
    operator = launch(cut.through, image=IMAGE, drills_settle=0.01)
    cut.at(allowed, step, fault(operator.kill))
    with node(allowed) as runs, operator.supervised():
        allowed.apply(policy("app", target(), controls=("SHD-006",), safety={"allow": ["drill"]}))
        until(lambda: operator.starts, 30, f"the kill at {step}")
        until(lambda: allowed.finding("SHD-006").get("reason") == "ImagePull", 60, "the next drill")
        until(lambda: not left(allowed), LEFT_SECONDS, "nothing left")

    assert runs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", STEPS)
def test_a_command_interrupted_at_any_step_clears_away(allowed, typed, tmp_path, step, number):
    words = ["drill", "shutdown", "deployment/app", "-n", allowed.name, "--control", "SHD-006", "--image", IMAGE]  # fmt: skip
    command = [sys.executable, "-m", "readiness", *words, "--kubeconfig", str(typed.through)]  # fmt: skip
    with node(allowed), (tmp_path / "said").open("w") as said:
        child = subprocess.Popen(
            command, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "operator")},
            stdout=said, stderr=said,
        )  # fmt: skip
        struck = threading.Event()

        def strike() -> None:
            struck.set()
            child.send_signal(number)

        typed.at(allowed, step, Delay(0.3, strike))
        code = child.wait(LEFT_SECONDS)
        assert struck.is_set(), (tmp_path / "said").read_text()
        assert code != 0
        until(lambda: not left(allowed), LEFT_SECONDS, "nothing left")

"""`readiness restore SERVICE` before a real API server: what it makes, what it waits for, what it leaves and what it says.

The controllers are real; the test is the operator, by the policy's status, and the kubelet, by the pod's.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from apiserver import ApiServer

from readiness import naming
from readiness.api import read_policy
from readiness.backups.runbook import build_runbook, way_of

from .conftest import process

pytestmark = pytest.mark.api
SPACE = "beside"
POLICIES = f"/apis/readiness.dev/v1alpha1/namespaces/{SPACE}/readinesspolicies"
JOBS, WALLS = (f"/apis/{each}" for each in (f"batch/v1/namespaces/{SPACE}/jobs", f"networking.k8s.io/v1/namespaces/{SPACE}/networkpolicies"))  # fmt: skip
PODS = f"/api/v1/namespaces/{SPACE}/pods"
MADE = naming.restored("checkout", "cache")
JOB = naming.store(MADE, "cache", naming.RESTORE)
REMOVAL = f"kubectl -n {SPACE} delete readinesspolicy {MADE}"
LIVE: dict[str, Any] = {
    "apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessPolicy", "metadata": {"name": "checkout", "namespace": SPACE},
    "spec": {
        "dataServices": [{"name": "cache", "redis": {"storage": "2Gi"}}, {"name": "theirs", "external": {"redis": {"hosts": ["cache.example.com"]}}}],
        "backups": {"destination": {"s3": {"bucket": "bak", "endpoint": "https://s3.example.com", "secretRef": {"name": "writer"}}},
                    "passwordSecretRef": {"name": "password"}},
    },
}  # fmt: skip
PATIENT = "--timeout=90s"
"""What does not come then fails, instead of being awaited until somebody else loses patience."""
SAVED = {"lastSuccess": "2026-11-21T02:13:05Z", "snapshot": "86543352", "backupSet": "20261121T0213Z", "size": 12345}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer) -> Iterator[ApiServer]:
    """A policy with backups, as the operator has provided them."""
    api_server.kubectl("create", "namespace", SPACE)
    policy = api_server.request("POST", POLICIES, LIVE)
    tell(api_server, policy, [{"name": "cache", "ready": True, "backup": SAVED}])
    with process("-m", "readiness", "render", "-", "--redis-image=redis:8", stdin=subprocess.PIPE) as rendering:  # fmt: skip
        rendered, said = rendering.communicate(json.dumps(LIVE))
    assert "CronJob" in rendered, said
    wanted = [d for d in yaml.safe_load_all(rendered) if d["kind"] in ("CronJob", "ServiceAccount")]
    api_server.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    yield api_server
    api_server.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture
def started(cluster: ApiServer) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The command, under way; what it has made is deleted in the end, as it says."""
    running: list[subprocess.Popen[str]] = []

    def interruptible() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start(*words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        running.append(process("-m", "readiness", "restore", *words, "-n", SPACE, "--kubeconfig", str(cluster.kubeconfig), stdin=stdin, preexec_fn=interruptible))  # fmt: skip
        return running[-1]

    yield start
    for each in running:
        each.kill()
        each.communicate()
    cluster.kubectl(*REMOVAL.split()[1:], "--ignore-not-found", "--cascade=foreground", "--wait=false")  # fmt: skip
    until(lambda: not made(cluster), "everything to go with its policy")


def until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)
    return found


def said_until(running: subprocess.Popen[str], words: str) -> str:
    """What the command has said, to the line with these words."""
    said = ""
    assert running.stderr
    for line in running.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def tell(server: ApiServer, policy: dict[str, Any], rows: list[dict[str, Any]], words: str = "") -> None:  # fmt: skip
    """What the operator would."""
    provisioned = {
        "type": "Provisioned", "status": "True", "reason": "Provisioned", "message": words, "observedGeneration": policy["metadata"]["generation"],
        "lastTransitionTime": "2026-11-21T00:00:00Z",
    }  # fmt: skip
    status = {"observedGeneration": policy["metadata"]["generation"], "dataServices": rows, "conditions": [provisioned]}  # fmt: skip
    answer = server.request("PUT", f"{POLICIES}/{policy['metadata']['name']}/status", policy | {"status": status})  # fmt: skip
    assert answer["kind"] == "ReadinessPolicy", answer


def made(server: ApiServer) -> list[str]:
    """Everything that is there of a restore."""
    found = [(plural, server.request("GET", plural)["items"]) for plural in (POLICIES, WALLS, JOBS)]
    return [each["metadata"]["name"] for _, items in found for each in items if each["metadata"]["name"] in (MADE, JOB)]  # fmt: skip


def policy_of(server: ApiServer) -> dict[str, Any] | None:
    found = server.request("GET", f"{POLICIES}/{MADE}")
    return found if found["kind"] == "ReadinessPolicy" else None


def pod_of(server: ApiServer) -> dict[str, Any] | None:
    selector = f"batch.kubernetes.io/job-name={JOB}"
    return next(iter(server.request("GET", PODS, labelSelector=selector)["items"]), None)


def end(server: ApiServer, pod: dict[str, Any], code: int) -> None:
    """What a kubelet would tell once the container has ended."""
    name = {"name": naming.RESTORE, "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    ended = {**name, "state": {"terminated": {"exitCode": code}}}
    status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [ended]}
    answer = server.http.patch(
        f"{PODS}/{pod['metadata']['name']}/status", json={"status": status}, headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    assert answer.is_success, answer.text


@pytest.mark.parametrize("code", [0, 1])
def test_an_instance_is_made_awaited_and_filled(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]], code: int):  # fmt: skip
    running = started("cache", "--yes", PATIENT, "--snapshot=20261121T0213Z")
    policy = until(lambda: policy_of(cluster), "the policy")
    assert policy["spec"]["dataServices"] == [{"name": "cache", "redis": policy["spec"]["dataServices"][0]["redis"], "backup": {"enabled": False}}]  # fmt: skip
    assert policy["spec"]["dataServices"][0]["redis"] | {"storage": "2Gi", "image": "redis:8"} == policy["spec"]["dataServices"][0]["redis"]  # fmt: skip
    assert policy["metadata"]["labels"] == naming.restored_labels("checkout", "cache")
    assert not {"targets", "backups"} & policy["spec"].keys()
    tell(cluster, policy, [{"name": "cache", "ready": False}], "1 of 3 members are ready")
    said = said_until(running, "1 of 3 members are ready")
    assert (pod_of(cluster), running.poll()) == (None, None)

    tell(cluster, until(lambda: policy_of(cluster), "it"), [{"name": "cache", "ready": True}], "all is there")  # fmt: skip
    pod = until(lambda: pod_of(cluster), "the pod")
    assert pod["metadata"]["labels"][naming.PART_LABEL] == naming.RESTORE
    filling = (cluster.request("GET", f"{each}/{JOB}")["metadata"] for each in (WALLS, JOBS))
    owners = [each["ownerReferences"][0]["uid"] for each in filling]
    assert owners == [policy["metadata"]["uid"]] * 2
    end(cluster, pod, code)
    out, err = running.communicate(timeout=60)
    err = said + err

    assert running.returncode == code, err
    assert "made ReadinessPolicy/" in err
    assert "1 of 3 members are ready\n" in err
    assert err.index("1 of 3 members") < err.index("all is there") < err.index(f"made Job/{JOB}")
    assert (f"delete it all: {REMOVAL}\n" in err) is bool(code)
    assert (f"name Secret {naming.store(MADE, 'cache')} " in out) is not bool(code)
    assert ("has not restored it" in err) is bool(code)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_is_told_what_is_left(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]], how: int):  # fmt: skip
    running = started("cache", "--yes", PATIENT)
    until(lambda: policy_of(cluster), "the policy")
    said_until(running, f"made ReadinessPolicy/{MADE}")
    running.send_signal(how)
    _, rest = running.communicate(timeout=30)

    assert running.returncode == 130
    assert f"left: ReadinessPolicy/{MADE} and what belongs to it" in rest
    assert rest.endswith(f"{REMOVAL}\ninterrupted\n")
    assert made(cluster) == [MADE]


def test_a_job_that_has_begun_goes_on_without_its_terminal(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]]):  # fmt: skip
    running = started("cache", "--yes", PATIENT)
    tell(cluster, until(lambda: policy_of(cluster), "the policy"), [{"name": "cache", "ready": True}])  # fmt: skip
    said_until(running, f"made Job/{JOB}")
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=30)

    assert running.returncode == 130
    assert f"Job/{JOB} goes on by itself: kubectl -n {SPACE} logs -f job/{JOB}\nleft: " in rest
    assert sorted(made(cluster)) == sorted([MADE, JOB, JOB])


def test_patience_ends_in_words(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]]):
    running = started("cache", "--yes", "--timeout=2s")
    _, err = running.communicate(timeout=60)

    assert running.returncode == 3
    assert "after 2 s the new instance is not ready: the operator has not looked at it yet" in err
    assert REMOVAL in err


def test_a_plan_alone_changes_nothing(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]]):  # fmt: skip
    out, err = started("cache", "--dry-run").communicate(timeout=60)
    policy, wall, job = yaml.safe_load_all(out)

    assert [each["kind"] for each in (policy, wall, job)] == ["ReadinessPolicy", "NetworkPolicy", "Job"]  # fmt: skip
    assert "snapshot; the last that the operator knows is 86543352 of 2026-11-21T02:13:05Z" in err
    assert REMOVAL in err
    assert made(cluster) == []
    for each in (policy, wall, job):  # what is shown is what the API server takes
        cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(each))  # fmt: skip


@pytest.mark.parametrize("answer", ["", "\n", "n\n"])
def test_without_a_yes_nothing_is_made(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]], answer: str):  # fmt: skip
    running = started("cache", stdin=subprocess.PIPE)
    _, err = running.communicate(answer, timeout=60)

    assert (running.returncode, err.endswith("Go on? [y/N] nothing was done\n")) == (130, True)
    assert made(cluster) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("theirs",), "External: theirs is run by somebody else"),
        (("none",), f"no policy in namespace {SPACE} declares a data service 'none'"),
        (("cache", "--policy=other"), "declares a data service 'cache'"),
        (("cache", "--kind=redis"), "only --into takes --kind"),
        (("cache", "--into=new:6379"), "--into names an instance that is there"),
        (("--dry-run", "--into=new:6379"), "--into names an instance that is there"),
        (("--into=new:6379",), "--into needs --kind, --policy, --service, --repository"),
        (("--into=new:6379", "--kind=redis", "--policy=p", "--service=s", "--repository=r", "--port=1"), "go together"),
        ((), "name a data service"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(started: Callable[..., subprocess.Popen[str]], words: tuple[str, ...], says: str):  # fmt: skip
    running = started(*words)
    out, err = running.communicate(timeout=60)

    assert (running.returncode, out) == (2, "")
    assert says in err


def test_one_that_is_there_already_is_not_filled_again(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]]):  # fmt: skip
    _, err = started("cache", "--yes", "--timeout=1s").communicate(timeout=60)
    assert made(cluster) == [MADE], err
    again = started("cache", "--yes")
    _, err = again.communicate(timeout=60)

    assert again.returncode == 2
    assert f"ExistsAlready: ReadinessPolicy/{MADE} is there already" in err
    assert REMOVAL in err


def test_the_commands_of_the_runbook_are_those_of_the_program(cluster: ApiServer, started: Callable[..., subprocess.Popen[str]]):  # fmt: skip
    """The page's own words; what they would make is shown, and not made."""
    spec = read_policy(LIVE["spec"])
    assert spec.backups
    page = build_runbook(way_of("redis", (SPACE, "checkout", "cache"), spec.backups, spec.data_services[0]))  # fmt: skip
    typed = re.findall(r"^\$ readiness restore (.*)$", page, re.MULTILINE)

    assert len(typed) == 2
    for words in typed:
        running = started(*words.split(), "--dry-run")
        _, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
    assert made(cluster) == []

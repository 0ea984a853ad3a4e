"""A RabbitMQ from a policy, on real pods: provided, used through its binding, stopped, killed and emptied under a ledger.

What needs no kubelet is shown faster, and more often, in test_rabbitmq_members.py.
"""

import base64
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

import image
from clusters import path_of
from faults import Written, cut_off, drain, survived
from localcluster.progress import ClusterError
from operator_fixture import API, Operator
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from readiness.naming import store
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
Manifest = dict[str, Any]
SPACE: Final = "rabbits"
POLICY: Final = "shop"
NAME: Final = store(POLICY, "jobs")
PODS: Final = tuple(f"{NAME}-{n}" for n in range(3))
PLANNED_SECONDS: Final = 2
CRASH_SECONDS: Final = 5
BUSY: Final = 3
"""What is promised without confirms is for a machine of its own and printed; a test on a shared one allows three times that."""
SERVER: Final = Recipe("rabbitmq", ("rabbitmq-server",))
CLIENT: Final = Recipe("amqp-client", ("python3-pika",))
LEDGER: Final = Path(__file__).with_name("amqpledger.py").read_text()


@dataclass(frozen=True)
class Space:
    """The namespace, with a client that knows nothing but the binding Secret."""

    operator: Operator

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.operator.cluster.run("kubectl", "-n", SPACE, *arguments, text=text)

    def get(self, kind: str, name: str) -> Manifest:
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json")))

    def provisioned(self) -> Manifest:
        rows = (self.get("rdy", POLICY).get("status") or {}).get("conditions") or ()
        return next((row for row in rows if row["type"] == "Provisioned"), {})

    def wait(self, seconds: float, holds: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > seconds:
                raise ClusterError(f"{self.provisioned()}\n{self.kubectl('get', 'pods', '-o', 'wide')}")  # fmt: skip
            time.sleep(1)
        return time.monotonic() - began

    def whole(self) -> bool:
        """Every member runs and has its share of every queue."""
        script = "for c in 'list_queues -q name online members' 'cluster_status -q'; do rabbitmqctl $c --formatter json; done"
        words = f"PATH=/usr/lib/rabbitmq/bin:$PATH; {script}"
        done = self.operator.cluster.attempt("kubectl", "-n", SPACE, "exec", PODS[1], "-c", "rabbitmq", "--", "sh", "-c", words)  # fmt: skip
        try:
            queues, at = json.JSONDecoder().raw_decode(done.stdout.strip())
            status = json.loads(done.stdout.strip()[at:])
        except ValueError:
            return False
        online = all(len(queue["online"]) == 3 == len(queue["members"]) for queue in queues)
        return online and len(status["running_nodes"]) == 3 and not status["partitions"]

    def client(self, verb: str, queue: str) -> subprocess.Popen[str]:
        """The ledger in the client's pod, by the names that the binding gives."""
        script = 'exec python3 -c "$0" "$@" --hosts "$HOSTS" --user "$AMQP_USER"'
        inside = ("exec", "-i", "client", "--", "sh", "-c", script, LEDGER, verb, "--queue", queue)
        command = [str(path_of("kubectl")), "-n", SPACE, *inside]
        return subprocess.Popen(command, env=dict(self.operator.cluster.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def publish(self, queue: str) -> subprocess.Popen[str]:
        publisher = self.client("publish", queue)
        assert publisher.stderr is not None
        while (line := publisher.stderr.readline()) != "begun\n":
            assert line, "the publisher ended"
        time.sleep(2)
        return publisher

    @contextmanager
    def fault(self, what: str, queue: str, publisher: subprocess.Popen[str] | None = None, *, gap: float = math.inf, whole: float = 300) -> Iterator[None]:  # fmt: skip
        """Something that happens while a queue is published to."""
        self.wait(180, self.whole)
        writes = publisher or self.publish(queue)
        with survived(what, lambda: self.wait(whole, self.whole), lambda: self.written(queue, writes), gap):  # fmt: skip
            yield

    def written(self, queue: str, publisher: subprocess.Popen[str]) -> Written:
        told = ended(publisher)
        out, err = self.client("read", queue).communicate(timeout=180)
        assert out, err
        lost = set(told["confirmed"]) - set(json.loads(out)["found"])
        return Written(told["gap"], len(told["confirmed"]), lost)

    def leader(self, queue: str) -> str:
        """The pod that leads a queue."""
        words = "PATH=/usr/lib/rabbitmq/bin:$PATH; rabbitmqctl list_queues -q name leader --formatter json"
        rows = json.loads(self.kubectl("exec", PODS[1], "-c", "rabbitmq", "--", "sh", "-c", words))
        found = {row["name"]: row["leader"] for row in rows}
        return str(found[queue]).partition("@")[2].partition(".")[0]

    def node_of(self, pod: str) -> str:
        return self.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")

    def uid(self, pod: str) -> str:
        done = self.operator.cluster.attempt("kubectl", "-n", SPACE, "get", "pod", pod, "-o", "jsonpath={.metadata.uid}")  # fmt: skip
        return done.stdout


def ended(publisher: subprocess.Popen[str]) -> Manifest:
    out, err = publisher.communicate("end\n", timeout=60)
    assert out, err
    return dict(json.loads(out))


def policy(server: str) -> Manifest:
    resources = {"limits": {"memory": "512Mi"}, "requests": {"cpu": "50m"}}
    service = {"name": "jobs", "rabbitmq": {"image": server, "resources": resources}}
    return {
        "apiVersion": API,
        "kind": "ReadinessPolicy",
        "metadata": {"name": POLICY, "namespace": SPACE},
        "spec": {"dataServices": [service]},
    }


def client(name: str) -> Manifest:
    keys = {"AMQP_USER": "username", "AMQP_PASSWORD": "password", "AMQP_HOST": "host"}
    env: list[Manifest] = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": NAME, "key": key}}}
        for variable, key in keys.items()
    ]
    hosts = ",".join(f"{pod}.{NAME}-nodes" for pod in PODS)
    container = {
        "name": "client", "image": name, "command": ["sleep", "infinity"],
        "env": [*env, {"name": "HOSTS", "value": f"$(AMQP_HOST),{hosts}"}],
        "securityContext": CONTAINER_SECURITY,
    }  # fmt: skip
    spec = {"automountServiceAccountToken": False, "securityContext": POD_SECURITY, "containers": [container],
            "terminationGracePeriodSeconds": 0}  # fmt: skip
    meta = {"name": "client", "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@pytest.fixture(scope="module")
def space(operator: Operator) -> Iterator[Space]:
    """A RabbitMQ that has been provided, and a client beside it."""
    cluster, found = operator.cluster, Space(operator)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}})  # fmt: skip
    rights = (image.ROOT / "manifests" / "provision" / "provision.yaml").read_text()
    cluster.run("kubectl", "apply", "-f", "-", text=rights.replace("your-namespace", SPACE))
    server, ledger = (build_image(recipe, cluster.engine) for recipe in (SERVER, CLIENT))
    for each in (server, ledger):
        cluster.load(each.name, each.archive)
    began = time.monotonic()
    operator.apply(policy(server.name))
    found.wait(300, lambda: found.provisioned().get("status") == "True")
    print(f"\nProvisioned, s: {time.monotonic() - began:.1f}")
    operator.apply(client(ledger.name))
    found.kubectl("wait", "pod/client", "--for=condition=Ready", "--timeout=120s")
    yield found
    cluster.run("kubectl", "delete", "namespace", SPACE, "--wait=false")


def test_it_is_told_in_the_status(space: Space) -> None:
    (row,) = space.get("rdy", POLICY)["status"]["dataServices"]

    assert row["ready"]
    assert row["secretName"] == NAME
    assert [member["name"] for member in row["members"]] == list(PODS)


def test_what_did_not_change_is_not_written(space: Space) -> None:
    kinds = ("statefulset", "service", "secret", "configmap", "pdb", "networkpolicy", "serviceaccount")  # fmt: skip
    listed = ("get", ",".join(kinds), "-l", f"readiness.dev/policy={POLICY}", "-o")
    versions = (*listed, 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.managedFields[?(@.manager=="readiness-operator")].time}{"\\n"}{end}')  # fmt: skip
    before = space.kubectl(*versions)
    space.kubectl("annotate", "rdy", POLICY, "readiness.dev/run-at=again", "--overwrite")
    time.sleep(15)

    assert space.kubectl(*versions) == before
    assert before.count("\n") >= 12


def test_nobody_reads_a_password_outside_secrets(space: Space) -> None:
    held = space.get("secret", f"{NAME}-credentials")["data"]
    passwords = [base64.b64decode(value).decode() for value in held.values()]
    shown = space.kubectl("get", "rdy,configmap,statefulset,pod,event", "-o", "yaml")
    shown += "".join(space.kubectl("logs", pod, "--all-containers") for pod in PODS)
    shown += space.operator.cluster.run("kubectl", "-n", "readiness-system", "logs", "deployment/readiness-operator")  # fmt: skip

    assert len(passwords) == 6
    assert not [password for password in passwords if password in shown]


def test_a_deleted_member_is_hardly_missed(space: Space) -> None:
    with space.fault("pod deleted", "planned", gap=BUSY * PLANNED_SECONDS):
        before = space.uid(PODS[0])
        space.kubectl("delete", "pod", PODS[0], "--wait=false")
        space.wait(180, lambda: space.uid(PODS[0]) not in ("", before))


@pytest.mark.slow
@pytest.mark.parametrize("time_", range(3))
def test_a_killed_member_loses_nothing(space: Space, time_: int) -> None:
    with space.fault("member killed", f"killed-{time_}", gap=BUSY * CRASH_SECONDS):
        space.kubectl("delete", "pod", PODS[time_], "--force", "--grace-period=0")
        time.sleep(8)


@pytest.mark.slow
@pytest.mark.parametrize("time_", range(3))
def test_the_first_member_without_its_volume_founds_nothing(space: Space, time_: int) -> None:
    with space.fault("first member emptied", f"emptied-{time_}"):
        before = space.uid(PODS[0])
        space.kubectl("delete", "pvc", f"data-{PODS[0]}", "--wait=false")
        space.kubectl("delete", "pod", PODS[0], "--force", "--grace-period=0")
        space.wait(120, lambda: space.uid(PODS[0]) not in ("", before))

    assert "asking it to forget" in space.kubectl("logs", PODS[0], "-c", "rabbitmq")


@pytest.mark.slow
@pytest.mark.parametrize("time_", range(3))
def test_all_come_back_when_all_were_killed(space: Space, time_: int) -> None:
    with space.fault("all killed", f"all-{time_}", whole=120):
        space.kubectl("delete", "pod", *PODS, "--force", "--grace-period=0")


def replaced(space: Space, before: set[str]) -> bool:
    now = [space.uid(pod) for pod in PODS]
    return all(now) and before.isdisjoint(now)


@pytest.mark.slow
def test_a_changed_template_replaces_member_after_member(space: Space) -> None:
    with space.fault("every member replaced", "rolled", gap=BUSY * PLANNED_SECONDS):
        before = {space.uid(pod) for pod in PODS}
        change = [{"op": "replace", "path": "/spec/dataServices/0/rabbitmq/resources/requests/cpu", "value": "60m"}]  # fmt: skip
        space.kubectl("patch", "rdy", POLICY, "--type=json", "-p", json.dumps(change))
        took = space.wait(900, lambda: replaced(space, before))
        print(f"\nevery member replaced in {took:.0f} s")


@pytest.mark.slow
@pytest.mark.parametrize("time_", range(3))
def test_a_drained_node_takes_nothing_with_it(space: Space, time_: int) -> None:
    queue = f"drained-{time_}"
    with space.fault("leader's node drained", queue, gap=BUSY * PLANNED_SECONDS):
        drain(space.operator.cluster, space.node_of(space.leader(queue)), "jobs")


@pytest.mark.slow
@pytest.mark.parametrize("time_", range(3))
def test_a_node_that_is_cut_off_for_a_minute_loses_nothing(space: Space, time_: int) -> None:
    queue, publisher = led_elsewhere(space, time_)
    with space.fault("leader's node cut off", queue, publisher):
        cut_off(space.operator.cluster, space.node_of(space.leader(queue)))


def led_elsewhere(space: Space, time_: int) -> tuple[str, subprocess.Popen[str]]:
    """A queue whose leader is not on the client's own node, and its publisher."""
    space.wait(180, space.whole)
    own = space.node_of("client")
    for number in range(6):
        queue = f"cut-{time_}-{number}"
        publisher = space.publish(queue)
        if space.node_of(space.leader(queue)) != own:
            return queue, publisher
        ended(publisher)
    raise AssertionError("every queue is led on the client's own node")

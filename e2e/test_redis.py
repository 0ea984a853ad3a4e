"""A Redis of a policy on real pods: provided by the operator, and kept whole through faults while ledgers write.

Every node has a ledger of acknowledged writes. Figures are printed; docs/data-services.md keeps them.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

import image
from drillspace import Space, restricted
from faults import Written, cut_off, drain, only_here, survived
from operator_fixture import Operator, policy
from readiness import naming
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY
from readiness.model import Manifest
from recipes import Recipe, build_image

pytestmark = pytest.mark.e2e
SPACE: Final = "provided-redis"
SET: Final = naming.store("checkout", "cache")
PODS: Final = 6
TIMES: Final = 3
PLANNED_SECONDS: Final = 3
CRASH_SECONDS: Final = 10
BUSY: Final = 3
"""What is promised without writes is for a machine of its own and printed; a test on a shared one allows three times that."""


@dataclass(frozen=True)
class Cache:
    """The provided Redis, and the ledgers by node."""

    space: Space
    ledgers: dict[str, str]
    seconds: float

    def pods(self) -> list[Manifest]:
        return self.space.get("pods", "-l", f"{naming.SERVICE_LABEL}=cache")

    def node_of(self, pod: str) -> str:
        return str(self.space.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"))

    def audit(self, since: float, ledger: str = "") -> dict[str, Any]:
        """What a ledger says; of none in particular, of the first whose node answers."""
        names = [ledger] if ledger else self.ledgers.values()
        for name in names:
            said = self.space.cluster.attempt(
                "kubectl", "-n", SPACE, "exec", name, "--request-timeout=10s", "--",
                "python3", "/ledger/redis_ledger.py", "audit", str(since),
            )  # fmt: skip
            if said.returncode == 0:
                return dict(json.loads(said.stdout))
        raise AssertionError(said.stderr)

    def primary(self) -> str:
        return str(self.audit(time.time())["primary"])

    def whole(self, seconds: float = 180.0) -> None:
        """Until every pod is Ready and every ledger writes again."""
        until(lambda: sum(map(is_ready, self.pods())) == PODS, seconds, lambda: self.space.kubectl("get", "pods"))  # fmt: skip
        until(lambda: all(self.audit(0, each)["idle"] < 2 for each in self.ledgers.values()), 60)  # fmt: skip

    @contextmanager
    def fault(self, what: str, gap: float) -> Iterator[str]:
        """Something that happens to the primary, whose name it is given, or to all, while ledgers write."""
        primary, began = self.primary(), time.time()
        with survived(what, self.whole, lambda: self.written(began), gap):
            yield primary

    def written(self, since: float) -> Written:
        """All ledgers together."""
        found = [self.audit(since, each) for each in self.ledgers.values()]
        lost = [at for each in found for at in each["lost"]]
        return Written(max(each["gap"] for each in found), sum(each["acknowledged"] for each in found), lost)  # fmt: skip


def until(holds: Callable[[], bool], seconds: float, say: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s\n{say()}"
        time.sleep(1)


def is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def ledger(node: str, image_name: str) -> Manifest:
    container = {
        "name": "ledger", "image": image_name, "command": ["python3", "/ledger/redis_ledger.py", "write"],
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("ledger", "binding", "tmp")],
    }  # fmt: skip
    volumes = [
        {"name": "ledger", "configMap": {"name": "ledger"}},
        {"name": "binding", "secret": {"secretName": SET}},
        {"name": "tmp", "emptyDir": {}},
    ]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"ledger-{node}"},
        "spec": {"nodeName": node, "automountServiceAccountToken": False, "securityContext": POD_SECURITY,
                 "containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1,
                 "tolerations": [{"operator": "Exists"}]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def cache(operator: Operator) -> Iterator[Cache]:
    """Provided, formed, and written to from every node."""
    cluster = operator.cluster
    made = build_image(Recipe("redis", ("redis-server",)), cluster.engine)
    cluster.load(made.name, made.archive)
    with restricted(cluster, SPACE) as space:
        rights = (image.ROOT / "manifests/provision/provision.yaml").read_text()
        space.kubectl("apply", "-f", "-", text=rights.replace("your-namespace", SPACE))
        service = {"name": "cache", "redis": {"image": made.name, "resources": {"limits": {"memory": "128Mi"}}}}  # fmt: skip
        began = time.monotonic()
        operator.apply(policy(SPACE, "checkout", {"dataServices": [service]}))
        until(lambda: condition(space, "Provisioned") == "True", 180, lambda: told(space))
        seconds = time.monotonic() - began
        script = image.ROOT / "e2e/redis_ledger.py"
        space.kubectl("create", "configmap", "ledger", f"--from-file={script}")
        ours = space.cluster.run("kubectl", "-n", "readiness-system", "get", "pods", "-o", "jsonpath={.items[0].spec.containers[0].image}")  # fmt: skip
        names = sorted({pod["spec"]["nodeName"] for pod in space.get("pods")})
        for node in names:
            space.create(ledger(node, ours))
        found = Cache(space, {node: f"ledger-{node}" for node in names}, seconds)
        space.kubectl("wait", "pod", *found.ledgers.values(), "--for=condition=Ready", "--timeout=120s")  # fmt: skip
        found.whole()
        yield found


def condition(space: Space, kind: str) -> str:
    found = json.loads(space.kubectl("get", "rdy", "checkout", "-o", "json")).get("status") or {}
    return str({c["type"]: c["status"] for c in found.get("conditions") or ()}.get(kind, ""))


def told(space: Space) -> str:
    return space.kubectl("get", "rdy", "checkout", "-o", "yaml") + space.kubectl("get", "pods")


def kill(cache: Cache, pod: str) -> None:
    """SIGKILL from outside, as the kernel sends it: on this machine, where the local cluster's nodes are."""
    only_here(cache.space.cluster)
    uid = cache.space.kubectl("get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
    marks = (uid, uid.replace("-", "_"))
    found = [path for path in Path("/proc").glob("[0-9]*") if is_server(path, marks)]
    assert len(found) == 1, found
    before = restarts(cache, pod)
    os.kill(int(found[0].name), signal.SIGKILL)
    until(lambda: restarts(cache, pod) > before, 60)  # until then it still counts as Ready


def restarts(cache: Cache, pod: str) -> int:
    return int(cache.space.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"))  # fmt: skip


def is_server(process: Path, marks: tuple[str, ...]) -> bool:
    try:
        names = (process / "comm").read_text().strip(), (process / "cgroup").read_text()
    except OSError:
        return False
    return names[0] == "redis-server" and any(mark in names[1] for mark in marks)


def test_a_policy_becomes_a_redis(cache: Cache) -> None:
    print(f"\nfrom apply to Provisioned=True: {cache.seconds:.1f} s")
    status = json.loads(cache.space.kubectl("get", "rdy", "checkout", "-o", "json"))["status"]
    (row,) = status["dataServices"]

    assert (row["name"], row["ready"], row["secretName"]) == ("cache", True, SET)
    assert cache.audit(0)["lost"] == []
    until(lambda: f"configmap/{SET}-formed" in cache.space.kubectl("get", "configmaps", "-o", "name"), 60)  # fmt: skip


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, TIMES))])  # fmt: skip
def test_a_deleted_primary_hands_over(cache: Cache, number: int) -> None:
    with cache.fault(f"primary's pod deleted, {number}", BUSY * PLANNED_SECONDS) as primary:
        cache.space.kubectl("delete", "pod", primary)

    assert cache.primary() != primary


@pytest.mark.slow
def test_a_changed_template_replaces_pod_after_pod(cache: Cache) -> None:
    with cache.fault("every pod replaced", BUSY * PLANNED_SECONDS):
        before, began = {pod["metadata"]["uid"] for pod in cache.pods()}, time.time()
        change = [{"op": "add", "path": "/spec/dataServices/0/redis/config", "value": [{"name": "maxmemory-policy", "value": "allkeys-lru"}]}]  # fmt: skip
        cache.space.kubectl("patch", "rdy", "checkout", "--type=json", "-p", json.dumps(change))
        until(lambda: before.isdisjoint(pod["metadata"]["uid"] for pod in cache.pods()), 600, lambda: told(cache.space))  # fmt: skip
        print(f"\nevery pod replaced in {time.time() - began:.0f} s")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
def test_a_killed_primary_is_replaced(cache: Cache, number: int) -> None:
    with cache.fault(f"primary killed, {number}", BUSY * CRASH_SECONDS) as primary:
        kill(cache, primary)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
def test_a_drained_node_takes_nothing_with_it(cache: Cache, number: int) -> None:
    with cache.fault(f"primary's node drained, {number}", BUSY * PLANNED_SECONDS) as primary:
        drain(cache.space.cluster, cache.node_of(primary), "cache")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
def test_a_primary_that_returns_empty_takes_nothing_with_it(cache: Cache, number: int) -> None:
    longest = 30  # as long as a failover may take
    with cache.fault(f"primary back with an empty volume, {number}", longest) as primary:
        cache.space.kubectl("delete", "pvc", f"data-{primary}", "--wait=false")
        cache.space.kubectl("delete", "pod", primary, "--force", "--grace-period=0")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
def test_all_pods_at_once_come_back_with_the_same_data(cache: Cache, number: int) -> None:
    with cache.fault(f"all pods at once, {number}", 60):
        cache.space.kubectl("delete", "pods", "-l", f"{naming.SERVICE_LABEL}=cache", "--force", "--grace-period=0")  # fmt: skip


def put_name_servers(cache: Cache, wanted: Sequence[str]) -> None:
    """Moves the cluster's DNS servers to these nodes and nowhere else."""
    kubectl = ("kubectl", "-n", "kube-system")
    others = [node for node in cache.ledgers if node not in wanted]
    for node in others:
        cache.space.cluster.run("kubectl", "cordon", node)
    for node in others:
        cache.space.cluster.run(*kubectl, "delete", "pods", "-l", "k8s-app=kube-dns", f"--field-selector=spec.nodeName={node}")  # fmt: skip
    cache.space.cluster.run(*kubectl, "rollout", "status", "deployment/coredns", "--timeout=120s")
    for node in others:
        cache.space.cluster.run("kubectl", "uncordon", node)


def alone(cache: Cache, node: str, fault: str) -> float:
    """A node without network for a minute: after how many seconds the others wrote again. What it took alone is bounded."""
    others = [name for at, name in cache.ledgers.items() if at != node]
    began = time.time()
    cut_off(cache.space.cluster, node)
    healed = time.time()
    cache.whole(240)
    found = {each: cache.audit(began, each) for each in cache.ledgers.values()}
    gap = max(float(found[each]["gap"]) for each in others)
    lost = [at for each in found.values() for at in each["lost"] if at >= began - 1]
    print(f"\n{fault}: others wrote again after {gap:.1f} s; whole {time.time() - healed:.0f} s after it healed; lost {len(lost)} that it took alone")  # fmt: skip

    assert all(at <= began + 15 for at in lost), "min-replicas-max-lag bounds what it takes alone"
    assert not any(at >= began - 1 for each in others for at in found[each]["lost"])
    return gap


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TIMES))
def test_a_node_that_is_cut_off_loses_what_it_took_alone_and_no_more(
    cache: Cache, number: int
) -> None:
    only_here(cache.space.cluster)
    node = cache.node_of(cache.primary())
    put_name_servers(cache, [each for each in cache.ledgers if each != node])

    assert alone(cache, node, f"node cut off for 60 s, {number}") <= BUSY * CRASH_SECONDS


@pytest.mark.slow
def test_a_node_that_takes_a_name_server_with_it_costs_time_and_nothing_else(cache: Cache) -> None:
    """Sentinels and clients look names up, and every second question goes to a server that is gone until its node counts as lost."""
    only_here(cache.space.cluster)
    node = cache.node_of(cache.primary())
    put_name_servers(cache, [node, next(each for each in cache.ledgers if each != node)])

    assert alone(cache, node, "node of primary and of a DNS server cut off for 60 s") <= 120

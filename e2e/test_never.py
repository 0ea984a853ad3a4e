"""What no drill ever does, each tried as hard as we can while every arm of a shutdown drill runs.

The application does what the worst one would: it writes to its volume, calls production stores by name, by address, in its
own and in another namespace and through a proxy, and its owner has given a wrong word (`--standalone`) that it needs none.
Its labels are selected by everything that selects. Its own pods do the same all the time: that proves that it can be done.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from clusters import Cluster
from drillcli import Manifest, Place, Said
from readiness.naming import DRILL

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE, OTHER = "never", "never-production"
ACCOUNT = f"system:serviceaccount:{SPACE}:readiness-drill"
STORE, PROXY, WEB = 6379, 3128, 8080
OWN_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "image", "projected", "secret", "name"}
CANARY = """
import os, socket, sys, threading
def serve(port):
    server = socket.create_server(("", port), backlog=128)
    while True:
        line, peer = server.accept()
        line.settimeout(5)
        try:
            said = line.recv(200).split()[:2]
        except OSError:
            said = []
        os.write(1, b" ".join((b"%d" % port, peer[0].encode(), *said)) + b"\\n")  # whole, from any thread
        line.close()
threads = [threading.Thread(target=serve, args=(int(port),)) for port in sys.argv[1:]]
[each.start() for each in threads]
"""
APPLICATION = """
import http.server, os, signal, socket, sys, threading, time
me = socket.gethostname()
def call(host, port, words):
    try:
        with socket.create_connection((host, port), 1) as line:
            line.sendall(words.encode())
    except OSError:
        pass
def forever(act):
    while True:
        act()
        time.sleep(0.5)
def mark():
    with open(f"/data/{me}", "a") as file:
        file.write("x")
wanted = [(host, int(port), "GET " + me) for host, port in (t.rsplit(":", 1) for t in sys.argv[1:])]
for target in wanted:
    threading.Thread(target=forever, args=(lambda t=target: call(*t),), daemon=True).start()
threading.Thread(target=forever, args=(mark,), daemon=True).start()
server = http.server.ThreadingHTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
signal.signal(signal.SIGINT, lambda *_: threading.Thread(target=server.shutdown).start())
os.chdir("/data")
server.serve_forever()
"""
LABELS = {"app": "reckless", "tier": "web", "team": "shop"}
MAY_NOT = (
    "delete deployments", "patch deployments", "update deployments --subresource=scale", "delete replicasets", "create pods --subresource=exec",
    "create pods --subresource=eviction", "get secrets", "list secrets", "patch services", "update endpointslices.discovery.k8s.io",
    "delete persistentvolumeclaims", "create serviceaccounts --subresource=token", "patch pods", "update pods", "create jobs.batch",
)  # fmt: skip


def server(name: str, image: str, command: list[str], labels: Manifest, **pod: Any) -> Manifest:
    """A Deployment of one pod."""
    container = {"name": "app", "image": image, "command": command, "ports": [{"containerPort": WEB}],
                 "env": [{"name": "PYTHONUNBUFFERED", "value": "1"}], **pod.pop("container", {})}  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 5, **pod}
    template = {"metadata": {"labels": labels}, "spec": spec}
    whole = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": whole,
    }


def service(name: str, selector: Manifest, *ports: int) -> Manifest:
    listed = [{"name": f"p{port}", "port": port} for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": selector, "ports": listed}}  # fmt: skip


def surroundings() -> list[Manifest]:
    """Everything that selects pods, by each of the application's labels and by all of them."""
    scale = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reckless"}
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"tier": "web"}}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    return [
        *(service(f"by-{key}", {key: value}, WEB) for key, value in LABELS.items()),
        service("by-all", LABELS, WEB),
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "by-tier"}, "spec": budget},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "reckless"},
         "spec": {"scaleTargetRef": scale, "minReplicas": 1, "maxReplicas": 1}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
    ]  # fmt: skip


@dataclass
class Witness:
    """Looks several times a second while a drill runs."""

    place: Place
    clones: dict[str, str] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.over.wait(0.3):
            self.look()

    def look(self) -> None:
        found = self.place.get("pods,endpointslices,poddisruptionbudgets,replicasets")
        of = {
            kind: [each for each in found if each["kind"] == kind]
            for kind in {e["kind"] for e in found}
        }
        for pod in of.get("Pod", ()):
            if DRILL in pod["metadata"].get("labels", {}):
                self._clone(pod)
        for each in of.get("EndpointSlice", ()):
            for endpoint in each.get("endpoints") or ():
                known = {(endpoint.get("targetRef") or {}).get("name", ""), *endpoint["addresses"]}
                if known & (self.clones.keys() | set(self.clones.values()) - {""}):
                    self.wrong.add(f"{each['metadata']['name']} leads to a clone")
        for each in of.get("PodDisruptionBudget", ()):
            if each.get("status", {}).get("expectedPods", 1) > 1:
                self.wrong.add("the budget counts a clone")
        for each in of.get("ReplicaSet", ()):
            if each.get("status", {}).get("replicas", 0) > 1:
                self.wrong.add("the ReplicaSet counts a clone")

    def _clone(self, pod: Manifest) -> None:
        name, spec = pod["metadata"]["name"], pod["spec"]
        self.clones[name] = pod.get("status", {}).get("podIP", "") or self.clones.get(name, "")
        for volume in spec.get("volumes", ()):
            sources = (volume.get("projected") or {}).get("sources") or ()
            if not volume.keys() <= OWN_VOLUMES or any("serviceAccountToken" in s for s in sources):
                self.wrong.add(f"{name} mounts {volume}")


@dataclass(frozen=True)
class Call:
    """One connection to a store: when, to which port, from which address and pod."""

    at: datetime
    port: int
    address: str
    pod: str

    @classmethod
    def of(cls, line: str) -> "Call":
        """A line of the canary's log."""
        at, port, address, _, pod = line.split()
        return cls(datetime.fromisoformat(at), int(port), address, pod)


@dataclass(frozen=True)
class Seen:
    """What was seen of one drill under all arms."""

    place: Place
    said: Said
    witness: Witness
    before: frozenset[str]
    after: frozenset[str]
    calls: list[Call]
    marks: frozenset[str]


def living(place: Place) -> frozenset[str]:
    """Uid and restarts of every pod that is no drill's."""
    return frozenset(
        f"{pod['metadata']['name']} {pod['metadata']['uid']} {[s['restartCount'] for s in pod['status']['containerStatuses']]}"
        for pod in place.get("pods", "-l", f"!{DRILL},!{DRILL}-runner")
    )


def address(place: Place, what: str, path: str) -> str:
    return place.kubectl("get", what, "-o", f"jsonpath={{{path}}}")


@pytest.fixture(scope="module")
def places(cluster: Cluster) -> Iterator[tuple[Place, Place]]:
    """Production stores in two namespaces, and the application that calls them."""
    here, there = Place.make(cluster, SPACE), Place.make(cluster, OTHER)
    for place in (here, there):
        canary = ["python3", "-c", CANARY, str(STORE), str(PROXY)]
        place.apply(
            server("store", place.image, canary, {"app": "store"}),
            service("store", {"app": "store"}, STORE, PROXY),
        )
    for place in (here, there):
        place.rolled_out("store")
    targets = [f"store:{STORE}", f"store.{OTHER}.svc.cluster.local:{STORE}", f"store:{PROXY}"]
    for place in (here, there):
        targets.append(f"{address(place, 'service/store', '.spec.clusterIP')}:{STORE}")
        pod = place.get("pods", "-l", "app=store")[0]
        targets.append(f"{pod['status']['podIP']}:{STORE}")
    mounted = {
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": WEB}, "periodSeconds": 1},
        "env": [{"name": "HTTP_PROXY", "value": f"http://store.{OTHER}:{PROXY}"}, {"name": "PYTHONUNBUFFERED", "value": "1"}],
    }  # fmt: skip
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    root = {"runAsUser": 0}  # whoever owns the volume
    command = ["python3", "-c", APPLICATION, *targets]
    here.apply(
        *surroundings(),
        server(
            "reckless",
            here.image,
            command,
            LABELS,
            container=mounted,
            volumes=volumes,
            securityContext=root,
        ),
    )
    here.rolled_out("reckless")
    yield here, there
    for place in (here, there):
        place.kubectl("delete", "namespace", place.name, "--wait=false")


@pytest.fixture(scope="module")
def seen(places: tuple[Place, Place]) -> Seen:
    """One drill with every arm."""
    here, there = places
    before, witness = living(here), Witness(here)
    watching = threading.Thread(target=witness.watch)
    watching.start()
    try:
        said = here.drill(
            "reckless", "--standalone", "--once", "--verbose", "--slow", "/?{seconds}"
        )
    finally:
        witness.over.set()
        watching.join()
    ask = ("logs", "deployment/store", "--tail=-1", "--timestamps")
    lines = [line for place in (here, there) for line in place.kubectl(*ask).splitlines()]
    calls = [Call.of(line) for line in lines if len(line.split()) == 5]
    marks = frozenset(here.kubectl("exec", "deployment/reckless", "--", "ls", "/data").split())
    return Seen(here, said, witness, before, living(here), calls, marks)


def test_clones_ran_and_the_applications_own_pod_reached_production(seen: Seen) -> None:
    own = {line.split()[0] for line in seen.before if line.startswith("reckless")}

    assert len([a for a in seen.witness.clones.values() if a]) >= 4, seen.said.told
    assert {call.port for call in seen.calls} == {STORE, PROXY}
    assert own <= {call.pod for call in seen.calls}
    assert own == seen.marks - {"lost+found"}


def test_no_clone_reached_a_production_store(seen: Seen) -> None:
    """Not even at first: the local cluster's plug-in isolates a pod a moment after its start."""
    clones = {*seen.witness.clones, *seen.witness.clones.values()} - {""}

    assert [call for call in seen.calls if {call.pod, call.address} & clones] == []
    assert {call.pod for call in seen.calls} - clones <= {line.split()[0] for line in seen.before}


def test_no_live_pod_was_touched(seen: Seen) -> None:
    assert seen.before == seen.after


def test_nothing_that_selects_pods_gained_a_clone_and_no_clone_mounted_what_lives(
    seen: Seen,
) -> None:
    assert seen.witness.wrong == set()


def test_nothing_is_left_after_a_minute(seen: Seen) -> None:
    assert seen.place.left() == []


@pytest.mark.parametrize("what", MAY_NOT)
def test_the_drills_own_account_may_not(places: tuple[Place, Place], what: str) -> None:
    place, _ = places
    asked = place.cluster.attempt("kubectl", "-n", SPACE, "auth", "can-i", *what.split(), "--as", ACCOUNT)  # fmt: skip

    assert asked.stdout.startswith("no")


def test_it_may_do_nothing_in_another_namespace(places: tuple[Place, Place]) -> None:
    _, there = places
    asked = there.cluster.attempt("kubectl", "-n", OTHER, "auth", "can-i", "list", "pods", "--as", ACCOUNT)  # fmt: skip

    assert asked.stdout.startswith("no")


def test_where_one_policy_for_all_pods_allows_everything_no_clone_starts(
    places: tuple[Place, Place],
) -> None:
    """Policies add up: ours cannot take back what this one allows, and the application would reach production."""
    here, _ = places
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}  # fmt: skip
    here.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "everything"}, "spec": everything})  # fmt: skip
    try:
        said = here.drill("reckless", "--standalone", "--once", "--control", "SHD-006")
    finally:
        here.kubectl("delete", "networkpolicy", "everything")

    assert said.findings["SHD-006"]["reason"] == "NotIsolated"


@pytest.mark.parametrize("selector", [{}, {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["batch"]}]}], ids=["empty", "by absence"])  # fmt: skip
def test_no_clone_is_made_that_a_budget_would_count(
    places: tuple[Place, Place], selector: Manifest
) -> None:
    here, _ = places
    spec = {"minAvailable": 1, "selector": selector}
    here.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "wide"}, "spec": spec})  # fmt: skip
    try:
        said = here.drill("reckless", "--once", "--control", "SHD-006")
    finally:
        here.kubectl("delete", "poddisruptionbudget", "wide")

    assert (said.code, said.findings) == (3, {})
    assert "PodDisruptionBudget wide" in said.told
    assert "created" not in said.told


REFUSED = {
    "a store that nobody declared": ({"container": {"env": [{"name": "CACHE_URL", "value": f"redis://store.{OTHER}:6379/0"}]}}, "UndeclaredStore: CACHE_URL"),
    "a directory of the node": ({"volumes": [{"name": "node", "hostPath": {"path": "/var/tmp"}}]}, "is a hostPath"),
    "its own token": ({"volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}, "own credentials"),
    "the node's network": ({"hostNetwork": True}, "hostNetwork"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_would_reach_out_is_refused_before_any_clone(
    places: tuple[Place, Place], name: str
) -> None:
    place, (pod, words) = places[0], REFUSED[name]
    made = server("refused", place.image, ["sleep", "infinity"], {"app": "refused"}, **json.loads(json.dumps(pod)))  # fmt: skip
    made["spec"]["replicas"] = 0
    place.apply(made)
    place.rolled_out("refused")
    seen = place.drill("refused", "--control", "SHD-006", "--once", "--verbose")
    place.kubectl("delete", "deployment", "refused")

    assert seen.findings["SHD-006"]["reason"] == "DrillRefused"
    assert words in seen.findings["SHD-006"]["message"]
    assert "created" not in seen.told

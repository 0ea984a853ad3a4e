"""Takes the truth about how the applications stop: a real rollout under traffic, and one without, seen from outside.

    python3 e2e/strangers/take_truth.py [NAME…] > e2e/strangers/truth.tsv

KUBECONFIG names a cluster where `python3 e2e/strangers manifests strangers` is applied. Clients run in a pod of their own
(traffic.py). Nothing of the operator is imported, so that one mistake cannot stand on both sides.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import strangers  # noqa: E402 (the path must be set first)
from shapes.take_truth import counted, documents  # noqa: E402

SPACE, TRAFFIC = "strangers", strangers.TRAFFIC
AT_ONCE = 3
SETTLE = 8
AHEAD = 11  # traffic before the rollout begins: every slow request has had its turn
EXPLAINED = """\
# What a rollout does to applications that others wrote; taken by e2e/strangers/take_truth.py. slow: requests of 4 s and 10 s
# through the Service, open when the old pod was deleted. fast: requests through the Service in the 5 s from then on. codes,
# exit_*: exit codes, and seconds from the deletion to the container's end, with traffic and without. first_5s, from_2s: fresh
# connections to the old pod itself, in the 5 s from the deletion and from 2 s after it to the end. kept: requests from 2 s
# after it to the end on a connection to the old pod that is used every half second; it is opened anew when it ends."""
Row = dict[str, object]


def kubectl(*words: str, space: str = SPACE, text: str | None = None) -> str:
    command = ["kubectl", "-n", space, *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@dataclass
class Ending:
    """How the old pod ended: epoch seconds."""

    deleted: float = 0.0
    finished: float = 0.0
    code: int = -1

    @property
    def seconds(self) -> int:
        return max(0, round(self.finished + 0.5 - self.deleted))


@dataclass
class Seen:
    """One rollout."""

    ending: Ending
    requests: list[Row] = field(default_factory=list)

    def outcomes(self, kind: str, begins: float, ends: float) -> list[str]:
        """Of requests that were begun in that time."""
        rows = (r for r in self.requests if r["kind"] == kind and begins <= float(r["start"]) < ends)  # fmt: skip
        return [str(row["outcome"]) for row in rows]

    def open_at(self, moment: float) -> list[str]:
        """Of slow requests that were open then."""
        rows = (r for r in self.requests if r["kind"] == "slow")
        return [
            str(r["outcome"]) for r in rows if float(r["start"]) < moment < float(r["end"]) + 0.1
        ]


def settled(name: str) -> Row:
    """The application's pod, once it has been Ready for a while."""
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
    while True:
        items = json.loads(kubectl("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
        if len(items) == 1 and "deletionTimestamp" not in items[0]["metadata"]:
            conditions = {c["type"]: c for c in items[0]["status"]["conditions"]}
            since = datetime.fromisoformat(conditions["Ready"]["lastTransitionTime"]).timestamp()
            if conditions["Ready"]["status"] == "True" and time.time() - since > SETTLE:
                return dict(items[0])
        time.sleep(0.5)


@contextmanager
def traffic(name: str, pod: Row, seen: list[Row]) -> Iterator[None]:
    """Clients of the application; what they saw is in the list when they have ended."""
    app = strangers.APPS[name]
    service = kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
    given = {"service": [service, 80], "pod": [pod["status"]["podIP"], app.port], "fast": app.fast, "slow": app.slow}  # fmt: skip
    script = ["python3", "-c", (strangers.HERE / "traffic.py").read_text(), json.dumps(given)]
    command = ["kubectl", "-n", TRAFFIC, "exec", "-i", "traffic", "--", *script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:  # fmt: skip
        yield
        told, _ = child.communicate("")
        seen += [json.loads(line) for line in told.splitlines()]


def rollout(name: str, *, busy: bool) -> Seen:
    """Roll the application out, and see its old pod end."""
    pod, requests = settled(name), []
    if not busy:
        return Seen(restart(name, pod))
    with traffic(name, pod, requests):
        time.sleep(AHEAD)
        ending = restart(name, pod)
        time.sleep(max(0.0, ending.deleted + 6 - time.time()))
    return Seen(ending, requests)


def restart(name: str, pod: Row) -> Ending:
    """`kubectl rollout restart`, watched from the old pod's side."""
    ending = Ending()
    command = ["kubectl", "-n", SPACE, "get", "pod", pod["metadata"]["name"], "--watch", "-o", "json"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        kubectl("rollout", "restart", f"deployment/{name}")
        for seen in documents(child.stdout):
            if "deletionTimestamp" in seen["metadata"] and not ending.deleted:
                ending.deleted = time.time()
            if state := seen["status"]["containerStatuses"][0]["state"].get("terminated"):
                ending.code = state["exitCode"]
                ending.finished = datetime.fromisoformat(state["finishedAt"]).timestamp()
                break
        child.terminate()
    return ending


def row(name: str) -> list[str]:
    """What was seen of one application."""
    busy, idle = rollout(name, busy=True), rollout(name, busy=False)
    at, end = busy.ending.deleted, busy.ending.finished + 1
    return [
        name, counted(busy.open_at(at)), counted(busy.outcomes("fast", at, at + 5)),
        f"{busy.ending.code}, {idle.ending.code}", str(busy.ending.seconds), str(idle.ending.seconds),
        counted(busy.outcomes("knock", at, at + 5)), counted(busy.outcomes("knock", at + 2, end)),
        counted(busy.outcomes("kept", at + 2, end)),
    ]  # fmt: skip


def clients() -> None:
    """The pod that clients run in."""
    container = {
        "name": "traffic",
        "image": strangers.RECIPES["python"].image,
        "command": ["sleep", "infinity"],
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    meta = {"name": "traffic", "namespace": TRAFFIC}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TRAFFIC}}
    items = [space, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod}]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", space=TRAFFIC, text=text)
    kubectl("wait", "--for=condition=Ready", "pod/traffic", "--timeout=60s", space=TRAFFIC)


def main() -> None:
    """Roll every application out, some at a time, and print the table."""
    clients()
    print(EXPLAINED, "# " + "\t".join(strangers.COLUMNS), sep="\n", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for cells in pool.map(row, sys.argv[1:] or strangers.APPS):
            print(*cells, sep="\t", flush=True)


if __name__ == "__main__":
    main()

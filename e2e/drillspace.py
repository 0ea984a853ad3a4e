"""A namespace as drills find it where everything is strict, with a pod that owns what a drill makes. For tests of its parts."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from clusters import Cluster
from localcluster.progress import ClusterError
from readiness.drills.place import CONTAINER_SECURITY, POD_SECURITY, Place
from readiness.model import Manifest
from readiness.naming import DRILL, DRILL_RUNNER, DRILL_STORE

OWNER = "drill"


@dataclass(frozen=True)
class Space:
    """The namespace, in which the pod `drill` owns everything."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.run("kubectl", "-n", self.name, *arguments, text=text)

    def create(self, manifest: Manifest) -> None:
        self.kubectl("create", "-f", "-", text=json.dumps(manifest))

    def get(self, *what: str) -> list[Manifest]:
        return list(json.loads(self.kubectl("get", *what, "-o", "json"))["items"])

    def address(self, *by: str) -> str:
        return self.kubectl("get", "pod", *by, "-o", "jsonpath={..status.podIP}")

    def store(self, name: str) -> Manifest:
        (found,) = self.get("pods", "-l", f"{DRILL_STORE}={name}")
        return found

    def says(self, pod: str, *command: str) -> str:
        """What a command in a pod prints, also when it fails."""
        done = self.cluster.attempt("kubectl", "-n", self.name, "exec", pod, "--", *command)
        return done.stdout + done.stderr

    def place(self, run: str, image: str) -> Place:
        """The pod `drill`, as the owner of what a run makes."""
        while "default" not in self.kubectl("get", "serviceaccounts", "-o", "name"):
            time.sleep(0.5)
        self.create(sleeper(image, OWNER, {DRILL_RUNNER: run}))
        return Place(run, OWNER, self.kubectl("get", "pod", OWNER, "-o", "jsonpath={.metadata.uid}"))  # fmt: skip

    def ready(self, made: Sequence[Manifest]) -> None:
        """Create all of these and wait for every pod."""
        for each in made:
            self.create(each)
        wait = ("wait", "pods", "--all", "--for=condition=Ready", "--timeout=180s")
        waited = self.cluster.attempt("kubectl", "-n", self.name, *wait)
        if waited.returncode:
            raise ClusterError(f"{waited.stderr}\n{self.kubectl('get', 'pods')}")

    def left(self, seconds: float = 60) -> list[str]:
        """What of any drill is still there after so many seconds, of every kind there is."""
        listed = self.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        kinds = ",".join(kind for kind in listed if not kind.startswith("events"))
        deadline = time.monotonic() + seconds
        while True:
            found = [
                name
                for label in (DRILL, DRILL_RUNNER)
                for name in self.kubectl("get", kinds, "-l", label, "-o", "name", "--ignore-not-found").split()
            ]  # fmt: skip
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(1)


@contextmanager
def restricted(cluster: Cluster, name: str) -> Iterator[Space]:
    """A namespace that admits restricted pods only, for as long as it is needed."""
    meta = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    text = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    cluster.run("kubectl", "create", "-f", "-", text=text)
    yield Space(cluster, name)
    cluster.run("kubectl", "delete", "namespace", name, "--wait=false")


def sleeper(image: str, name: str, labels: Manifest) -> Manifest:
    """A restricted pod that waits to be told something."""
    container = {"name": "app", "image": image, "command": ["sleep", "3600"], "securityContext": CONTAINER_SECURITY}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"automountServiceAccountToken": False, "securityContext": POD_SECURITY, "containers": [container],
                 "terminationGracePeriodSeconds": 1},
    }  # fmt: skip

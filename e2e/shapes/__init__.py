"""Servers of every shape that stops differently, as real pods, and what a drill must say about each.

The table is shapes.yaml. What is expected there was derived from what the servers do, seen with other tools than ours
(truth.tsv, taken by take_truth.py), and not from the judge.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)] if str(HERE.parent) not in sys.path else []

from image import Image  # noqa: E402 (the path must be set first)
from recipes import Recipe, build_images  # noqa: E402

Manifest = dict[str, Any]
CONTROLS: Final = ("SHD-001", "SHD-003", "SHD-004", "SHD-006", "SHD-010")
PORT: Final = 8080
GRACE: Final = 30
SLOW: Final = "/slow?seconds={seconds}"
SERVERS: Final = "e2e/shapes/servers"
PROXY: Final = {"debian": ("nginx-light",), "go": (f"{SERVERS}/go",), "files": SERVERS}
RECIPES: Final = {
    "python": Recipe("shapes-python", ("python3", "tini"), python=f"{SERVERS}/requirements.txt", files=SERVERS),
    "node": Recipe("shapes-node", ("nodejs", "tini"), files=SERVERS),
    "jvm": Recipe("shapes-jvm", ("openjdk-21-jdk-headless",), files=SERVERS),
    "nginx": Recipe("shapes-nginx", **PROXY),
    "nginx-quit": Recipe("shapes-nginx-quit", **PROXY, stop_signal="SIGQUIT"),
    "go": Recipe("shapes-go", None, go=(f"{SERVERS}/go",)),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """One server: how its pod runs, what a policy declares about it, and what must come out.

    `expected` is a result, or result/reason, by control; `why` says where that comes from. `slow` has `{seconds}`.
    """

    server: str
    image: str
    command: Sequence[str]
    expected: Mapping[str, str]
    why: str
    slow: str = SLOW
    pre_stop: int = 0
    declared: Mapping[str, Any] = field(default_factory=dict)

    def result(self, control: str) -> str:
        """Pass, Fail or Unknown."""
        return self.expected[control].partition("/")[0]

    @property
    def shutdown(self) -> Manifest:
        """`targets[].shutdown` of a policy."""
        return {"drain": "15s", "slowRequest": {"path": self.slow}, **self.declared}


TABLE: Final = {
    name: Shape(**row) for name, row in yaml.safe_load((HERE / "shapes.yaml").read_text()).items()
}


def images(engine: str = "", only: Sequence[str] = ()) -> list[Image]:
    """The images of all shapes, or of some, built where the cache lacks them."""
    return build_images(RECIPES, {TABLE[name].image for name in only or TABLE}, engine)


def manifests(namespace: str, only: Sequence[str] = ()) -> list[Manifest]:
    """A Deployment of one pod and a Service for every shape, or for some; nothing is built."""
    return [each for name in only or TABLE for each in _manifests(namespace, name, TABLE[name])]


def _manifests(namespace: str, name: str, shape: Shape) -> list[Manifest]:
    meta, labels = {"name": name, "namespace": namespace}, {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(shape)}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def pod(shape: Shape) -> Manifest:
    """The spec of its pod."""
    sleep = {"lifecycle": {"preStop": {"sleep": {"seconds": shape.pre_stop}}}}
    container = {
        "name": "app",
        "image": RECIPES[shape.image].image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(shape.command),
        **(sleep if shape.pre_stop else {}),
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 2},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }  # fmt: skip
    return {
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
    }

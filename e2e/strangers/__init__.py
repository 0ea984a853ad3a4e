"""Applications that others wrote, as a stranger would deploy them: a drill has to say something true about them.

The table is apps.yaml; what a real rollout under traffic did to each is truth.tsv, taken by take_truth.py. Their namespace
denies all traffic that is not allowed, and has a quota.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)] if str(HERE.parent) not in sys.path else []

from image import Image  # noqa: E402 (the path must be set first)
from recipes import Recipe, build_image  # noqa: E402

Manifest = dict[str, Any]
TRAFFIC: Final = "strangers-traffic"
GRACE: Final = 30
OURS: Final = "e2e/strangers"
FILES: Final = f"{OURS}/files"
MODULES: Final = tuple(f"{OURS}/go/{name}" for name in ("caddy", "httpbin", "nsqd", "versitygw"))
OPERATIONS: Final = ("docker-registry", "nats-server", "prometheus", "prometheus-alertmanager", "prometheus-pushgateway")  # fmt: skip
RECIPES: Final = {
    "web": Recipe("strangers-web", ("apache2", "lighttpd", "nginx-light"), files=FILES),
    "operations": Recipe("strangers-operations", OPERATIONS, files=FILES),
    "jvm": Recipe("strangers-jvm", ("openjdk-21-jre-headless", "tomcat10"), files=FILES),
    "erlang": Recipe("strangers-erlang", ("rabbitmq-server",), files=FILES),
    "python": Recipe("strangers-python", ("libstdc++6", "python3"), python=f"{OURS}/python/requirements.txt", files=FILES),
    "node": Recipe("strangers-node", ("nodejs",), node=f"{OURS}/node", files=FILES),
    "go": Recipe("strangers-go", None, go=MODULES, files=FILES),
}  # fmt: skip


@dataclass(frozen=True)
class App:
    """One application. `slow` is a path with `{seconds}`, or nothing where it has none that is slow or streams."""

    kind: str
    package: str
    image: str
    command: Sequence[str]
    port: int
    fast: str
    slow: str = ""
    memory: str = "512Mi"
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def shutdown(self) -> Manifest:
        """`targets[].shutdown` of a policy."""
        return {"slowRequest": {"path": self.slow}} if self.slow else {}


APPS: Final = {
    name: App(**row) for name, row in yaml.safe_load((HERE / "apps.yaml").read_text()).items()
}


def images(engine: str = "", only: Sequence[str] = ()) -> list[Image]:
    """The images of all applications, or of some, built where the cache lacks them."""
    wanted = {APPS[name].image for name in only or APPS}
    return [build_image(recipe, engine) for key, recipe in RECIPES.items() if key in wanted]


def manifests(namespace: str, only: Sequence[str] = ()) -> list[Manifest]:
    """The namespace with its policies and quota, and a Deployment and a Service of every application, or of some."""
    apps = [each for name in only or APPS for each in _manifests(namespace, name, APPS[name])]
    return [*space(namespace), *apps]


def space(namespace: str) -> list[Manifest]:
    """A namespace as strict platforms give it: nothing in or out but what is allowed, and a quota."""
    entry = {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": TRAFFIC}}}]}  # fmt: skip
    hard = {
        "pods": "60", "requests.cpu": "2", "requests.memory": "6Gi", "limits.memory": "24Gi",
        "count/jobs.batch": "10", "persistentvolumeclaims": "0",
    }  # fmt: skip

    def policy(name: str, spec: Manifest) -> Manifest:
        meta = {"name": name, "namespace": namespace}
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta,
                "spec": {"podSelector": {}, **spec}}  # fmt: skip

    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        policy("default-deny", {"policyTypes": ["Ingress", "Egress"]}),
        policy("allow-traffic", {"policyTypes": ["Ingress"], "ingress": [entry]}),
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota", "namespace": namespace},
         "spec": {"hard": hard}},
    ]  # fmt: skip


def _manifests(namespace: str, name: str, app: App) -> list[Manifest]:
    meta, labels = {"name": name, "namespace": namespace}, {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(app)}
    surge = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "strategy": surge, "template": template}  # fmt: skip
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    service = {"selector": labels, "ports": ports}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]


def pod(app: App) -> Manifest:
    """The spec of its pod."""
    container = {
        "name": "app",
        "image": RECIPES[app.image].image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(app.command),
        "env": [{"name": key, "value": value} for key, value in {"HOME": "/tmp", **app.env}.items()],
        "ports": [{"name": "http", "containerPort": app.port}],
        "readinessProbe": {"httpGet": {"path": app.fast, "port": "http"}, "periodSeconds": 2, "timeoutSeconds": 2},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": app.memory}},
    }  # fmt: skip
    return {
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
    }


def bundle(namespace: str, only: Sequence[str] = ()) -> str:
    """The manifests as kubectl takes them."""
    items = manifests(namespace, only)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

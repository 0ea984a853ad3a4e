"""Applications that others wrote, as a stranger would deploy them: a drill has to say something true about them.

The table is apps.yaml; what a real rollout under traffic did to each is truth.tsv, taken by take_truth.py. Their namespace
denies all traffic that is not allowed, and has a quota.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)] if str(HERE.parent) not in sys.path else []

from image import Image  # noqa: E402 (the path must be set first)
from recipes import Recipe, build_images  # noqa: E402

Manifest = dict[str, Any]
TRAFFIC: Final = "strangers-traffic"
GRACE: Final = 30
DRAIN, IDLE = 15, 3  # what is promised where nothing is declared
CONTROLS: Final = ("SHD-001", "SHD-003", "SHD-004", "SHD-006")
MOST: Final = 0.6  # of the applications that a control asks, so many must be decided
RIGHT: Final = {
    "yes": ("Pass", "Unknown"),
    "no": ("Fail", "Unknown"),
    "unknown": ("Pass", "Fail", "Unknown"),
}
COLUMNS: Final = (
    "application", "slow", "fast", "codes", "exit_busy", "exit_idle", "first_5s", "from_2s", "kept",
)  # fmt: skip
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
    return build_images(RECIPES, {APPS[name].image for name in only or APPS}, engine)


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


class Truth(NamedTuple):
    """Whether the requirement holds (yes, no, unknown), and what was seen."""

    holds: str
    seen: str


def truth() -> dict[tuple[str, str], Truth]:
    """What follows from truth.tsv, by application and control."""
    rows = [line.split("\t") for line in (HERE / "truth.tsv").read_text().splitlines()]
    seen = [dict(zip(COLUMNS, row, strict=True)) for row in rows if row[0] in APPS]
    return {(row["application"], control): each for row in seen for control, each in _holds(row)}


def _holds(seen: Mapping[str, str]) -> Iterator[tuple[str, Truth]]:
    def told(*, holds: bool, by: str, known: bool = True) -> Truth:
        return Truth(("yes" if holds else "no") if known else "unknown", by)

    slow, codes, first, idle = seen["slow"], seen["codes"], seen["first_5s"], int(seen["exit_idle"])
    asked = bool(APPS[seen["application"]].slow)
    drained = not asked or counts(slow).keys() == {"200"}
    orderly = set(codes.split(", ")) <= {"0", "143"} and int(seen["exit_busy"]) <= DRAIN + 2
    racy = len(set(codes.split(", "))) > 1 and drained
    served = max(counts(seen[each]).get("200", 0) for each in ("from_2s", "kept"))
    share = counts(first).get("200", 0) / max(1, sum(counts(first).values()))
    yield "SHD-001", told(holds=orderly and drained, by=f"codes {codes}; slow: {slow}", known=not racy)  # fmt: skip
    yield "SHD-003", told(holds=served < 2, by=f"{seen['from_2s']}; kept: {seen['kept']}")
    if asked:
        yield "SHD-004", told(holds=drained, by=slow)
    yield "SHD-006", told(holds=idle <= IDLE, by=f"{idle} s", known=idle not in (IDLE, IDLE + 1))
    yield "SHD-010", told(holds=share >= 0.99, by=first)


class Drilled(NamedTuple):
    """What a drill said."""

    result: str
    reason: str
    seen: str

    @property
    def decides(self) -> bool:
        """Whether it is an answer."""
        return self.result in ("Pass", "Fail")


def drilled() -> dict[tuple[str, str], Drilled]:
    """What drills said when they were last run on pods: drilled.tsv."""
    rows = [line.split("\t") for line in (HERE / "drilled.tsv").read_text().splitlines()]
    return {(row[0], row[1]): Drilled(*row[2:]) for row in rows if row[0] in APPS}


def keep(found: Mapping[tuple[str, str], Drilled]) -> None:
    """Write what was seen into drilled.tsv; applications that were not drilled now keep their rows."""
    again = {name for name, _ in found}
    rows = {place: row for place, row in drilled().items() if place[0] not in again} | found
    order = {name: nth for nth, name in enumerate(APPS)}
    lines = ["\t".join((*place, *rows[place])) for place in sorted(rows, key=lambda p: (order[p[0]], p[1]))]  # fmt: skip
    head = "# What drills said about them; written by e2e/test_strangers.py.\n# application\tcontrol\tresult\treason\tseen\n"
    (HERE / "drilled.tsv").write_text(head + "".join(f"{line}\n" for line in lines))


def wrong(found: Mapping[tuple[str, str], Drilled]) -> dict[tuple[str, str], str]:
    """Verdicts that contradict a real rollout, with what that showed."""
    known = truth()
    return {
        place: f"{row.result} {row.reason} ({row.seen}), but a rollout showed: {known[place].seen}"
        for place, row in found.items()
        if place in known and row.decides and row.result not in RIGHT[known[place].holds]
    }


def decided(found: Mapping[tuple[str, str], Drilled]) -> dict[str, float]:
    """By control, the share of the applications with an answer; SHD-004 asks those that have a slow request."""
    asked = {c: [n for n in APPS if c != "SHD-004" or APPS[n].slow] for c in CONTROLS}
    return {
        control: sum(found[name, control].decides for name in names if (name, control) in found) / len(names)
        for control, names in asked.items()
    }  # fmt: skip


def counts(cell: str) -> dict[str, int]:
    """`9 refused, 1 200` as a mapping."""
    return {word: int(count) for count, word in re.findall(r"(\d+) ([^,]+)", cell)}

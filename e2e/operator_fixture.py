"""pytest fixtures of the end-to-end suites: a cluster, and the operator in it by its chart, once per session.

CLUSTER chooses as in clusters.py. A local cluster is this session's own; one that was up before stays up, and so does any
with READINESS_CLUSTER_KEEP=1. The operator trusts an authority of ours and may reach the hosts of our test namespaces.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

import clusters
import demo
import image
from clusters import Cluster
from localcluster import cluster as local
from localcluster import images, state
from localcluster.progress import ClusterError

Manifest = dict[str, Any]
SPACES: Final = ("matrix", "thirdparty")
SERVERS: Final = ("gunicorn", "nginx-light", "nodejs", "python3", "uvicorn")
KEYS: Final = "edge-tls"
API: Final = "readiness.dev/v1alpha1"
RUN_AT: Final = "readiness.dev/run-at"
SESSION: Final = datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class Operator:
    """The operator as it runs, and the images that specimens are made of."""

    cluster: Cluster
    specimen: str
    trusted: Path

    @cached_property
    def servers(self) -> str:
        """An image of servers that others wrote; loaded for who asks for it."""
        return load_servers(self.cluster)

    def apply(self, *objects: Manifest) -> None:
        """Apply manifests given as values."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.cluster.run("kubectl", "apply", "--server-side", "-f", "-", text=json.dumps(items))

    def permit_drills(self, namespace: str) -> None:
        """The rights that drills need in a namespace, as somebody without Helm would apply them."""
        self._permit("drills", namespace)

    def permit_data_services(self, namespace: str) -> None:
        """Likewise the rights to provide data services."""
        self._permit("provision", namespace)

    def permit_failovers(self, namespace: str) -> None:
        """Likewise the right to take primaries away."""
        self._permit("disruptive", namespace)

    def _permit(self, what: str, namespace: str) -> None:
        text = (image.ROOT / "manifests" / what / f"{what}.yaml").read_text()
        self.cluster.run(
            "kubectl", "apply", "-f", "-", text=text.replace("your-namespace", namespace)
        )

    def get(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Every object of a kind, of one namespace or of all."""
        where = ("-n", namespace) if namespace else ("-A",)
        return list(
            json.loads(self.cluster.run("kubectl", "get", kind, *where, "-o", "json"))["items"]
        )

    def rolled_out(self, namespace: str, seconds: float) -> None:
        """Wait until every Deployment of a namespace is complete."""

        def waiting() -> list[str]:
            found = self.get("deployments", namespace)
            return [each["metadata"]["name"] for each in found if not complete(each)]

        deadline = time.monotonic() + seconds
        while late := waiting():
            if time.monotonic() > deadline:
                pods = self.cluster.attempt("kubectl", "-n", namespace, "get", "pods").stdout
                raise ClusterError(f"not rolled out in {seconds:g} s: {late[:5]}\n{pods}")
            time.sleep(2)

    def verdicts(self, names: set[str], seconds: float) -> dict[str, dict[str, Manifest]]:
        """Findings by policy and control, once every one of these policies is judged to the end."""
        deadline = time.monotonic() + seconds
        while waiting := names - {p["metadata"]["name"] for p in self.get("rdy") if settled(p)}:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"not judged in {seconds:g} s: {sorted(waiting)[:5]}\n{demo.diagnosis(self.cluster)}"
                )
            time.sleep(2)
        reports = (each["report"] for each in self.get("rdr"))
        return {
            r["policy"]: {row["id"]: row for row in r["results"]}
            for r in reports
            if r["policy"] in names
        }


def complete(deployment: Manifest) -> bool:
    """Whether every replica runs the template as it stands now, and is ready."""
    wanted, status = deployment["spec"]["replicas"], deployment.get("status") or {}
    counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == {
        wanted
    }


def settled(policy: Manifest) -> bool:
    """Whether a policy is judged as it stands now, in this session, and no look is under way."""
    status, notes = policy.get("status") or {}, policy["metadata"].get("annotations") or {}
    if status.get("lastRunAt") != notes.get(RUN_AT):
        return False
    states = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    current = status.get("observedGeneration") == policy["metadata"]["generation"]
    return current and states.get("Reconciling") == "False" and states.get("Ready") == "True"


def policy(namespace: str, name: str, spec: Manifest) -> Manifest:
    """A ReadinessPolicy."""
    meta = {"name": name, "namespace": namespace, "annotations": {RUN_AT: SESSION}}
    return {"apiVersion": API, "kind": "ReadinessPolicy", "metadata": meta, "spec": spec}


def server(
    space: str, name: str, image: str, command: Sequence[str] = (), defects: str = ""
) -> list[Manifest]:
    """A Deployment of one pod that serves HTTP, and its Service with a port for the edge."""
    meta, labels = {"name": name, "namespace": space}, {"app": name}
    ports = {"http": 8080, "edge": 8443}
    settings = {
        "TLS_PORT": "8443",
        "TLS_CERT": "/tls/tls.crt",
        "TLS_KEY": "/tls/tls.key",
        "DEFECTS": defects,
    }
    mounts, volumes = (
        {"tls": "/tls", "tmp": "/tmp"},
        [{"name": "tls", "secret": {"secretName": KEYS}}, {"name": "tmp", "emptyDir": {}}],
    )
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **({"command": list(command)} if command else {}),
        "env": [{"name": key, "value": value} for key, value in settings.items()],
        "ports": [{"name": key, "containerPort": port} for key, port in ports.items()],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 2},
        "volumeMounts": [{"name": key, "mountPath": path} for key, path in mounts.items()],
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    pod = {"containers": [container], "volumes": volumes, "automountServiceAccountToken": False, "enableServiceLinks": False,
           "terminationGracePeriodSeconds": 1}  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    entries = [{"name": key, "port": port, "targetPort": key} for key, port in ports.items()]
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": entries},
        },
    ]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster for this session."""
    kind, _ = clusters.choose(os.environ)
    keep = os.environ.get("READINESS_CLUSTER_KEEP", "") not in ("", "0")
    name = ("readiness-e2e" if keep else f"e2e-{os.getpid()}") if kind == "local" else clusters.NAME
    before = kind != "local" or name in state.cluster_names()
    try:
        if kind == "local":
            found = local.up(name, node_count=clusters.NODES)
            yield Cluster("local", name, found.kubeconfig)
        else:
            yield clusters.up(os.environ)
    finally:
        if not (before or keep):
            local.down(name)


@pytest.fixture(scope="session")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """The operator, installed by its chart, with what the suites need beside it."""
    ours, specimens = demo.load_images(cluster, os.environ)
    found = Operator(
        cluster,
        specimens[demo.SPECIMENS[0]],
        tmp_path_factory.mktemp("keys") / "ca.crt",
    )
    demo.install(cluster, ours)
    trust(found)
    return found


def load_servers(cluster: Cluster) -> str:
    """An image of servers that others wrote, as Debian packages them, with our configuration of them."""
    name = f"readiness-servers:1.0.0-{image.hash_of(image.SPECIMEN)[:12]}"
    if cluster.kind == "current":
        return os.environ.get("SERVERS_IMAGE", name)
    if cluster.engine:
        recipe = (
            f"FROM debian:{image.SUITE}-slim\nRUN apt-get update && apt-get install -y --no-install-recommends "
            f"{' '.join(SERVERS)} && rm -rf /var/lib/apt/lists/*\nCOPY . {image.SPECIMEN_HOME}\nUSER 10001\n"
        )
        image.engine_build(cluster.engine, [name], image.ROOT / image.SPECIMEN, recipe)
        cluster.load(name)
        return name
    layers = [images.debian_layer(image.SUITE, SERVERS), image.specimen_layer()]
    config = images.Config(user="10001:10001", workdir="/tmp", entrypoint=("python3",))
    cluster.load(name, images.archive_of(name, config, layers))
    return name


def trust(operator: Operator) -> None:
    """Namespaces with a certificate for their hosts, and an operator that trusts its authority and may go there."""
    authority, space = trustme.CA(), demo.NAMESPACE
    operator.trusted.write_bytes(authority.cert_pem.bytes())
    for name in SPACES:
        leaf = authority.issue_cert(f"*.{name}.svc.cluster.local")
        keys = {"tls.crt": leaf.cert_chain_pems[0], "tls.key": leaf.private_key_pem}
        data = {key: blob.bytes().decode() for key, blob in keys.items()}
        operator.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": KEYS, "namespace": name},
                "stringData": data,
            },
        )
    known = {"ca.crt": operator.trusted.read_text()}
    operator.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "edge-ca", "namespace": space},
            "data": known,
        }
    )
    hosts = ",".join(
        [*(f"*.{name}.svc.cluster.local" for name in SPACES), "10.0.0.0/8", "172.16.0.0/12"]
    )
    container = {
        "name": json.loads(operator.cluster.run(
            "kubectl", "-n", space, "get", "deployment", demo.RELEASE, "-o", "json"
        ))["spec"]["template"]["spec"]["containers"][0]["name"],
        "env": [{"name": "SSL_CERT_FILE", "value": "/edge-ca/ca.crt"}, {"name": "READINESS_EGRESS_ALLOW", "value": hosts},
                {"name": "READINESS_DRILLS_SETTLE", "value": "5"}],
        "volumeMounts": [{"name": "edge-ca", "mountPath": "/edge-ca"}],
    }  # fmt: skip
    volume = {"name": "edge-ca", "configMap": {"name": "edge-ca"}}
    patch = {"spec": {"template": {"metadata": {"annotations": {"edge-ca": known["ca.crt"][-80:-40]}},
                                   "spec": {"containers": [container], "volumes": [volume]}}}}  # fmt: skip
    operator.cluster.run(
        "kubectl", "-n", space, "patch", "deployment", demo.RELEASE, "-p", json.dumps(patch)
    )
    operator.cluster.run(
        "kubectl", "-n", space, "rollout", "status", f"deployment/{demo.RELEASE}", "--timeout=180s"
    )

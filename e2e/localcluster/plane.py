"""The control plane: etcd, API server, controller manager and scheduler as recorded processes.

Everything listens on loopback, or on the cluster's own bridge where nodes must reach it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster import pki
from localcluster.api import Client
from localcluster.progress import ClusterError, step, wait_until
from localcluster.run import recorded_pid, spawn
from localcluster.state import Cluster

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
NODE_GRACE_SECONDS: Final = 8  # Kubernetes waits 50; tests of node loss should not
EVICTION_SECONDS: Final = 10  # Kubernetes waits 300
KUBELET_ADDRESS: Final = "--kubelet-preferred-address-types=InternalIP"  # node names do not resolve


def admin(cluster: Cluster) -> Client:
    """A client in the group system:masters."""
    return Client(cluster.api_url, cluster.pki, "admin")


def prepare(cluster: Cluster) -> None:
    """Write keys, certificates, kubeconfigs and the audit policy."""
    directory = cluster.pki
    pki.make_authority(directory)
    pki.make_certificate(
        directory,
        "apiserver",
        pki.subject_of("kube-apiserver"),
        [
            "DNS:localhost",
            "DNS:kubernetes",
            "DNS:kubernetes.default",
            "DNS:kubernetes.default.svc",
            "DNS:kubernetes.default.svc.cluster.local",
            "IP:127.0.0.1",
            f"IP:{cluster.host_ip}",
            f"IP:{cluster.api_service_ip}",
        ],
    )
    pki.make_certificate(directory, "admin", pki.subject_of("admin", ["system:masters"]))
    pki.write_kubeconfig(cluster.kubeconfig, directory, "admin", cluster.api_url)
    for component in components(cluster):
        name = f"system:{component}"
        pki.make_certificate(directory, component, pki.subject_of(name))
        pki.write_kubeconfig(
            directory / f"{component}.kubeconfig", directory, component, cluster.api_url
        )
    (cluster.dir / "audit.json").write_text(json.dumps(AUDIT_POLICY))


def components(cluster: Cluster) -> list[str]:
    """Control plane programs that are clients of the API server, and kube-proxy."""
    controllers = ["kube-controller-manager"] if cluster.controllers else []
    return controllers + (["kube-scheduler", "kube-proxy"] if cluster.node_count else [])


def etcd_args(cluster: Cluster) -> list[str]:
    client = f"http://127.0.0.1:{cluster.ports.etcd}"
    peer = f"http://127.0.0.1:{cluster.ports.etcd_peer}"
    return [
        "--data-dir",
        str(cluster.dir / "etcd"),
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--quota-backend-bytes=8589934592",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def apiserver_args(cluster: Cluster) -> list[str]:
    keys = cluster.pki
    args = [
        f"--etcd-servers=http://127.0.0.1:{cluster.ports.etcd}",
        f"--secure-port={cluster.ports.api}",
        f"--bind-address={cluster.host_ip}",
        f"--service-cluster-ip-range={cluster.service_cidr}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={keys}/sa.key",
        f"--service-account-key-file={keys}/sa.pub",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        KUBELET_ADDRESS,
        "--allow-privileged=true",
        f"--default-not-ready-toleration-seconds={EVICTION_SECONDS}",
        f"--default-unreachable-toleration-seconds={EVICTION_SECONDS}",
        f"--audit-policy-file={cluster.dir / 'audit.json'}",
        f"--audit-log-path={cluster.audit_log}",
        "--audit-log-maxsize=100000",
    ]
    if cluster.node_count:
        # webhooks and aggregated APIs are called at their pods, which the host reaches by routes
        return [*args, f"--advertise-address={cluster.host_ip}", "--enable-aggregator-routing=true"]
    # a bare plane has no pods that could use the kubernetes Service, and loopback is refused there
    return [*args, "--endpoint-reconciler-type=none", "--advertise-address=192.0.2.1"]


def client_args(cluster: Cluster, component: str, port: int) -> list[str]:
    """What controller manager and scheduler have in common."""
    config = cluster.pki / f"{component}.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={cluster.pki / component}",
    ]


def controller_args(cluster: Cluster) -> list[str]:
    keys = cluster.pki
    return [
        *client_args(cluster, "kube-controller-manager", cluster.ports.controllers),
        f"--service-account-private-key-file={keys}/sa.key",
        f"--root-ca-file={keys}/ca.crt",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        "--use-service-account-credentials",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s",
    ]


def start(cluster: Cluster, kube: Path) -> None:
    """Start what does not run yet and wait until the API server is ready and answers requests."""
    prepare(cluster)
    with step("control plane"):
        _daemon(cluster, kube, "etcd", etcd_args(cluster))
        _daemon(cluster, kube, "kube-apiserver", apiserver_args(cluster))
        client = admin(cluster)
        _await_ready(cluster, client)
        if cluster.controllers:
            _daemon(cluster, kube, "kube-controller-manager", controller_args(cluster))
        if cluster.node_count:
            _daemon(
                cluster,
                kube,
                "kube-scheduler",
                client_args(cluster, "kube-scheduler", cluster.ports.scheduler),
            )


def _await_ready(cluster: Cluster, client: Client) -> None:
    def is_ready() -> bool:
        for name in ("etcd", "kube-apiserver"):
            if recorded_pid(cluster.records / name) is None:
                raise ClusterError(f"{name} ended; its log is {cluster.logs / name}.log")
        return client.is_ready()

    wait_until("the API server to be ready", is_ready, seconds=120, every=0.05)
    default = "/api/v1/namespaces/default"
    wait_until("the default namespace", lambda: client.exists(default), seconds=30)


def _daemon(cluster: Cluster, kube: Path, name: str, args: Sequence[str]) -> None:
    spawn(cluster.records / name, cluster.logs / f"{name}.log", [kube.parent / name, *args])

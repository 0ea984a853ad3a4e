"""Configuration of a node's containerd, CNI, kubelet and kube-proxy, as text and arguments.

`write` puts it below the node's directory; everything else is pure.
"""

import json
from typing import Final

from localcluster.state import Cluster, Node

PAUSE_IMAGE: Final = "localcluster/pause:1"
CNI_PLUGINS: Final = "/usr/lib/cni"
DISABLED: Final = (
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)


def write(cluster: Cluster, node: Node, snapshotter: str) -> None:
    """Write the configuration files."""
    (node.dir / "cni").mkdir(parents=True, exist_ok=True)
    node.volumes.mkdir(exist_ok=True)
    (node.dir / "containerd.toml").write_text(containerd_toml(node, snapshotter))
    (node.dir / "cni/10-pods.conflist").write_text(json.dumps(cni_config(cluster, node)))
    (node.dir / "kubelet.json").write_text(json.dumps(kubelet_config(cluster, node)))
    # pods with dnsPolicy Default get this; nothing of the host's resolver may leak into tests
    (node.dir / "resolv.conf").write_text(f"nameserver {cluster.dns_ip}\n")


def containerd_toml(node: Node, snapshotter: str) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{node.dir}/containerd"
state = "{node.dir}/c"
disabled_plugins = {json.dumps(DISABLED)}
[grpc]
address = "{node.containerd_socket}"
[{cri}]
sandbox_image = "docker.io/{PAUSE_IMAGE}"
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[{cri}.containerd]
snapshotter = "{snapshotter}"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
[{cri}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{node.dir}/cni"
"""


def cni_config(cluster: Cluster, node: Node) -> dict[str, object]:
    """Routed pods: `ptp` instead of `bridge`, so all traffic passes the forward hook of nftables.

    On a bridge, pods of one node would reach each other below it, past NetworkPolicies.
    """
    return {
        "cniVersion": "0.4.0",
        "name": f"{cluster.network}-{node.name}",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{node.dir}/cni-data",
                    "ranges": [[{"subnet": node.pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_config(cluster: Cluster, node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "enforceNodeAllocatable": [],
        "clusterDNS": [cluster.dns_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{node.dir}/resolv.conf",
        "podLogsDir": f"{node.dir}/pods",
        "volumePluginDir": f"{node.dir}/plugins",
        "makeIPTablesUtilChains": False,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 4,
    }


def kubelet_args(cluster: Cluster, node: Node) -> list[str]:
    return [
        f"--config={node.dir}/kubelet.json",
        f"--kubeconfig={cluster.pki}/{node.name}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}",
        f"--root-dir={node.dir}/kubelet",
        f"--cert-dir={node.dir}/pki",
        f"--node-labels=topology.kubernetes.io/zone={node.zone},topology.kubernetes.io/region=local",
    ]


def proxy_args(cluster: Cluster, node: Node) -> list[str]:
    return [
        f"--kubeconfig={cluster.pki}/kube-proxy.kubeconfig",
        f"--hostname-override={node.name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={cluster.pod_cidr}",
        f"--bind-address={node.ip}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]

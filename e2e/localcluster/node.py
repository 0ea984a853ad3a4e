"""Nodes: containerd, kubelet and kube-proxy in the node's network namespace and cgroup.

It starts, breaks, mends and removes them; how the network and cgroups are made it leaves to others.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcluster import build, cgroup, host, images, network, nodeconfig, pki, plane
from localcluster.progress import step, wait_until
from localcluster.run import end, spawn, succeeds
from localcluster.state import Cluster, Node


def start_all(cluster: Cluster, binaries: Mapping[str, Path]) -> None:
    """Start what does not run on every node, side by side, and wait until all are Ready."""
    pause = images.scratch(nodeconfig.PAUSE_IMAGE, binary=binaries["pause"])
    with step(f"{cluster.node_count} nodes Ready"):
        on_all(cluster, lambda node: start(cluster, node, binaries["kube"], pause))
        for node in cluster.nodes:  # in this thread, so that Ctrl-C ends it
            await_ready(cluster, node)


def on_all(cluster: Cluster, action: Callable[[Node], None]) -> None:
    """Do something on every node at the same time; the first failure is raised."""
    with ThreadPoolExecutor(max_workers=max(1, cluster.node_count)) as pool:
        list(pool.map(action, cluster.nodes))


def start(cluster: Cluster, node: Node, kube: Path, pause: Path) -> None:
    """Start the node's daemons that do not run."""
    daemons = cgroup.make(node.cgroup)
    pki.make_certificate(
        cluster.pki, node.name, pki.subject_of(f"system:node:{node.name}", ["system:nodes"])
    )
    pki.write_kubeconfig(node_kubeconfig(cluster, node), cluster.pki, node.name, cluster.api_url)
    nodeconfig.write(cluster, node, host.snapshotter(cluster.dir))

    def daemon(name: str, *argv: str | Path) -> None:
        spawn(
            node.dir / "run" / name,
            cluster.logs / f"{node.name}-{name}.log",
            [*network.inside(node), *argv],
            cgroups=[daemons],
        )

    daemon("containerd", "containerd", "--config", node.dir / "containerd.toml")
    wait_until(
        f"containerd of {node.name}", lambda: succeeds(*images.ctr(node), "version"), seconds=30
    )
    images.ensure(node, nodeconfig.PAUSE_IMAGE, pause)
    daemon("kubelet", kube.with_name("kubelet"), *nodeconfig.kubelet_args(cluster, node))
    daemon("kube-proxy", kube.with_name("kube-proxy"), *nodeconfig.proxy_args(cluster, node))


def node_kubeconfig(cluster: Cluster, node: Node) -> Path:
    return cluster.pki / f"{node.name}.kubeconfig"


def is_ready(cluster: Cluster, node: Node) -> bool:
    """Whether the API server holds the node for Ready."""
    client = plane.admin(cluster)
    if not client.exists(path := f"/api/v1/nodes/{node.name}"):
        return False
    conditions = client.request("GET", path)["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def await_ready(cluster: Cluster, node: Node) -> None:
    """Wait until the node is Ready."""
    what = f"{node.name} to be Ready (logs in {cluster.logs})"
    wait_until(what, lambda: is_ready(cluster, node), seconds=300)


def cut(_: Cluster, node: Node) -> None:
    """Unplug the node's cable."""
    network.set_cable(node, plugged=False)


def heal(_: Cluster, node: Node) -> None:
    """Plug the node's cable in again."""
    network.set_cable(node, plugged=True)


def crash(_: Cluster, node: Node) -> None:
    """Take the node away at once, as a power cut does: no packet leaves it, nothing runs on."""
    network.set_cable(node, plugged=False)
    cgroup.kill(node.cgroup)


def restart(cluster: Cluster, node: Node) -> None:
    """Start a crashed node again and wait until it is Ready."""
    network.set_cable(node, plugged=True)
    with step(f"{node.name} Ready"):
        start(
            cluster,
            node,
            build.build("kube"),
            images.scratch(nodeconfig.PAUSE_IMAGE, binary=build.build("pause")),
        )
        await_ready(cluster, node)


def remove_all(cluster: Cluster) -> None:
    """End everything on the nodes and remove what that leaves behind on the host."""
    for node in cluster.nodes:
        end((node.dir / "run").glob("*"), grace=0)
        cgroup.kill(node.cgroup)
    host.unmount_below(cluster.dir)
    host.remove_traces(cluster)
    for node in cluster.nodes:
        cgroup.remove(node.cgroup)

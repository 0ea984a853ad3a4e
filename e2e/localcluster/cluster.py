"""Bringing a cluster up and down: the order of the steps, each of which may be repeated.

`up` ensures, so that it also finishes what a crash or a reboot interrupted; `down` removes whatever
can be derived from the name, also when `up` died half-way.
"""

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from localcluster import addon, build, host, network, node, package, plane, state
from localcluster.progress import ClusterError, say, step
from localcluster.run import end, recorded_pid
from localcluster.state import Cluster

Status = Mapping[str, object]


def up(name: str, *, node_count: int = 0, controllers: bool = True) -> Cluster:
    """Bring the named cluster up, or finish bringing it up; returns when it is ready to use."""
    state.check_name(name)
    if node_count and os.geteuid():
        raise ClusterError("a cluster with nodes needs root; --bare does not", code=2)
    with state.locked(state.cluster_lock(name), busy=f"another command works on cluster {name}"):
        cluster = _existing_or_new(name, node_count=node_count, controllers=controllers)
        binaries = {
            each: build.build(each) for each in (build.FOR_NODES if node_count else build.FOR_BARE)
        }
        if node_count:
            package.install_missing()
            host.note()
            network.make(cluster)
        plane.start(cluster, binaries["kube"])
        if node_count:
            node.start_all(cluster, binaries)
            addon.start(cluster, binaries["coredns"])
    return cluster


def _existing_or_new(name: str, *, node_count: int, controllers: bool) -> Cluster:
    cluster = state.find(name)
    if cluster is None:
        taken = network.foreign_slots() if node_count else ()
        return state.create(name, node_count=node_count, controllers=controllers, taken=taken)
    if (cluster.node_count, cluster.controllers) != (node_count, controllers):
        raise ClusterError(
            f"cluster {name} exists with {cluster.node_count} nodes and "
            f"{'' if cluster.controllers else 'no '}controllers; `down` it first",
            code=2,
        )
    return cluster


def down(name: str) -> None:
    """Remove the named cluster and all it made; nothing happens when there is none."""
    state.check_name(name)
    with state.locked(state.cluster_lock(name), busy=f"another command works on cluster {name}"):
        directory = state.state_root() / name
        if not directory.exists():
            say(f"there is no cluster {name}")
        else:
            with step(f"down {name}"):
                _remove(state.find(name), name)
    state.cluster_lock(name).unlink(missing_ok=True)


def _remove(cluster: Cluster | None, name: str) -> None:
    directory = state.state_root() / name
    if cluster and cluster.node_count:
        if os.geteuid():
            raise ClusterError(f"cluster {name} has nodes: removing it needs root", code=2)
        addon.stop(cluster)
        node.remove_all(cluster)
        network.remove(cluster)
    records = directory / "run"
    end((path for path in records.glob("*") if path.suffix != ".partial"), grace=0)
    with ThreadPoolExecutor() as pool:  # images are many files, and nodes have them all
        list(pool.map(shutil.rmtree, directory.glob("node*")))
    shutil.rmtree(directory)
    if (
        cluster
        and cluster.node_count
        and not any(other.node_count for other in map(state.find, state.cluster_names()) if other)
    ):
        host.restore()


def status(cluster: Cluster) -> Status:
    """What scripts need to know about a cluster."""
    records = sorted(cluster.records.glob("*")) + sorted(cluster.dir.glob("node*/run/*"))
    pids = {
        path.relative_to(cluster.dir).as_posix().replace("run/", ""): recorded_pid(path)
        for path in records
    }
    return {
        "name": cluster.name,
        "running": bool(pids) and all(pids.values()) and plane.admin(cluster).is_ready(),
        "bare": not cluster.node_count,
        "kubeconfig": str(cluster.kubeconfig),
        "auditLog": str(cluster.audit_log),
        "apiURL": cluster.api_url,
        "stateDir": str(cluster.dir),
        "logDir": str(cluster.logs),
        "ports": vars(cluster.ports),
        "pids": pids,
        "serviceCIDR": cluster.service_cidr,
        "podCIDR": cluster.pod_cidr if cluster.node_count else None,
        "bridge": {"name": cluster.bridge, "cidr": cluster.node_cidr, "hostIP": cluster.host_ip}
        if cluster.node_count
        else None,
        "nodes": [
            {
                "name": each.name,
                "ip": each.ip,
                "podCIDR": each.pod_cidr,
                "zone": each.zone,
                "netns": each.netns,
                "veth": each.veth,
                "cgroup": each.cgroup,
                "containerd": str(each.containerd_socket),
            }
            for each in cluster.nodes
        ],
    }

"""What a cluster is: its names, addresses, ports and paths, all derived from its name and slot.

Everything that `down` must remove can be derived from `state.json`, which is written before the first
process starts. This module reads and writes only below the state directory; it starts nothing.
"""

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from localcluster.progress import ClusterError

NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?")
MAX_SLOTS: Final = 60
MAX_NODES: Final = 20
LONGEST_DIR: Final = 66  # unix socket paths end at 107 bytes, the kubelet appends 41


def state_root() -> Path:
    """Directory that holds one directory per cluster."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "readiness-operator/localcluster"


@dataclass(frozen=True)
class Ports:
    """TCP ports of the control plane, chosen free when the cluster was first brought up."""

    api: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int


@dataclass(frozen=True)
class Node:
    """One node: a network namespace with a containerd, a kubelet and a kube-proxy of its own."""

    slot: int
    index: int
    cluster_dir: Path

    @property
    def name(self) -> str:
        return f"node{self.index}"

    @property
    def zone(self) -> str:
        return f"zone-{'abc'[(self.index - 1) % 3]}"

    @property
    def ip(self) -> str:
        return f"172.30.{self.slot}.{10 + self.index}"

    @property
    def pod_cidr(self) -> str:
        return f"10.{128 + self.slot}.{self.index}.0/24"

    @property
    def netns(self) -> str:
        return f"lc{self.slot}-{self.name}"

    @property
    def veth(self) -> str:
        """The host's end of the node's cable; interface names have at most 15 characters."""
        return f"lc{self.slot}-n{self.index}"

    @property
    def cgroup(self) -> str:
        return f"localcluster{self.slot}-{self.name}"

    @property
    def dir(self) -> Path:
        return self.cluster_dir / self.name

    @property
    def containerd_socket(self) -> Path:
        return self.dir / "containerd.sock"

    @property
    def volumes(self) -> Path:
        """Where the storage provisioner makes this node's volumes."""
        return self.dir / "volumes"


@dataclass(frozen=True)
class Cluster:
    """One cluster. `node_count` 0 means a bare control plane, which needs no root."""

    name: str
    slot: int
    node_count: int
    controllers: bool
    ports: Ports

    @property
    def dir(self) -> Path:
        return state_root() / self.name

    @property
    def pki(self) -> Path:
        return self.dir / "pki"

    @property
    def records(self) -> Path:
        return self.dir / "run"

    @property
    def logs(self) -> Path:
        return self.dir / "log"

    @property
    def kubeconfig(self) -> Path:
        return self.dir / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def bridge(self) -> str:
        return f"lc{self.slot}"

    @property
    def network(self) -> str:
        """Name of the pod network; it prefixes what CNI plugins cache outside the state directory."""
        return f"localcluster{self.slot}"

    @property
    def host_ip(self) -> str:
        """Address of the control plane: loopback unless nodes must reach it."""
        return f"172.30.{self.slot}.1" if self.node_count else "127.0.0.1"

    @property
    def api_url(self) -> str:
        return f"https://{self.host_ip}:{self.ports.api}"

    @property
    def node_cidr(self) -> str:
        return f"172.30.{self.slot}.0/24"

    @property
    def pod_cidr(self) -> str:
        return f"10.{128 + self.slot}.0.0/16"

    @property
    def service_cidr(self) -> str:
        return f"10.{64 + self.slot}.0.0/16"

    @property
    def api_service_ip(self) -> str:
        return f"10.{64 + self.slot}.0.1"

    @property
    def dns_ip(self) -> str:
        return f"10.{64 + self.slot}.0.10"

    @property
    def nodes(self) -> Sequence[Node]:
        return [Node(self.slot, index, self.dir) for index in range(1, self.node_count + 1)]

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes) or "none, it is bare"
        raise ClusterError(f"cluster {self.name} has no node {name!r} (nodes: {known})", code=2)


def cluster_names() -> Sequence[str]:
    """Every name with a state directory, also those whose `up` died before it wrote state."""
    root = state_root()
    return sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []


def find(name: str) -> Cluster | None:
    """The cluster of that name, or None when it is not (or only half) there."""
    try:
        found = json.loads((state_root() / name / "state.json").read_text())
    except FileNotFoundError:
        return None
    return Cluster(**{**found, "ports": Ports(**found["ports"])})


def load(name: str) -> Cluster:
    """The cluster of that name; a failure the user understands when there is none."""
    cluster = find(name)
    if cluster is None:
        known = ", ".join(cluster_names()) or "none"
        raise ClusterError(f"there is no cluster {name!r} (clusters: {known})", code=2)
    return cluster


def create(name: str, *, node_count: int, controllers: bool, taken: Sequence[int]) -> Cluster:
    """Choose a slot and ports for a new cluster and write them down; `taken` are foreign slots."""
    check_name(name)
    if not 0 <= node_count <= MAX_NODES:
        raise ClusterError(f"between 1 and {MAX_NODES} nodes are possible", code=2)
    directory = state_root() / name
    if node_count and len(str(directory)) > LONGEST_DIR:
        raise ClusterError(
            f"{directory} is too long for unix sockets; set a shorter XDG_STATE_HOME"
        )
    with locked(state_root() / ".slots.lock"):
        ours = {other.slot for other in map(find, cluster_names()) if other}
        free = [slot for slot in range(1, MAX_SLOTS) if slot not in ours | set(taken)]
        if not free:
            raise ClusterError(f"all {MAX_SLOTS - 1} slots are in use; end a cluster with `down`")
        cluster = Cluster(name, free[0], node_count, controllers, Ports(*free_ports(5)))
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / "state.json.partial"
        partial.write_text(json.dumps(asdict(cluster), indent=1))
        partial.replace(directory / "state.json")
    return cluster


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no cluster name: lower case, digits, dashes, 16 at most", code=2
        )


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held open while choosing so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock, which ends with the process; with `busy`, fail instead of waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as error:
            raise ClusterError(busy or "") from error
        if not (path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino):
            raise ClusterError(busy or f"{path} was removed meanwhile, try again")
        yield


def cluster_lock(name: str) -> Path:
    """Beside the state directory, because `down` removes that."""
    return state_root() / f".{name}.lock"

"""What one cluster has on this machine, for proofs that `down` leaves nothing behind.

Other clusters come and go meanwhile, so lines that belong to their slots do not count.
"""

import os
import re
import time
from pathlib import Path

from localcluster import cgroup, host, state
from localcluster.run import run, started_at
from localcluster.state import Cluster

SLOT = re.compile(r"\b(?:lc|localcluster)(\d+)\b")


def footprint() -> set[str]:
    """Links, namespaces, routes, mounts, cgroups and host directories, one line each."""
    lines = {
        f"link {line.split()[0].partition('@')[0]}"
        for line in run("ip", "-br", "link").splitlines()
    }
    lines |= {f"netns {line.split()[0]}" for line in run("ip", "netns").splitlines()}
    lines |= {f"route {line.strip()}" for line in run("ip", "-4", "route").splitlines()}
    lines |= {f"mount {target}" for target in host.mounts()}
    for hierarchy in cgroup.hierarchies():
        lines |= {f"cgroup {path}" for path in hierarchy.glob("localcluster*")}
    lines |= {f"directory {name}" for name in host.DIRECTORIES if Path(name).exists()}
    lines |= {f"state {name}" for name in state.cluster_names()}
    return lines | {
        f"sysctl {name} {Path('/proc/sys', name).read_text().strip()}" for name in host.SYSCTLS
    }


def left_behind(before: set[str], cluster: Cluster, seconds: float = 10) -> set[str]:
    """What stays different after a cluster is gone.

    The kernel takes links of a dead namespace away on its own time, and a client of a daemon that
    was killed needs a moment to see it.
    """
    deadline = time.monotonic() + seconds
    while (found := _different(before, cluster)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _different(before: set[str], cluster: Cluster) -> set[str]:
    """Differences now that are not another cluster's, and processes that still name this one."""
    others = [
        other
        for other in map(state.find, state.cluster_names())
        if other and other.name != cluster.name
    ]
    nodes_elsewhere = any(other.node_count for other in others)
    return processes(cluster) | {
        line
        for line in footprint() ^ before
        if not _is_foreign(line, cluster)
        and not (nodes_elsewhere and line.split()[0] in ("directory", "sysctl"))
        and not (nodes_elsewhere and line == "mount /run/netns")
    }


def _is_foreign(line: str, cluster: Cluster) -> bool:
    slots = {int(slot) for slot in SLOT.findall(line)}
    if slots:
        return cluster.slot not in slots
    kind, _, rest = line.partition(" ")
    root = f"{state.state_root()}/"
    return (
        (kind == "state" and rest != cluster.name)
        or (kind == "mount" and rest.startswith(root) and not rest.startswith(f"{cluster.dir}/"))
        or (kind == "mount" and "mmdebstrap" in rest)
    )


def processes(cluster: Cluster) -> set[str]:
    """Processes with the cluster's directory in their arguments or in one of its cgroups."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_text() + (entry / "cgroup").read_text()
        except OSError:
            continue
        if started_at(int(entry.name)) is None:  # a zombie is pid 1's to collect
            continue
        ours = f"{cluster.dir}/" in text or f"/localcluster{cluster.slot}-" in text
        if ours and entry.name != str(os.getpid()):
            found.add(f"process {entry.name} {text[:80]}")
    return found

"""What containerd and kubelets change outside the state directory, and how it is put back.

They have fixed paths and kernel settings of their own. Settings and the absence of directories are
noted before the first cluster with nodes starts, and restored when the last one has gone.
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster import state
from localcluster.progress import ClusterError
from localcluster.run import run, succeeds
from localcluster.state import Cluster

SYSCTLS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
DIRECTORIES: Final = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/containers",
    "/run/containerd",
    "/run/runc",
    "/etc/cni",
    "/run/netns",
)
NETNS: Final = "/run/netns"  # `ip netns add` mounts it onto itself
NOTE: Final = ".host.json"
BRIDGE: Final = re.compile(r"lc\d+")


def note() -> None:
    """Write down how the machine is, unless a cluster with nodes already changed it."""
    path = state.state_root() / NOTE
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("boot") == _boot():
        return
    seen = {
        "boot": _boot(),
        "sysctls": {name: _sysctl(name).read_text().strip() for name in SYSCTLS},
        "mounted": NETNS in mounts(),
        # a reboot resets settings and mounts, not directories
        "absent": known.get("absent") or [x for x in DIRECTORIES if not Path(x).exists()],
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(seen))
    partial.replace(path)


def restore() -> None:
    """Put the machine back, unless some user's cluster with nodes is still there."""
    path = state.state_root() / NOTE
    links = [link.name for link in Path("/sys/class/net").iterdir()]
    if not path.exists() or any(BRIDGE.fullmatch(link) for link in links):
        return
    seen = json.loads(path.read_text())
    if seen["boot"] == _boot():
        for name, value in seen["sysctls"].items():
            if _sysctl(name).read_text().strip() != value:
                _sysctl(name).write_text(value)
    if not seen["mounted"] and NETNS in mounts() and not any(Path(NETNS).iterdir()):
        run("umount", NETNS)
    for name in seen["absent"]:
        if name != NETNS or name not in mounts():
            shutil.rmtree(name, ignore_errors=True)
    path.unlink()


def unmount_below(directory: Path) -> None:
    """Unmount everything below a directory, the latest mounts first."""
    for _ in range(50):
        found = mounts_below(directory)
        if not found:
            return
        for target in reversed(found):
            succeeds("umount", target) or succeeds("umount", "--lazy", target)
        time.sleep(0.02)
    raise ClusterError(f"cannot unmount {mounts_below(directory)}")


def mounts_below(directory: Path) -> Sequence[str]:
    """Mount points below a directory in the order they were made."""
    return [target for target in mounts() if target.startswith(f"{directory}/")]


def mounts() -> Sequence[str]:
    """All mount points; unlike os.path.ismount it also sees those within one file system."""
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [target.encode().decode("unicode_escape") for target in targets]


def remove_traces(cluster: Cluster) -> None:
    """Remove shim sockets, CNI caches and log links that killed programs left at fixed paths."""
    for address in cluster.dir.glob("node*/c/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(OSError):
            socket = Path(address.read_text().strip().removeprefix("unix://"))
            if socket.is_relative_to("/run/containerd/s"):
                socket.unlink(missing_ok=True)
    for result in Path("/var/lib/cni/results").glob(f"{cluster.network}-*"):
        result.unlink(missing_ok=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(cluster.dir):
            link.unlink(missing_ok=True)


def snapshotter(directory: Path) -> str:
    """Overlays cannot lie on overlays, as in a container; plain copies can."""
    return (
        "native" if run("stat", "-f", "-c", "%T", directory).strip() == "overlayfs" else "overlayfs"
    )


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

"""One cgroup subtree per node, in every hierarchy of cgroup v1 or in the one of v2.

All that runs on a node is in its subtree, so the subtree is also the list of what must end with it.
No other cgroup of the machine is touched.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster.progress import ClusterError
from localcluster.run import send

ROOT: Final = Path("/sys/fs/cgroup")
DAEMONS: Final = "runtime"  # beside the kubelet's own `kubepods`; v2 wants processes in leaves only


def hierarchies() -> Sequence[Path]:
    """Mount points: the only one of v2, or those of v1 and the v2 on their side, which runc uses."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted(
        path
        for path in ROOT.iterdir()
        if not path.is_symlink() and (path / "cgroup.procs").exists()
    )


def make(name: str) -> Path:
    """Make the subtree everywhere; returns the cgroup that the node's daemons must join."""
    for hierarchy in hierarchies():
        path = hierarchy / name
        path.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # v1: empty until copied, and then unusable
            if (hierarchy / "cgroup.controllers").exists() or not (path / file).exists():
                continue
            if not (path / file).read_text().strip():
                (path / file).write_text((hierarchy / file).read_text())
    home = ROOT if len(hierarchies()) == 1 else ROOT / "pids"
    daemons = (home if home.exists() else hierarchies()[0]) / name / DAEMONS
    daemons.mkdir(exist_ok=True)
    return daemons


def members(name: str) -> set[int]:
    """Processes anywhere in the subtree."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy / name):
            try:
                found.update(map(int, (Path(directory) / "cgroup.procs").read_text().split()))
            except OSError:  # it vanished meanwhile
                continue
    return found


def kill(name: str, *, seconds: float = 20) -> None:
    """SIGKILL everything in the subtree until nothing is left."""
    deadline = time.monotonic() + seconds
    while found := members(name):
        for pid in found:
            send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of cgroup {name} do not end: {sorted(found)}")
        time.sleep(0.02)


def remove(name: str) -> None:
    """Remove the emptied subtree, deepest directories first."""
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy / name, topdown=False):
            _rmdir(Path(directory))


def _rmdir(path: Path) -> None:
    for _ in range(100):  # the kernel empties a cgroup a moment after its last process ended
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise ClusterError(f"cannot remove cgroup {path}")

"""The Debian packages a cluster with nodes needs, installed on request of `up` by root."""

import os
import subprocess
from typing import Final

from localcluster.progress import ClusterError, say, step
from localcluster.run import run, succeeds
from localcluster.state import locked, state_root

FOR_NODES: Final = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "iproute2",
    "procps",
    "util-linux",
    "openssl",
)
FOR_IMAGES: Final = ("mmdebstrap",)


def install_missing(packages: tuple[str, ...] = FOR_NODES) -> None:
    """Install what dpkg does not know yet; the services of the packages are not started."""
    if not succeeds("dpkg", "--version"):
        raise ClusterError(f"this is not Debian: install the equivalents of {', '.join(packages)}")
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    if os.geteuid():
        raise ClusterError(f"missing Debian packages, install them as root: {' '.join(missing)}")
    say(f"installing Debian packages: {' '.join(missing)}")
    # RUNLEVEL=1 keeps invoke-rc.d from starting services; our nodes have their own containerd
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with locked(state_root() / ".apt.lock"), step("apt-get install"):
        for command in (
            ["update", "-qq"],
            ["install", "-qq", "-y", "--no-install-recommends", *missing],
        ):
            done = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=300", *command],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ClusterError(f"apt-get {command[0]} failed: {done.stderr[-2000:]}")


def is_installed(package: str) -> bool:
    shown = run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package, check=False)
    return shown.startswith("ii")

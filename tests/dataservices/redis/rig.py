"""A Redis with Sentinels from what the operator renders, on this machine's loopback addresses.

A pod is a process in a mount namespace of its own: the image's root file system, the rendered
volumes where the rendered container mounts them, one hosts file for all. It runs the rendered
command under the rendered user; probes and the preStop hook run beside it, as the kubelet does it.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcluster import build, images
from localcluster.progress import step
from localcluster.state import locked
from ousted import LEAST_GRACE
from readiness.model import Manifest

MOUNTS = (
    "config",
    "secret",
    "passwords",
    "formed",
    "tls",
    "data",
    "tmp",
    "scripts",
    "backup",
    "logins",
)
ENTER = """
root=$1 pod=$2 hosts=$3 user=$4
shift 4
mount --bind /dev "$root/dev"
mount --bind /proc "$root/proc"
mount --bind "$hosts" "$root/etc/hosts"
mount --bind "$hosts.only" "$root/etc/nsswitch.conf"
for each in "$pod"/*/; do
  each=$(basename "$each")
  mount --bind "$pod/$each" "$root/$each"
done
exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --pdeathsig KILL "$@"
"""


def image_root(suite: str, *more: str) -> Path:
    """The root file system of a Debian suite with its Redis, and perhaps more packages."""
    layer = images.debian_layer(suite, ("redis-server", *more))
    root = build.cache_root() / "roots" / layer.path.stem
    root.parent.mkdir(exist_ok=True)
    with locked(root.with_suffix(".lock")):
        if not root.exists():
            partial = root.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            with step(f"unpack {layer.path.name}"):
                subprocess.run(["tar", "-xf", str(layer.path), "-C", str(partial), "--exclude=./dev/*"], check=True)  # fmt: skip
            (partial / "etc/hosts").touch()
            partial.rename(root)
        for name in MOUNTS:
            (root / name).mkdir(exist_ok=True)
    return root


@dataclass
class Pod:
    """One pod, started and stopped as often as a test wants."""

    name: str
    domain: str
    address: str
    container: Manifest
    user: str
    home: Path
    rig: Rig
    server: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"{self.name}.{self.domain}"

    @property
    def ordinal(self) -> int:
        return int(self.name.rpartition("-")[2])

    def start(self) -> None:
        command, environment = self._inside(self.container["command"]), self._environment()
        with (self.home.parent / f"{self.name}.log").open("ab") as log:
            self.server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """As the kernel does it."""
        assert self.server
        self.server.kill()
        self.server.wait()

    def terminate(self, grace: float = 60.0) -> float:
        """As the kubelet does it: the hook, SIGTERM, and SIGKILL after the grace. Returns the seconds it took."""
        assert self.server
        began = time.monotonic()
        hook = self.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        if hook:
            self.log(self.run(*hook, timeout=grace).stderr)
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(max(1.0, grace - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return time.monotonic() - began

    def evicted(self, grace: int | None) -> None:
        """As an eviction ends it: with its own grace, or with so many seconds, of which its hook gets no more either."""
        if grace is None:
            self.terminate()
            return
        assert self.server
        hook = self.container["lifecycle"]["preStop"]["exec"]["command"]
        running = subprocess.Popen(self._inside(hook), env=self._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(grace)
        self.server.terminate()
        try:
            self.server.wait(LEAST_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
        running.kill()  # it ends with its container
        running.wait()

    def run(self, *command: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """A command beside the server."""
        return subprocess.run(
            self._inside(command), env=self._environment(), capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def probe(self, which: str) -> bool:
        return self.run(*self.container[which]["exec"]["command"]).returncode == 0

    def says(self) -> str:
        return (self.home.parent / f"{self.name}.log").read_text()

    def log(self, text: str) -> None:
        with (self.home.parent / f"{self.name}.log").open("a") as file:
            file.write(text)

    def lose_volume(self) -> None:
        shutil.rmtree(self.home / "data")
        self.make_volume()

    def make_volume(self) -> None:
        for name in ("data", "tmp"):
            (self.home / name).mkdir(exist_ok=True)
            os.chown(self.home / name, int(self.user), int(self.user))

    def _inside(self, command: Iterable[str]) -> list[str]:
        place = (str(self.rig.root), str(self.home), str(self.rig.hosts), self.user)
        return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "sh", "-ec", ENTER, "enter", *place, *command]  # fmt: skip

    def _environment(self) -> dict[str, str]:
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        for each in self.container["env"]:
            found[each["name"]] = each.get("value", self.name)  # the only reference is to the name
        return found | {"STORE_BIND": self.address}


@dataclass
class Rig:
    """Every pod of the rendered StatefulSets, and the hosts file that stands for the cluster's DNS."""

    root: Path
    home: Path
    network: str
    manifests: list[Manifest]
    pods: dict[str, Pod] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in self._of("StatefulSet"):
            spec = each["spec"]
            namespace = each["metadata"].get("namespace", "shop")
            domain = f"{spec['serviceName']}.{namespace}.svc"
            for number in range(spec["replicas"]):
                self.add(f"{each['metadata']['name']}-{number}", domain, spec["template"]["spec"])
        self.hosts.with_name("hosts.only").write_text(
            "hosts: files\n"
        )  # no question leaves the machine
        self.name()

    @property
    def hosts(self) -> Path:
        return self.home / "hosts"

    @property
    def members(self) -> list[Pod]:
        return [p for p in self.pods.values() if p.container["name"] == "redis"]

    @property
    def sentinels(self) -> list[Pod]:
        return [p for p in self.pods.values() if p.container["name"] == "sentinel"]

    def name(self, *gone: Pod) -> None:
        """Names of all pods but those that are gone. In place: the file is mounted."""
        there = [p for p in self.pods.values() if p not in gone]
        self.hosts.write_text("".join(f"{p.address} {p.host} {p.name}\n" for p in there))

    def add(self, name: str, domain: str, spec: Manifest) -> Pod:
        """A pod of this name as it is to be from now on; what it keeps of an earlier one is its volume and its address."""
        (container,) = spec["containers"]
        home, user = self.home / name, str(spec["securityContext"]["runAsUser"])
        self._fill(home, spec)
        if (pod := self.pods.get(name)) is not None:
            pod.container = container
            return pod
        pod = Pod(
            name, domain, f"{self.network}.{10 + len(self.pods)}", container, user, home, self
        )
        pod.make_volume()
        self.pods[name] = pod
        return pod

    def address_of(self, host: str) -> str:
        return self.pods[host.partition(".")[0]].address

    def start(self, *pods: Pod) -> None:
        for each in pods or self.pods.values():
            each.start()

    def stop(self) -> None:
        for each in self.pods.values():
            if each.server and each.server.poll() is None:
                each.kill()

    def form(self) -> None:
        """What the operator does once the set has formed."""
        for each in self.members:
            (each.home / "formed/since").write_text("now")

    def write(self, manifests: list[Manifest]) -> None:
        """Secrets and ConfigMaps as they are now, in the volumes of running pods, as the kubelet does it."""
        self.manifests = manifests
        for each in self._of("StatefulSet"):
            for number in range(each["spec"]["replicas"]):
                pod = self.pods[f"{each['metadata']['name']}-{number}"]
                self._fill(pod.home, each["spec"]["template"]["spec"])

    def job(self, name: str) -> Iterator[tuple[str, Pod]]:
        """The init containers of a CronJob's pod, one after the other, each with the volumes that it mounts and no other."""
        (found,) = [each for each in self._of("CronJob") if each["metadata"]["name"] == name]
        spec = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        whole, user = self.home / name, str(spec["securityContext"]["runAsUser"])
        self._fill(whole, {"volumes": [v for v in spec["volumes"] if "ephemeral" in v or "emptyDir" in v or v["name"] in MOUNTS]})  # fmt: skip
        for shared in ("backup", "tmp"):
            os.chown(whole / shared, int(user), int(user))
        for container in spec["initContainers"]:
            home = self.home / f"{name}-{container['name']}"
            home.mkdir(exist_ok=True)
            for mount in container["volumeMounts"]:
                (home / mount["name"]).symlink_to(whole / mount["name"])
            yield container["name"], Pod(name, "", "127.0.0.1", container, user, home, self)

    def secret(self, name: str) -> dict[str, str]:
        (found,) = [each for each in self._of("Secret") if each["metadata"]["name"] == name]
        return {key: base64.b64decode(text).decode() for key, text in found["data"].items()}

    def _fill(self, home: Path, spec: Manifest) -> None:
        for volume in spec["volumes"]:
            (home / volume["name"]).mkdir(parents=True, exist_ok=True)
            for path, text in self._contents(volume).items():
                there = home / volume["name"] / path
                if (
                    not there.exists() or there.read_text() != text
                ):  # at once, as the kubelet does it
                    fresh = there.with_name(f".{path}")
                    fresh.write_text(text)
                    fresh.replace(there)

    def _contents(self, volume: Mapping[str, Any]) -> Mapping[str, str]:
        if "secret" in volume:
            found = self.secret(volume["secret"]["secretName"])
            items = ((each["path"], each["key"]) for each in volume["secret"]["items"])
            optional = volume["secret"].get("optional", False)
            return {path: found[key] for path, key in items if key in found or not optional}
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            found_map = [e for e in self._of("ConfigMap") if e["metadata"]["name"] == name]
            assert found_map or volume["configMap"].get("optional")
            return found_map[0]["data"] if found_map else {}
        return {}

    def _of(self, kind: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] == kind]

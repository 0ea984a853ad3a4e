"""Rendered pods without a cluster: each in namespaces of its own, with the mounts, environment, user and stop that its
manifest says.

It stands in for the kubelet where a whole cluster would be too slow or too coarse a tool: pods are killed, lose
their volumes and are cut off within milliseconds. It needs root and knows no data service. Nothing of the machine is
touched: the network lives in a namespace that ends with this process, and everything else in a directory.
"""

import base64
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from localcluster.archive import Layer
from localcluster.build import cache_root
from localcluster.state import locked

Manifest = dict[str, Any]
NET: Final = "10.77.0"
DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
BOUND: Final = ("setpriv", "--pdeathsig", "KILL")  # nothing outlives the test


def rootfs(layer: Layer) -> Path:
    """The files of an image's only layer, unpacked once."""
    to = cache_root() / "roots" / layer.path.stem
    to.parent.mkdir(parents=True, exist_ok=True)
    with locked(to.with_suffix(".lock")):
        if not to.exists():
            partial = to.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            with tarfile.open(layer.path) as tar:
                tar.extractall(partial, filter="fully_trusted")
            partial.rename(to)
    return to


@dataclass
class Container:
    """A running pod: its first process, as the machine sees it. `wanted` is whether it is to run on."""

    holder: subprocess.Popen[bytes]
    pid: int
    user: int
    environment: Mapping[str, str]
    wanted: bool = True

    @property
    def runs(self) -> bool:
        return self.holder.poll() is None

    def command(self, *command: str) -> list[str]:
        """How a command is run inside, with the container's environment and user."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-p", "-r", "-w", "-S", str(self.user), "-G", str(self.user)]  # fmt: skip
        return [*inside, "env", "-i", *(f"{k}={v}" for k, v in self.environment.items()), *command]

    def run(self, *command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*command), capture_output=True, text=True, timeout=timeout, check=False)  # fmt: skip

    def kill(self) -> None:
        """As the kernel does it."""
        self.wanted = False
        os.kill(self.pid, signal.SIGKILL)
        self.holder.wait()


@dataclass
class Sandbox:
    """The pods of the given manifests, which are those of one StatefulSet and what it mounts."""

    manifests: Sequence[Manifest]
    root: Path
    directory: Path
    running: dict[str, Container] = field(default_factory=dict)
    networks: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> "Sandbox":
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.hosts_file).write_text("127.0.0.1 localhost\n")
        for index in range(self.workload["spec"]["replicas"]):
            self.announce(index)
        self.net = network()
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("addr", "add", f"{NET}.254/24", "dev", "br0")
        self.ip("link", "set", "br0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.running.values():
            if container.runs:
                container.kill()
        for holder in (*self.networks.values(), self.net):
            holder.kill()
            holder.wait()

    @property
    def workload(self) -> Manifest:
        return next(each for each in self.manifests if each["kind"] == "StatefulSet")

    @property
    def hosts_file(self) -> Path:
        """What stands in for DNS."""
        return self.directory / "hosts"

    def pod(self, index: int) -> str:
        return f"{self.workload['metadata']['name']}-{index}"

    def host(self, index: int) -> str:
        return f"{self.pod(index)}.{self.workload['spec']['serviceName']}.sandbox.svc"

    def announce(self, index: int) -> None:
        """Let a pod's name be known."""
        with self.hosts_file.open("a") as file:
            file.write(f"{NET}.{index + 1} {self.host(index)} {self.pod(index)}\n")

    def volume(self, index: int, name: str = "data") -> Path:
        """A volume of a pod; by default the persistent one."""
        return self.directory / self.pod(index) / "volumes" / name

    def ip(self, *arguments: str) -> None:
        run_in(self.net, "ip", *arguments)

    def cut(self, index: int, *, off: bool) -> None:
        """Take a pod's network away, or give it back."""
        self.ip("link", "set", f"veth{index}", "down" if off else "up")

    def outside(self, *command: str) -> list[str]:
        """How a client's command is run in the pods' network."""
        return ["nsenter", "-t", str(self.net.pid), "-n", *command]

    def start(self, index: int) -> Container:
        """Start a pod: its init containers, then its container. Returns when that one has begun."""
        template = self.workload["spec"]["template"]["spec"]
        for container in template.get("initContainers", ()):
            made = self._launch(index, container)
            assert made.holder.wait(timeout=120) == 0, self.log(index)
        self.running[self.pod(index)] = found = self._launch(index, template["containers"][0])
        return found

    def tend(self) -> int:
        """Start again what ended by itself, as the kubelet does. Returns how many that were."""
        ended = [name for name, each in self.running.items() if each.wanted and not each.runs]
        for name in ended:
            (container,) = self.workload["spec"]["template"]["spec"]["containers"]
            self.running[name] = self._launch(int(name.rpartition("-")[2]), container)
        return len(ended)

    @contextmanager
    def job(self, name: str, index: int) -> Iterator["Sandbox"]:
        """A pod of a CronJob, in the network of these, at an address that `index` makes."""
        cron = next(e for e in self.manifests if (e["kind"], e["metadata"]["name"]) == ("CronJob", name))  # fmt: skip
        spec = {"replicas": 0, "serviceName": name, "template": cron["spec"]["jobTemplate"]["spec"]["template"]}  # fmt: skip
        pod = {"kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}
        found = Sandbox([pod, *self.manifests], self.root, self.directory / f"job{index}")
        found.directory.mkdir()
        found.hosts_file.write_bytes(self.hosts_file.read_bytes())
        found.net = self.net
        try:
            yield found
        finally:
            for holder in found.networks.values():
                holder.kill()
                holder.wait()

    def run_init(self, index: int, name: str, timeout: float = 600) -> int:
        """One init container, to its end; its exit code."""
        template = self.workload["spec"]["template"]["spec"]
        (container,) = (each for each in template["initContainers"] if each["name"] == name)
        return self._launch(index, container).holder.wait(timeout)

    def stop(self, index: int) -> float:
        """As the kubelet does it: hook, SIGTERM, and SIGKILL after the grace. Returns the seconds it took."""
        template = self.workload["spec"]["template"]["spec"]
        container, began = self.running[self.pod(index)], time.monotonic()
        grace = template["terminationGracePeriodSeconds"]
        hook = template["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        container.wanted = False
        container.run(*hook, timeout=grace)
        os.kill(container.pid, signal.SIGTERM)
        try:
            container.holder.wait(timeout=grace - (time.monotonic() - began))
        except subprocess.TimeoutExpired:
            container.kill()
        return time.monotonic() - began

    def log(self, index: int) -> str:
        return (self.directory / self.pod(index) / "log").read_text(errors="replace")

    def annotate(self, index: int, key: str, value: str) -> None:
        """What the downward API shows of an annotation of that name."""
        for volume in self.workload["spec"]["template"]["spec"]["volumes"]:
            for item in volume.get("downwardAPI", {}).get("items", ()):
                if key in item["fieldRef"]["fieldPath"]:
                    at = self.directory / self.pod(index) / "volumes" / volume["name"]
                    (at / item["path"]).write_text(value)

    def _launch(self, index: int, container: Manifest) -> Container:
        home = self.directory / self.pod(index)
        home.mkdir(exist_ok=True)
        user = self.workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
        environment = self._environment(index, container)
        script = "\n".join(self._mounts(index, container, user))
        words = " ".join(f"'{word}'" for word in container["command"])
        # the kernel forgets whose end is theirs when the user changes: it is said again afterwards
        inside = f"setpriv --reuid={user} --regid={user} --clear-groups --pdeathsig KILL"
        variables = " ".join(f"'{k}={v}'" for k, v in environment.items())
        script += f"\nexec chroot {home}/root {inside} env -i {variables} {words}\n"
        (home / "launch.sh").write_text(f"set -e\nhostname {self.pod(index)}\n{script}")
        apart = ("nsenter", "-t", str(self._network(index).pid), "-n", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child")  # fmt: skip
        with (home / "log").open("ab") as log:
            holder = subprocess.Popen([*BOUND, *apart, "sh", str(home / "launch.sh")], stdout=log, stderr=log, start_new_session=True)  # fmt: skip
        return Container(holder, first_child(holder), user, environment)

    def _network(self, index: int) -> subprocess.Popen[bytes]:
        """The pod's network, which outlives its containers, so that a killed one's connections are closed."""
        if index not in self.networks:
            self.networks[index] = holder = network()
            self.ip("link", "add", f"veth{index}", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))  # fmt: skip
            self.ip("link", "set", f"veth{index}", "master", "br0", "up")
            run_in(holder, "ip", "addr", "add", f"{NET}.{index + 1}/24", "dev", "eth0")
            run_in(holder, "ip", "link", "set", "eth0", "up")
        return self.networks[index]

    def _mounts(self, index: int, container: Manifest, user: int) -> list[str]:
        home = self.directory / self.pod(index)
        root = home / "root"
        for name in ("root", "upper", "work"):
            (home / name).mkdir(exist_ok=True)
        layers = f"lowerdir={self.root},upperdir={home}/upper,workdir={home}/work"
        lines = [
            "mount --make-rprivate /",
            f"mount -t overlay overlay -o {layers} {root}",
            f"mount -t proc proc {root}/proc",
            f"mount -t tmpfs tmpfs {root}/dev",
            f": > {root}/dev/termination-log; chown {user} {root}/dev/termination-log",
            *(f": > {root}/dev/{d}; mount --bind /dev/{d} {root}/dev/{d}" for d in DEVICES),
            f"ln -s /proc/self/fd {root}/dev/fd",
            f"mount --bind {self.hosts_file} {root}/etc/hosts",
        ]
        for mount in sorted(container["volumeMounts"], key=lambda m: str(m["mountPath"])):
            source = self._volume(index, mount["name"], user)
            at = f"{root}{mount['mountPath']}"
            lines += [f"mkdir -p {at}", f"mount --bind {source} {at}"]
            if mount.get("readOnly"):
                lines.append(f"mount -o remount,bind,ro {at}")
        if container["securityContext"]["readOnlyRootFilesystem"]:
            lines.append(f"mount -o remount,ro {root}")
        return lines

    def _volume(self, index: int, name: str, user: int) -> Path:
        """The directory that stands in for a volume, filled with what the manifests say."""
        at = self.directory / self.pod(index) / "volumes" / name
        at.mkdir(parents=True, exist_ok=True)
        for volume in self.workload["spec"]["template"]["spec"]["volumes"]:
            if volume["name"] == name:
                for key, text in self._contents(volume).items():
                    (at / key).write_text(text)
        for path in (at, *at.iterdir()):
            os.chown(path, user, user)
        return at

    def _contents(self, volume: Manifest) -> dict[str, str]:
        if "configMap" in volume:
            return self._named("ConfigMap", volume["configMap"]["name"], volume["configMap"])
        if "secret" in volume:
            found = self._named("Secret", volume["secret"]["secretName"], volume["secret"])
            given = volume["secret"].get("items") or [{"key": key, "path": key} for key in found]
            return {each["path"]: base64.b64decode(found[each["key"]]).decode() for each in given}
        return {item["path"]: "" for item in volume.get("downwardAPI", {}).get("items", ())}

    def _named(self, kind: str, name: str, volume: Manifest) -> dict[str, str]:
        for each in self.manifests:
            if (each["kind"], each["metadata"]["name"]) == (kind, name):
                return dict(each["data"])
        assert volume.get("optional"), name
        return {}

    def _environment(self, index: int, container: Manifest) -> dict[str, str]:
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        for entry in container.get("env", ()):
            value = self.pod(index) if "valueFrom" in entry else str(entry["value"])
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[entry["name"]] = value
        return found


def network() -> subprocess.Popen[bytes]:
    """A process that holds a network of its own."""
    holder = subprocess.Popen([*BOUND, "unshare", "--net", "sleep", "infinity"])
    deadline = time.monotonic() + 10
    ours, its = Path("/proc/self/ns/net"), Path(f"/proc/{holder.pid}/ns/net")
    while its.readlink() == ours.readlink():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run_in(holder, "ip", "link", "set", "lo", "up")
    return holder


def run_in(holder: subprocess.Popen[bytes], *command: str) -> None:
    subprocess.run(["nsenter", "-t", str(holder.pid), "-n", *command], check=True)


def first_child(holder: subprocess.Popen[bytes]) -> int:
    """The first process inside, as the machine numbers it."""
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise TimeoutError("the pod's process did not appear")

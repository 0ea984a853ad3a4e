"""A stage for drills without a cluster: a clone is a process on loopback. A named stand-in.

The same arms run on real pods in e2e/shapes; here they run in seconds, so that the engine itself can
be tested for what it stamps, what it does when things go wrong, and what it leaves behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readiness.model import Manifest
from readiness.timeline import Problem, Timeline
from readiness.workload import pre_stop_seconds

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_port(below: Iterator[int]) -> int:
    """A port that nobody listens on, below those that the system gives away meanwhile."""
    for port in below:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("unreachable")


def alone(line: str) -> str:
    """The meter's line of a process that shares its control group with this whole machine: its own memory is its rss."""
    told = json.loads(line)
    if "sample" in told:
        told["sample"] |= {"memory": told["sample"]["rss"], "killed": 0}
    return json.dumps(told)


def undisturbed(seen: Timeline) -> Timeline:
    """What was seen as if nobody else had used this machine: who tries defects on a busy one has no better look at last."""
    return replace(seen, lag=0.0, crowded=0.0)


def clone(name: str, code: str, grace: float = 5.0, **spec: Any) -> Manifest:
    """A pod whose container is a Python program; it finds its port in argv[1]."""
    container = {"name": "app", "command": [sys.executable, "-c", code]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": grace} | spec,
    }  # fmt: skip


def sink(
    name: str, ports: Sequence[int], gates: Mapping[int, int] | None = None, control: int = 0
) -> Manifest:
    """A fault sink with upstreams on these ports, or the gates of stores behind others; everything on loopback."""
    control, gates = control or free_port(), gates or {}
    args = [word for port in ports for word in ("--port", str(port))]
    args += [
        word for port, behind in gates.items() for word in ("--gate", f"{port}=127.0.0.1:{behind}")
    ]
    env = {"PYTHONPATH": str(ROOT / "operator"), "PORT": str([*gates, control][0])}
    container = {
        "name": "sink", "command": [sys.executable, "-m", "readiness", "drill-sink"],
        "args": [*args, "--control", str(control)], "ports": [{"name": "control", "containerPort": control}],
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}  # fmt: skip


class Processes:
    """Implements Stage. `refusals` are answered instead of creating a pod of that name."""

    def __init__(self, port: int, refusals: dict[str, Problem] | None = None) -> None:
        self._port = port
        self._refusals = refusals or {}
        self._events: asyncio.Queue[tuple[str, Manifest]] = asyncio.Queue()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.made: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder = tempfile.TemporaryDirectory()
        self._logs = Path(self._folder.name)
        self.cleared = False

    async def workload(self, api_version: str, kind: str, name: str) -> Manifest | Problem:
        return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}

    async def config(self, name: str) -> Manifest | Problem:
        return Problem("NotFound", f"configmaps {name!r} not found")

    async def create(self, manifest: Manifest) -> Manifest | Problem:
        name = manifest["metadata"]["name"]
        if name in self._refusals:
            return self._refusals[name]
        container = manifest["spec"]["containers"][0]
        command = container["command"]
        with (self._logs / name).open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                *command, *container.get("args", [str(self._port)]), stdout=written, stderr=written,
                env=os.environ | {each["name"]: each["value"] for each in container.get("env", ())},
            )  # fmt: skip
        self._running[name] = process
        self.made.append(name)
        self._spawn(self._live(manifest, process))
        return manifest

    async def _live(self, manifest: Manifest, process: asyncio.subprocess.Process) -> None:
        self._tell(manifest, state={"running": {"startedAt": _stamp()}})
        ready, began = self._spawn(self._ready(manifest)), _stamp()
        code = await process.wait()
        ready.cancel()
        ended = {"exitCode": code if code >= 0 else 128 - code, "finishedAt": _stamp(), "startedAt": began}  # fmt: skip
        self._tell(manifest, state={"terminated": ended | {"reason": "Error" if code else "Completed"}})  # fmt: skip
        self._events.put_nowait(("DELETED", self._pod(manifest, {"terminated": ended})))

    async def _ready(self, manifest: Manifest) -> None:
        env = {e["name"]: e["value"] for e in manifest["spec"]["containers"][0].get("env", ())}
        port = int(env.get("PORT", self._port))
        while True:
            try:
                _, writer = await asyncio.open_connection(_address(manifest), port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.02)
        self._tell(manifest, state={"running": {}}, ready=True)

    async def end(self, pod: Manifest) -> Problem | None:
        process, spec = self._running[pod["metadata"]["name"]], pod["spec"]
        hook = pre_stop_seconds(spec["containers"][0]) or 0.0
        self._spawn(_after(hook, process, signal.SIGTERM))
        self._spawn(_after(spec["terminationGracePeriodSeconds"], process, signal.SIGKILL))
        return None

    async def signal(
        self, pod: Manifest, container: str, name: str, accepted: Any
    ) -> Problem | None:
        accepted()
        send(self._running[pod["metadata"]["name"]], signal.Signals[f"SIG{name}"])
        return None

    async def log(self, pod: Manifest, container: str) -> str | Problem:
        return (self._logs / pod["metadata"]["name"]).read_text(errors="replace")

    async def meter(self, pod: Manifest, container: str, every: float) -> AsyncIterator[str]:
        clone = self._running[pod["metadata"]["name"]]
        words = (
            "-m",
            "readiness",
            "drill-meter",
            "--process",
            str(clone.pid),
            "--every",
            str(every),
        )
        meter = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT / "operator")},
        )  # fmt: skip
        assert meter.stdout is not None
        try:
            async for line in meter.stdout:
                yield alone(line.decode())
        finally:
            if meter.returncode is None:
                meter.kill()
            await meter.wait()

    async def follow(self) -> AsyncIterator[tuple[str, Manifest]]:
        while True:
            yield await self._events.get()

    async def clear(self) -> None:
        for process in self._running.values():
            send(process, signal.SIGKILL)
            await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.cleanup()
        self.cleared = True

    def _tell(self, manifest: Manifest, state: Manifest, *, ready: bool = False) -> None:
        self._events.put_nowait(("MODIFIED", self._pod(manifest, state, ready=ready)))

    def _pod(self, manifest: Manifest, state: Manifest, *, ready: bool = False) -> Manifest:
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        container = manifest["spec"]["containers"][0]
        statuses = [{"name": container["name"], "state": state, "imageID": container.get("image", "")}]  # fmt: skip
        return manifest | {
            "status": {
                "podIP": _address(manifest),
                "conditions": conditions,
                "containerStatuses": statuses,
            }
        }

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _after(seconds: float, process: asyncio.subprocess.Process, number: int) -> None:
    """A signal, as the kubelet sends it: both its waits begin with the deletion."""
    await asyncio.sleep(seconds)
    send(process, number)


def send(process: asyncio.subprocess.Process, number: int) -> None:
    """A signal, if it is still there. Not by its own method: that takes the exit code away from who waits for it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _address(manifest: Manifest) -> str:
    """Where its process listens."""
    env = {e["name"]: e["value"] for e in manifest["spec"]["containers"][0].get("env", ()) if "value" in e}  # fmt: skip
    return str(env.get("ADDRESS", "127.0.0.1"))


def _stamp() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")

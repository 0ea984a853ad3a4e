"""What stands in for API server, kubelet and StatefulSet controller: an evicted pod ends as its grace says, and comes again."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter

from readiness.model import Manifest
from readiness.timeline import Problem

from .rig import Pod, Rig

LEAST_GRACE = 2.0
"""The kubelet gives a container that long between SIGTERM and SIGKILL, however short the grace."""


class Kubelet:
    """Implements Hands. `again` is how long a pod takes to be scheduled and started anew."""

    def __init__(self, rig: Rig, again: float = 1.0) -> None:
        self._rig, self._again = rig, again
        self._born: Counter[str] = Counter()
        self._ending: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.evicted: list[tuple[str, int | None]] = []

    async def pod(self, name: str) -> Manifest | Problem:
        pod = self._rig.pods[name]
        if pod.server is None or (pod.server.poll() is not None and name not in self._ending):
            return Problem("NotFound", f'pods "{name}" not found')
        gone = {"deletionTimestamp": "now"} if name in self._ending else {}
        return {"metadata": {"name": name, "uid": f"{name}/{self._born[name]}", **gone}}

    async def evict(self, pod: Manifest, grace: int | None) -> Problem | None:
        name = pod["metadata"]["name"]
        if pod["metadata"]["uid"] != f"{name}/{self._born[name]}":
            return Problem("Denied", "the UID in the precondition does not match")
        self.evicted.append((name, grace))
        self._ending.add(name)
        task = asyncio.create_task(self._replace(self._rig.pods[name], grace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None

    async def settle(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _replace(self, pod: Pod, grace: int | None) -> None:
        await asyncio.to_thread(end, pod, grace)
        self._ending.discard(pod.name)
        await asyncio.sleep(self._again)
        self._born[pod.name] += 1
        pod.start()


def end(pod: Pod, grace: int | None) -> None:
    if grace is None:
        pod.terminate()
        return
    assert pod.server
    hook = pod.container["lifecycle"]["preStop"]["exec"]["command"]
    running = subprocess.Popen(pod._inside(hook), env=pod._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    time.sleep(grace)
    pod.server.terminate()
    try:
        pod.server.wait(LEAST_GRACE)
    except subprocess.TimeoutExpired:
        pod.kill()
    running.kill()  # it ends with its container
    running.wait()

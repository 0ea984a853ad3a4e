"""A controller under test as a process: started with its own identity, measured by the kernel's books."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from plane import ROOT, Plane

from localcluster import build
from localcluster.run import run
from localcluster.state import free_ports

SOURCES: Final = Path(__file__).resolve().parent / "gobase"
TICK: Final = os.sysconf("SC_CLK_TCK")
MB: Final = 1024.0


@dataclass(frozen=True)
class Contestant:
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """`{port}` stands for the port of its metrics."""
    passes: str
    """The counter of its passes that ended well."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start; resident, proportional and peak memory in MB."""

    cpu: float
    rss: float
    pss: float
    peak: float


class Running:
    """One life of a contestant."""

    def __init__(self, contestant: Contestant, plane: Plane) -> None:
        config = str(plane.identity(contestant.name))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("READINESS_")}
        self._metrics, self._passes = (
            f"http://127.0.0.1:{free_ports(1)[0]}/metrics",
            contestant.passes,
        )
        port = self._metrics.split(":")[-1].split("/")[0]
        given = {"KUBECONFIG": config, "READINESS_KUBECONFIG": config}
        given |= {name: text.format(port=port) for name, text in contestant.environment.items()}
        self.log = plane.cluster.logs / f"{contestant.name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                contestant.command, stdout=log, stderr=log, env=inherited | given, cwd=ROOT
            )

    def usage(self) -> Usage:
        here = Path(f"/proc/{self._process.pid}")
        if self._process.poll() is not None:
            raise SystemExit(
                f"the controller ended by itself; see {self.log}:\n{self.log.read_text()[-2000:]}"
            )
        times = (here / "stat").read_text().rsplit(") ", 1)[1].split()
        status, rollup = (here / "status").read_text(), (here / "smaps_rollup").read_text()

        def megabytes(field: str, text: str) -> float:
            found = re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)
            return int(found[1]) / MB if found else 0.0

        cpu = (int(times[11]) + int(times[12])) / TICK
        return Usage(
            cpu, megabytes("VmRSS", status), megabytes("Pss", rollup), megabytes("VmHWM", status)
        )

    async def looked(self) -> int:
        """How many passes ended well in this life; 0 while it does not answer yet."""
        try:
            async with aiohttp.ClientSession() as session, session.get(self._metrics) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return 0
        return int(sum(map(float, re.findall(rf"^{self._passes} (\S+)$", text, re.MULTILINE))))

    async def judged(self, count: int, seconds: float = 300.0) -> Usage:
        """Its usage, once it has made `count` passes and come to rest."""
        async with asyncio.timeout(seconds):
            while await self.looked() < count:  # noqa: ASYNC110 -- asked over HTTP
                await asyncio.sleep(0.25)
        return await self.quiet(1.0)

    async def quiet(self, least: float = 3.0, share: float = 0.03) -> Usage:
        """Its usage, once it has needed next to no CPU for a second and lived `least` seconds."""
        await asyncio.sleep(least)
        before = self.usage()
        while True:
            await asyncio.sleep(1.0)
            now = self.usage()
            if now.cpu - before.cpu <= share:
                return now
            before = now

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def operator() -> Contestant:
    """The operator as a user runs it, measured with the interpreter that runs this."""
    environment = {
        "PYTHONPATH": str(ROOT / "operator"),
        "READINESS_HTTP_HOST": "127.0.0.1",
        "READINESS_HTTP_PORT": "{port}",
    }
    command = (sys.executable, "-m", "readiness", "run")
    return Contestant(
        "operator", command, environment, r'readiness_reconcile_total\{result="success"\}'
    )


def gobase() -> Contestant:
    """The yardstick, built into the cache by the content of its sources."""
    go = build.find_go()
    version = run(go, "env", "GOVERSION").strip()
    digest = hashlib.sha256(version.encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    binary = build.cache_root() / "bin" / f"gobase-{digest.hexdigest()[:16]}" / "gobase"
    if not binary.exists():
        print("building gobase (3 minutes when cold)", file=sys.stderr, flush=True)
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
        partial = binary.with_suffix(".partial")
        command = [
            str(go),
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            "-s -w",
            "-o",
            str(partial),
            ".",
        ]
        subprocess.run(command, cwd=SOURCES, check=True, env=environment)
        partial.rename(binary)
    passes = r'controller_runtime_reconcile_total\{controller="readinesspolicy",result="(?:success|requeue_after)"\}'
    return Contestant("gobase", (str(binary),), {"METRICS_ADDRESS": "127.0.0.1:{port}"}, passes)

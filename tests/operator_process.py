"""The operator as a process of its own, as it runs in a pod: started, watched, stopped, killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

START = (
    "import asyncio, os, sys\n"
    "from readiness.run import run_operator\n"
    "from readiness.settings import Settings\n"
    "sys.exit(asyncio.run(run_operator(Settings.read(os.environ))))\n"
)
SOURCE = Path(__file__).resolve().parents[1] / "operator"


class OperatorProcess:
    """`with OperatorProcess(kubeconfig, log) as operator`: ready inside, stopped after.

    `settings` are names without READINESS_.
    """

    def __init__(self, kubeconfig: Path, log: Path, *, ready: bool = True, **settings: Any) -> None:
        own = {f"READINESS_{name.upper()}": str(value) for name, value in settings.items()}
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "READINESS_KUBECONFIG": str(kubeconfig),
            "READINESS_HTTP_HOST": "127.0.0.1",
            "READINESS_HTTP_PORT": "0",
            "READINESS_OPERATOR_NAMESPACE": "default",
            **own,
        }
        self._ready, self.log = ready, log

    def __enter__(self) -> OperatorProcess:
        self._file = self.log.open("ab")
        self._start = self._file.tell()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START], env=self._env, stderr=self._file, stdout=self._file
        )
        self.port = int(self.until(lambda: re.search(r"health on port (\d+)", self.text()))[1])
        if self._ready:
            self.until(lambda: "work begins" in self.text())
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        self._file.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        """What this run has logged so far."""
        return self.log.read_bytes()[self._start :].decode()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal and waits for the end: exit code and seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not stop:\n{self.text()[-3000:]}") from None
        return code, time.monotonic() - began

    def page(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=20
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Sum of a metric's samples whose line begins with `name`."""
        lines = (x for x in self.page("/metrics")[1].splitlines() if x.startswith(name))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        """What `condition` returns when it is true."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, f"it ended:\n{self.text()[-3000:]}"
            assert time.monotonic() < deadline, f"not in time:\n{self.text()[-3000:]}"
            time.sleep(0.05)
        return found

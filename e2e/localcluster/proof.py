"""What the proofs have in common: waiting, and asking a pod what it can reach."""

import time
from collections.abc import Callable

from localcluster.fixtures import Running


def eventually(what: str, check: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def run_python(apps: Running, pod: str, code: str) -> tuple[int, str]:
    where, _, name = pod.partition("/")
    done = apps.try_kubectl("-n", where, "exec", name, "--", "python3", "-c", code)
    return done.returncode, done.stdout + done.stderr


def reaches(apps: Running, pod: str, host: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
    return run_python(apps, pod, code)[0] == 0

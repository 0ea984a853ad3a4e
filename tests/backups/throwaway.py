"""Throw-away servers as real programs that run the very scripts of a drill's sidecar."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import image
import readiness
from localcluster import images
from sandbox import rootfs

SCRIPTS = Path(readiness.__file__).parent / "dataservices" / "restore"


def install_redis(folder: Path) -> None:
    """Debian's redis-server in a directory of the PATH."""
    install(folder, "redis-server", rootfs(images.debian_layer(image.SUITE, ("redis-server",))))


def install(folder: Path, name: str, root: Path) -> None:
    """A program of an image in a directory of the PATH, with the libraries that it was built for."""
    loader, libraries = next(root.glob("lib64/ld-linux*")), next(root.glob("usr/lib/*-linux-gnu"))
    words = (loader, "--library-path", libraries, root / "usr/bin" / name)
    program = folder / name
    folder.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    program.chmod(0o755)


@contextmanager
def running(words: list[str], at: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """What is typed. Everything it started ends with it."""
    process = subprocess.Popen(words, cwd=at, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def serving(script: str, directory: Path, port: int, programs: Path) -> Iterator[subprocess.Popen[bytes]]:  # fmt: skip
    """The sidecar: a script, its directory and its port. Everything it started ends with it."""
    environ = {"PATH": f"{programs}:/usr/bin:/bin"}
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", script, "sidecar", str(directory), str(port)],
            env=environ, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

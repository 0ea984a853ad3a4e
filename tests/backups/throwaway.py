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

ENTER = """
image=$1 shared=$2 here=$PWD
shift 2
mkdir -p "$shared/.root"
mount -t tmpfs tmpfs "$shared/.root"
cd "$shared/.root"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$image,upperdir=upper,workdir=work" root
mount -t proc proc root/proc
mount --bind /dev root/dev
mount -t tmpfs tmpfs root/tmp
mkdir -p "root$shared"
mount --bind "$shared" "root$shared"
exec /usr/sbin/chroot root env PATH=/usr/lib/rabbitmq/bin:/usr/bin:/bin sh -c 'cd "$0"; exec "$@"' "$here" "$@"
"""


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


def install_rabbitmq(folder: Path, shared: Path) -> None:
    """Debian's RabbitMQ in a directory of the PATH: each program in its own root file system, which sees `shared` besides."""
    root = rootfs(images.debian_layer(image.SUITE, ("rabbitmq-server",)))
    folder.mkdir(exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        words = shlex.join(map(str, ("enter", root, shared, name)))
        apart = "unshare --mount --pid --fork --kill-child --propagation private"
        (folder / name).write_text(f'#!/bin/sh\nexec {apart} sh -ec {shlex.quote(ENTER)} {words} "$@"\n')  # fmt: skip
        (folder / name).chmod(0o755)


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

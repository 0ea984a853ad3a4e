"""restic and an S3 server as real programs, built from the packages that the images are made of."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import image
import recipes
from localcluster import images
from sandbox import rootfs

KEYS = {"AWS_ACCESS_KEY_ID": "writer", "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test"}


@cache
def restic() -> Path:
    """The very program of the operator's image."""
    return rootfs(images.debian_layer(image.SUITE, ("restic",))) / "usr/bin/restic"


@cache
def gateway() -> Path:
    return rootfs(recipes.go_layer("e2e/strangers/go/versitygw")) / "usr/bin/versitygw"


@dataclass
class S3:
    """A server of buckets, each a directory of `root`."""

    root: Path
    port: int
    flags: tuple[str, ...] = ()
    keys: Mapping[str, str] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        keys = self.keys or KEYS
        names = {"ROOT_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"]}  # fmt: skip
        command = [
            gateway(),
            f"--port=127.0.0.1:{self.port}",
            "--quiet",
            *self.flags,
            "posix",
            self.root,
        ]
        server = subprocess.Popen(command, env={**os.environ, **names}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            until_open(self.port)
            yield
        finally:
            server.kill()
            server.wait()


def until_open(port: int) -> None:
    for _ in range(200):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

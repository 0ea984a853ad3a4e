"""MongoDB's programs for tests of its backups: those of the image mongo:8 where it can be had, and a stand-in everywhere.

The stand-in has the vendor's own mongosh, mongodump and mongorestore; only its mongod is another's (FerretDB). What that
cannot: no users, no oplog to be replayed, no views and no time series.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import programs
import pytest

import image
import recipes
from clusters import ENGINES, answers, pull, quiet
from localcluster import build, images
from localcluster.state import locked
from mongo_rig import IMAGE, REAL, STANDIN

SERVERS: Final = (pytest.param(STANDIN), pytest.param(REAL, marks=pytest.mark.needs_mongod))
NAMES: Final = ("mongod", "mongodump", "mongorestore", "mongosh")
SHELL: Final = "usr/lib/node_modules/mongosh/bin/mongosh.js"
FRONT: Final = Path(recipes.__file__).parent / "standin" / "front.py"
MOUNTED: Final = ("scripts", "backup", "passwords", "tmp", "proc", "dev")
PASSWORD: Final = "canary-of-the-backup-user"


@cache
def root(kind: str) -> Path:
    """The files of an image that has all of `NAMES`. Skips where there is no mongod."""
    if kind == STANDIN:
        return _standin()
    engine = next(filter(answers, ENGINES), "")
    if not engine or not (quiet(engine, "image", "inspect", IMAGE) or pull(engine, IMAGE)):
        pytest.skip(f"needs_mongod: no container engine has the image {IMAGE}")
    return _unpacked(f"mongo-{IMAGE.replace('/', '-').replace(':', '-')}", lambda to: _export(engine, to))  # fmt: skip


def install(kind: str, folder: Path) -> Path:
    """All of them in a directory of the PATH. The shell of the stand-in runs on this machine's node, which npm has built it with."""
    files = root(kind)
    loader, libraries = next(files.glob("lib64/ld-linux*")), next(files.glob("usr/lib/*-linux-gnu"))
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        words: list[object] = [files / "usr/bin" / name]
        if name == "mongosh" and kind == STANDIN:
            words = [shutil.which("node"), files / SHELL]
        elif name != "mongosh" and kind == REAL:
            words = [loader, "--library-path", libraries, *words]
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@contextmanager
def serving(where: Path, place: Path) -> Iterator[int]:
    """A server of documents without users; `where` are the programs. Its port."""
    place.mkdir()
    port = programs.free_port()
    words = [where / "mongod", f"--dbpath={place}", f"--port={port}", "--bind_ip=127.0.0.1"]
    with _running(words, place.with_suffix(".log")):
        programs.until_open(port)
        yield port


@contextmanager
def fronted(backend: int, log: Path, *members: Sequence[str]) -> Iterator[list[int]]:
    """Members of a set before a server of documents, each with its flags. Their ports."""
    with ExitStack() as stack:
        ports = []
        for flags in members:
            ports.append(programs.free_port())
            words = [sys.executable, FRONT, f"--port={ports[-1]}", f"--backend={backend}", f"--password={PASSWORD}", *flags]  # fmt: skip
            stack.enter_context(_running(words, log))
            programs.until_open(ports[-1])
        yield ports


@contextmanager
def _running(words: Sequence[object], log: Path) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen([*map(str, words)], stdout=file, stderr=file)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _standin() -> Path:
    layers = [
        images.debian_layer(image.SUITE, ("nodejs",)),
        recipes.node_layer("e2e/mongo/mongosh"),
        *(recipes.go_layer(f"e2e/mongo/{name}") for name in ("mongod", "mongodump", "mongorestore")),
    ]  # fmt: skip

    def fill(to: Path) -> None:
        for layer in layers:
            with tarfile.open(layer.path) as tar:
                tar.extractall(to, filter="fully_trusted")
            for name in ("mongodump", "mongorestore"):  # Go names a program after its package
                if name in layer.path.name:
                    (to / "usr/bin/main").rename(to / "usr/bin" / name)
        shell = to / "usr/bin/mongosh"
        shell.write_text(f'#!/bin/sh\nexec node /{SHELL} "$@"\n')
        shell.chmod(0o755)

    return _unpacked("mongo-" + "-".join(layer.path.stem[-6:] for layer in layers), fill)


def _export(engine: str, to: Path) -> None:
    made = subprocess.run([engine, "create", IMAGE], check=True, capture_output=True, text=True)
    name = made.stdout.strip()
    tar = to.with_suffix(".tar")
    subprocess.run([engine, "export", "-o", str(tar), name], check=True, capture_output=True)
    subprocess.run([engine, "rm", name], check=True, capture_output=True)
    with tarfile.open(tar) as opened:
        opened.extractall(to, filter="fully_trusted")
    tar.unlink()


def _unpacked(name: str, fill: Callable[[Path], None]) -> Path:
    to = build.cache_root() / "roots" / name
    to.parent.mkdir(parents=True, exist_ok=True)
    with locked(to.with_suffix(".lock")):
        if not to.exists():
            partial = to.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            fill(partial)
            for each in MOUNTED:
                (partial / each).mkdir(exist_ok=True)
            (partial / "etc/hosts").touch()
            partial.rename(to)
    return to

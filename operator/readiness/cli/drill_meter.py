"""`readiness drill-meter`: what a clone's container uses, read from beside it. Not for people.

It shares the container's processes and nothing else: through /proc/<pid>/root it sees the control
group that the container itself sees, which takes the same user, group and capabilities.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from readiness.cli.console import Console, parser
from readiness.drills.cgroup import V1, V2, sample_of
from readiness.drills.metering import dump_obstacle, dump_sample

PROC: Final = Path("/proc")
CONTAINER: Final = 1
GROUPS: Final = "sys/fs/cgroup"
LEAST: Final = 0.05


class UnreadableError(Exception):
    """A control group that cannot be read, or is not that of the container."""


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Whose container, and how often."""
    found = parser(prog, text, "Only for containers that share a clone's processes.")
    found.add_argument("--process", type=int, default=1, help="one of the container's")
    found.add_argument("--every", type=float, default=1.0, help="seconds between two samples")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """A line per sample until the process has ended."""
    # the kernel ends it with process 1 of the container, whose last seconds count most
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    process = PROC / str(args.process)
    files: tuple[tuple[str, Path], ...] = ()
    try:
        files = tuple(find_files(process))
    except (OSError, UnreadableError) as error:
        console.write(dump_obstacle(f"its control group cannot be read: {_words(error)}") + "\n")
    while process.exists():
        pids = [str(args.process)] if args.process != CONTAINER else _others()
        sample = sample_of(
            time.time(), read_files(files),
            [_read(PROC / pid / "status") for pid in pids],
            [_read(path) for pid in pids for path in (PROC / pid).glob("task/*/schedstat")],
        )  # fmt: skip
        console.write(dump_sample(sample) + "\n")
        console.stdout.flush()
        time.sleep(max(LEAST, args.every))
    return 0


def find_files(process: Path) -> Iterator[tuple[str, Path]]:
    """The files of a process' control group by their names in V1 or V2, seen through its own eyes."""
    root = process / "root" / GROUPS
    own = dict(_memberships((process / "cgroup").read_text()))
    next(root.iterdir(), None)  # where it may not look, this says so
    if (root / "cgroup.controllers").exists():
        group = _group(root, own.get("", ""), process.name)
        yield from ((name, group / name) for name in V2)
        return
    for name in V1:
        controller, _, file = name.partition("/")
        yield name, _group(root / controller, own.get(controller, ""), process.name) / file


def read_files(files: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """Their texts; what a kernel does not have, or does not let us read, is left out."""
    return {name: text for name, path in files if (text := _read(path))}


def _group(root: Path, own: str, process: str) -> Path:
    """A container sees its own group as the root; elsewhere its path leads to it. Proven by its member."""
    for group in (root / own.lstrip("/"), root):
        members = _read(group / "cgroup.procs") if ".." not in own or group == root else ""
        if process in members.split():
            return group
    if not root.exists():
        raise UnreadableError(f"/{GROUPS} is not there")
    raise UnreadableError("what the container sees is not its own")


def _memberships(told: str) -> Iterator[tuple[str, str]]:
    """(controller, path) of the lines of /proc/<pid>/cgroup; version 2 has no controller."""
    for line in told.splitlines():
        _, controllers, path = line.split(":", 2)
        yield from ((controller, path) for controller in controllers.split(","))


def _others() -> list[str]:
    return [each.name for each in PROC.glob("[0-9]*") if each.name != str(os.getpid())]


def _read(path: Path) -> str:
    """Its text; nothing when it is gone, or not for us."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _words(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)

"""`readiness drill-meter`: which files are a container's own, and what a real process uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from readiness.cli.drill_meter import UnreadableError, find_files
from readiness.drills.cgroup import V1, V2
from readiness.drills.metering import read_line
from readiness.timeline import Sample

GROW = """
import sys
print(flush=True)
sys.stdin.readline()
kept = b"x" * (40 << 20)
print(flush=True)
sys.stdin.readline()
"""
MI = 1024 * 1024


def world(root: Path, groups: dict[str, str], members: dict[str, str]) -> Path:
    """/proc/7 of a process with these lines in cgroup, which sees these cgroup.procs."""
    process = root / "7"
    for path, procs in members.items():
        group = process / "root/sys/fs/cgroup" / path
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text(procs)
    lines = [f"{n}:{controllers}:{path}" for n, (controllers, path) in enumerate(groups.items())]
    (process / "cgroup").write_text("\n".join(lines) + "\n")
    return process


def found(process: Path) -> set[str]:
    root = process / "root/sys/fs/cgroup"
    return {str(path.parent.relative_to(root)) for _, path in find_files(process)}


@pytest.mark.parametrize(
    ("groups", "members", "expected"),
    [
        ({"cpu,cpuacct": "/pod/a", "memory": "/pod/a"}, {"cpu": "1\n7\n", "memory": "7\n"}, {"cpu", "memory"}),
        ({"cpu": "/pod/a", "memory": "/pod/b"}, {"cpu": "1\n", "cpu/pod/a": "7\n", "memory/pod/b": "7\n"}, {"cpu/pod/a", "memory/pod/b"}),
    ],
    ids=["its own group is the root", "the path leads to it"],
)  # fmt: skip
def test_files_of_version_1(tmp_path, groups, members, expected):
    process = world(tmp_path, groups, members)

    assert found(process) == expected
    assert [name for name, _ in find_files(process)] == list(V1)


@pytest.mark.parametrize(
    ("path", "members", "expected"),
    [
        ("/", {".": "7\n"}, {"."}),
        ("/../other", {".": "7\n"}, {"."}),
        ("/system/it", {".": "1\n", "system/it": "7\n"}, {"system/it"}),
    ],
    ids=["its own group is the root", "seen from another container", "the path leads to it"],
)
def test_files_of_version_2(tmp_path, path, members, expected):
    process = world(tmp_path, {"": path}, members)
    (process / "root/sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")

    assert found(process) == expected
    assert [name for name, _ in find_files(process)] == list(V2)


@pytest.mark.parametrize(
    ("groups", "members", "words"),
    [
        ({"cpu": "/a", "memory": "/a"}, {"cpu": "1\n", "memory": "1\n"}, "not its own"),
        ({"cpu": "/a", "memory": "/a"}, {"cpu": "7\n"}, "not there"),
    ],
    ids=["somebody else's", "no memory controller"],
)
def test_what_is_not_proven_to_be_its_own_is_not_read(tmp_path, groups, members, words):
    with pytest.raises(UnreadableError, match=words):
        found(world(tmp_path, groups, members))


def test_a_real_process_that_grows_is_seen_to_grow():
    child = subprocess.Popen([sys.executable, "-c", GROW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    command = (sys.executable, "-m", "readiness", "drill-meter", "--process", str(child.pid), "--every", "0.1")  # fmt: skip
    meter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert meter.stdout is not None
    before = next(told for line in meter.stdout if isinstance(told := read_line(line, 0.0), Sample))
    child.stdin.write("\n")
    child.stdin.flush()
    child.stdout.readline()
    lines = (meter.stdout.readline() for _ in range(100))
    told = (found for line in lines if isinstance(found := read_line(line, 0.0), Sample))
    after = next((found for found in told if found.rss > before.rss + 38 * MI), before)
    child.communicate()  # its input is closed: it ends
    rest = meter.communicate(timeout=10)[0]

    assert 38 * MI < after.rss - before.rss < 44 * MI
    assert after.waited >= before.waited >= 0
    assert meter.returncode == 0, f"it ends with the process: {rest}"

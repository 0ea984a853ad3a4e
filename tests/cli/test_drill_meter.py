"""`readiness drill-meter`: which files are a container's own, and what a real process uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from readiness.cli.drill_meter import UnreadableError, find_files, read_files
from readiness.drills.cgroup import V1, V2, sample_of
from readiness.drills.metering import read_line
from readiness.timeline import NEVER, Sample

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


ONE = {
    "cpu/cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_time 2750000000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.stat": "total_cache 64000000\ntotal_rss 10485760\ntotal_shmem 2097152\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/memory.max_usage_in_bytes": "900000000\n",
}
TWO = {
    "cgroup.controllers": "cpu memory\n",
    "cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 30\nthrottled_usec 2750000\n",
    "cpu.max": "5000 50000\n",
    "cpu.pressure": "some avg10=1.2 avg60=1.4 avg300=9.7 total=12500000\n",
    "memory.stat": "anon 10485760\nfile 64000000\nshmem 2097152\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\n",
    "memory.current": "80000000\n",
    "memory.peak": "900000000\n",
}
BESIDE = {"unified/cgroup.controllers": "\n", "unified/cgroup.procs": "7\n", "unified/cpu.pressure": TWO["cpu.pressure"]}  # fmt: skip
GROUPS1, GROUPS2 = {"cpu,cpuacct": "/", "memory": "/"}, {"": "/"}
MEMBERS1, MEMBERS2 = {"cpu": "7\n", "memory": "7\n"}, {".": "7\n"}


def without(files: dict[str, str], *names: str) -> dict[str, str]:
    return {name: text for name, text in files.items() if name not in names}


@pytest.mark.parametrize(
    ("groups", "members", "files", "expected"),
    [
        (GROUPS1, MEMBERS1, ONE, (12 * MI, 3.0, NEVER, 2)),
        (GROUPS2, MEMBERS2, TWO, (12 * MI, 1.5, 15.25, 2)),
        (GROUPS1 | {"": "/"}, MEMBERS1, ONE | BESIDE, (12 * MI, 3.0, NEVER, 2)),
        (GROUPS2, MEMBERS2, without(TWO, "memory.peak"), (12 * MI, 1.5, 15.25, 2)),
        (GROUPS2, MEMBERS2, without(TWO, "cpu.pressure"), (12 * MI, 1.5, NEVER, 2)),
        (GROUPS2, MEMBERS2, without(TWO, "memory.events", "cpu.max"), (12 * MI, 3.0, 15.25, -1)),
        (GROUPS2, MEMBERS2, without(TWO, "memory.stat", "memory.events"), (-1, 1.5, 15.25, -1)),
        (GROUPS2, MEMBERS2, without(TWO, "cpu.stat"), (12 * MI, NEVER, 12.5, 2)),
        (GROUPS2, MEMBERS2, {"cgroup.controllers": "\n"}, (-1, NEVER, NEVER, -1)),
        (GROUPS1, MEMBERS1, without(ONE, "memory/memory.stat"), (-1, 3.0, NEVER, 2)),
        (GROUPS1, MEMBERS1, without(ONE, "memory/memory.oom_control"), (12 * MI, 3.0, NEVER, -1)),
        (GROUPS1, MEMBERS1, {}, (-1, NEVER, NEVER, -1)),
    ],
    ids=[
        "version 1", "version 2", "both, with the controllers in version 1", "no memory.peak", "no pressure", "no events and no quota",
        "no memory controller", "no cpu.stat", "no controller at all", "version 1, no memory.stat", "version 1, no oom_control", "version 1, nothing",
    ],
)  # fmt: skip
def test_what_is_read_of_a_tree(tmp_path, groups, members, files, expected):
    """Memory in bytes, seconds held back, seconds waited, processes killed: what a tree does not tell is not measured."""
    process = world(tmp_path, groups, members)
    for name, text in files.items():
        path = process / "root/sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seen = sample_of(0.0, read_files(find_files(process)), [], [])

    assert (seen.memory, round(seen.held, 6), round(seen.waited, 6), seen.killed) == expected


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

"""What a container uses, from the files in which the kernel tells it: control groups of version 1 and 2, and /proc.

Texts in, one Sample out. Where the files are, and who may read them, is not known here; a file that
is not there leaves its part NEVER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from readiness.timeline import NEVER, Sample

V1: Final = (
    "cpu/cpu.stat", "cpu/cpu.cfs_period_us", "memory/memory.stat", "memory/memory.oom_control",
)  # fmt: skip
V2: Final = ("cpu.stat", "cpu.max", "cpu.pressure", "memory.stat", "memory.events")
PERIOD: Final = 0.1
"""Seconds between two refills of a CPU quota, where the files do not tell."""
_MICRO, _NANO, _KIB = 1e-6, 1e-9, 1024


def sample_of(
    at: float, files: Mapping[str, str], statuses: Iterable[str], schedules: Iterable[str]
) -> Sample:
    """One sample of a control group's files, /proc/*/status and /proc/*/task/*/schedstat.

    Time spent waiting for a CPU is told by pressure, which remembers threads that have ended; where
    the kernel does not tell it, by the threads that are there. A quota's time comes on top.
    """
    version2 = files.keys().isdisjoint(V1)
    held, throttled = _cpu_v2(files) if version2 else _cpu_v1(files)
    queued = max(_pressure(files.get("cpu.pressure", "")), _queued(schedules))
    return Sample(
        at,
        memory=_memory(files.get("memory.stat", ""), "anon", "shmem")
        if version2
        else _memory(files.get("memory/memory.stat", ""), "total_rss", "total_shmem"),
        rss=_resident(statuses),
        held=held,
        waited=queued if queued == NEVER else queued + max(0.0, throttled),
        killed=_field(files.get("memory.events" if version2 else "memory/memory.oom_control", ""), "oom_kill"),
    )  # fmt: skip


def _cpu_v2(files: Mapping[str, str]) -> tuple[float, float]:
    """(length of all periods with a throttle, time throttled). Without the controller there is neither."""
    stat, told = files.get("cpu.stat", ""), files.get("cpu.max", "").split()
    period = int(told[1]) * _MICRO if len(told) > 1 else PERIOD
    return _seconds(_field(stat, "nr_throttled"), period), _seconds(_field(stat, "throttled_usec"), _MICRO)  # fmt: skip


def _cpu_v1(files: Mapping[str, str]) -> tuple[float, float]:
    stat, told = files.get("cpu/cpu.stat", ""), files.get("cpu/cpu.cfs_period_us", "").strip()
    period = int(told) * _MICRO if told else PERIOD
    return _seconds(_field(stat, "nr_throttled"), period), _seconds(_field(stat, "throttled_time"), _NANO)  # fmt: skip


def _seconds(count: int, unit: float) -> float:
    return NEVER if count < 0 else count * unit


def _memory(stat: str, *fields: str) -> int:
    """What cannot be dropped. Kernel memory is left out: socket buffers are the clients' doing."""
    found = [_field(stat, name) for name in fields]
    return -1 if min(found) < 0 else sum(found)


def _pressure(told: str) -> float:
    for line in told.splitlines():
        word, _, rest = line.partition(" ")
        if word == "some":
            return int(rest.rpartition("total=")[2]) * _MICRO
    return NEVER


def _queued(schedules: Iterable[str]) -> float:
    """Threads' time on the run queue: the second number of each."""
    found = [int(words[1]) for told in schedules if len(words := told.split()) > 1]
    return sum(found) * _NANO if found else NEVER


def _resident(statuses: Iterable[str]) -> int:
    """What processes have touched that no file holds."""
    found = list(_anonymous(statuses))
    return sum(found) if found else -1


def _anonymous(statuses: Iterable[str]) -> Iterator[int]:
    for status in statuses:
        parts = [_field(status, name) for name in ("RssAnon:", "RssShmem:")]
        if min(parts) >= 0:  # a zombie has none
            yield sum(parts) * _KIB


def _field(text: str, name: str) -> int:
    """The number after a name at the beginning of a line; -1 for none."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return -1

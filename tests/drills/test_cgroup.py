"""What a container uses, from files as kernels write them, both versions of control groups."""

from __future__ import annotations

import pytest

from readiness.drills.cgroup import sample_of
from readiness.timeline import NEVER, Sample

MI = 1024 * 1024
# As a container under containerd sees its own group: version 1 of a kernel 6.18, version 2 as the kernel's
# admin-guide/cgroup-v2 describes it, shortened.
V1 = {
    "cpu/cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_time 2750000000\nnr_bursts 0\nburst_time 0\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.stat": "cache 10203136\nrss 17063936\nrss_huge 0\nshmem 9084928\ntotal_cache 64000000\n"
    "total_rss 10485760\ntotal_rss_huge 0\ntotal_shmem 2097152\ntotal_mapped_file 1\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
}  # fmt: skip
V2 = {
    "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 40\nnr_throttled 30\nthrottled_usec 2750000\n",
    "cpu.max": "5000 50000\n",
    "cpu.pressure": "some avg10=11.25 avg60=11.40 avg300=9.71 total=12500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.stat": "anon 10485760\nfile 64000000\nkernel 524288\nsock 8388608\nshmem 2097152\nfile_mapped 1\nanon_thp 0\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 0\n",
}  # fmt: skip
STATUS = "Name:\tnode\nVmHWM:\t  90000 kB\nVmRSS:\t  60000 kB\nRssAnon:\t  10240 kB\nRssFile:\t  40000 kB\nRssShmem:\t  1024 kB\n"
ZOMBIE = "Name:\tsh\nState:\tZ (zombie)\n"
SCHEDULES = ["677846000 500000000 31\n", "1000 2500000000 2\n"]


def rounded(sample: Sample) -> tuple[float, ...]:
    return (sample.at, sample.memory, sample.rss, round(sample.held, 6), round(sample.waited, 6), sample.killed)  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V1, (5.0, 12 * MI, 11 * MI, 3.0, 5.75, 2)),
        (V2, (5.0, 12 * MI, 11 * MI, 1.5, 15.25, 2)),
        ({}, (5.0, -1, 11 * MI, NEVER, 3.0, -1)),
        ({"cpu.max": "max 100000\n", "cpu.stat": V2["cpu.stat"]}, (5.0, -1, 11 * MI, 3.0, 5.75, -1)),
        ({"cpu/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"}, (5.0, -1, 11 * MI, 0.0, 3.0, -1)),
    ],
    ids=["version 1", "version 2", "nothing may be read", "memory may not be read", "a quota that never held back"],
)  # fmt: skip
def test_what_the_kernel_tells(files: dict[str, str], expected: tuple[float, ...]) -> None:
    assert rounded(sample_of(5.0, files, [STATUS, ZOMBIE], SCHEDULES)) == expected


def test_page_cache_does_not_count() -> None:
    cached = V2 | {"memory.stat": V2["memory.stat"].replace("file 64000000", "file 964000000")}

    assert sample_of(0.0, cached, [], []).memory == sample_of(0.0, V2, [], []).memory


def test_what_is_not_told_is_not_nothing() -> None:
    assert sample_of(0.0, {}, [ZOMBIE], []) == Sample(0.0)
    assert sample_of(0.0, {"memory/memory.stat": "total_rss 5\n"}, [], []).memory == -1

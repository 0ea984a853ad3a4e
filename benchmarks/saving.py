#!/usr/bin/env python3
"""A backup as its nightly Job does it, beside the bare tools by hand: one Redis, one S3 server, turn and turn about.

    benchmarks/saving.py [--mib 1024] [--rounds 3] [--quick]

Ours is what the Job's containers run, as they are rendered: `dump` and `save`, and `verify` between them. Bare is
`redis-cli --rdb` from the same replica and `restic backup` of what it wrote. Each turn has a new, empty repository, made before
its clock runs. Nobody who types the two bare commands has read their dump, so throughput is compared without `verify`,
and with it, too: the whole pod. Ratios are medians of the ratios of each turn. Budget: ≥ 0.9 × bare without `verify`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "e2e"), str(ROOT / "tests")]

from backups import mixed  # noqa: E402 -- after the path is set
from backups.nightly import Night, falling  # noqa: E402
from dataservices.redis.orders import PASSWORDS  # noqa: E402

BUDGET = 0.9
STEPS = (("dump",), ("save",), ("dump", "save"), ("dump", "verify", "save"))
Seconds = dict[str, tuple[float, float]]
"""By step: on the clock, and of CPU in the processes that it started; servers' is not in it."""
Turn = Callable[[Night, str], Seconds]


@contextmanager
def timed(into: Seconds, what: str) -> Iterator[None]:
    began, used = time.perf_counter(), _cpu()
    yield
    into[what] = time.perf_counter() - began, _cpu() - used


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(night: Night, repository: str) -> Seconds:
    found: Seconds = {}
    for name, container in night.containers().items():
        with timed(found, name):
            night.run(container)
    with timed(found, "save"):
        outcome = night.save(repository)
    assert outcome.reason == "Saved", outcome
    return found


def bare(night: Night, repository: str) -> Seconds:
    found: Seconds = {}
    container = night.containers()["dump"]
    words = ("redis-cli", "--user", "backup", "-h", night.replica.host, "--rdb", "/backup/dump.rdb")
    with timed(found, "dump"):
        done = container.run("env", f"REDISCLI_AUTH={PASSWORDS['backup']}", *words, timeout=600)
    assert done.returncode == 0, done.stderr
    with timed(found, "save"):
        night.restic(repository, "backup", "dump.rdb", at=night.left)
    return found


CONTESTANTS: dict[str, Turn] = {"ours": ours, "bare": bare}


def measure(night: Night, rounds: int) -> tuple[dict[str, list[Seconds]], int]:
    """Seconds by contestant, step and turn; and how large the dump is."""
    found: dict[str, list[Seconds]] = {name: [] for name in CONTESTANTS}
    size = 0
    for turn in range(rounds):
        for name in list(CONTESTANTS)[:: 1 if turn % 2 == 0 else -1]:
            repository = f"{night.repository}-{name}-{turn}"
            night.restic(repository, "init")
            found[name].append(CONTESTANTS[name](night, repository))
            size = night.dump.stat().st_size
            night.forget(repository)
            steps = ", ".join(f"{step} {wall:.1f} s (CPU {cpu:.1f} s)" for step, (wall, cpu) in found[name][-1].items())  # fmt: skip
            print(f"turn {turn + 1}, {name}: {steps}", file=sys.stderr, flush=True)
    return found, size


def show(found: dict[str, list[Seconds]], size: int) -> float:
    """The table; how fast ours is beside bare, without `verify`."""
    print("| | ours, s | bare, s | ours, MiB/s | bare, MiB/s | throughput, ours by bare | CPU, ours by bare |\n|---|---|---|---|---|---|---|")  # fmt: skip
    ratios: list[float] = []
    for steps in STEPS:
        (mine, my_cpu), (theirs, their_cpu) = (_sums(found[name], steps) for name in CONTESTANTS)
        ratios.append(statistics.median(b / a for a, b in zip(mine, theirs, strict=True)))
        cpu = statistics.median(a / b for a, b in zip(my_cpu, their_cpu, strict=True))
        a, b = statistics.median(mine), statistics.median(theirs)
        print(f"| {' + '.join(steps)} | {a:.1f} | {b:.1f} | {size / a / 2**20:.1f} | {size / b / 2**20:.1f} | {ratios[-1]:.2f}× | {cpu:.2f}× |")  # fmt: skip
    return ratios[2]


def _sums(turns: list[Seconds], steps: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Of each turn, on the clock and of CPU; bare has no `verify`."""
    rows = [[turn.get(step, (0.0, 0.0)) for step in steps] for turn in turns]
    return [sum(wall for wall, _ in row) for row in rows], [
        sum(cpu for _, cpu in row) for row in rows
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="memory that the data set takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="16 MiB, one round: does it run?")
    args = parser.parse_args()
    mib, rounds = (16, 1) if args.quick else (args.mib, args.rounds)
    with tempfile.TemporaryDirectory(prefix="readiness-backups-") as home, falling(Path(home)) as night:  # fmt: skip
        began = time.perf_counter()
        mixed.fill(night.connect, mib << 20)
        night.wait_for_replica()
        print(f"filled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        found, size = measure(night, rounds)
    print(f"{mib} MiB of mixed data in memory, a dump of {size / 2**20:.0f} MiB; {rounds} turns, seconds and MiB/s of the dump are medians.\n")  # fmt: skip
    ratio = show(found, size)
    print(f"\nWithout `verify`, ours has {ratio:.2f} × the throughput of the bare tools (budget: ≥ {BUDGET}).")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

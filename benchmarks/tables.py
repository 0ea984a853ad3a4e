"""Numbers into tables: medians with ranges, the ratio, the budget, and whether it holds. Pure but for `write`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Samples = dict[str, dict[str, list[float]]]
"""Contestant → measure → one value per round."""
OURS, THEIRS = "operator", "gobase"


@dataclass(frozen=True)
class Row:
    """A line of the table. `limit` bounds ours; as a `ratio`, ours by theirs. A count that is over fails the run."""

    measure: str
    words: str
    limit: float | None = None
    ratio: bool = False
    count: bool = False
    exact: bool = False


ROWS: Final = (
    Row("drain_cpu_ms", "CPU per new policy, ms", 2.5, ratio=True),
    Row("drain_calls", "API calls per new policy", 3.0, count=True, exact=True),
    Row("drain_rate", "new policies per second"),
    Row("edit_p50", "edit to final status, p50, ms", 2.0, ratio=True),
    Row("edit_p99", "edit to final status, p99, ms"),
    Row("edit_cpu_ms", "CPU per edit, ms"),
    Row("edit_calls", "API calls per edit"),
    Row("flip_p50", "workload changed to verdict changed, p50, ms"),
    Row("flip_calls", "API calls per flip of a verdict", 3.0, count=True),
    Row("flip_cpu_ms", "CPU per flip, ms"),
    Row("rss_empty", "resident memory, empty cluster, MB", 120.0),
    Row("start_cpu", "CPU to start in an empty cluster, s"),
    Row("rss_full", "resident memory with all policies, MB"),
    Row("rss_growth", "resident memory per 1 000 policies with their workloads, MB", 50.0),
    Row("peak", "peak resident memory, MB"),
    Row("storm_cpu_ms", "CPU per status event of a workload, ms"),
    Row("storm_writes", "writes in that storm", 0.0, count=True),
    Row("idle_writes", "writes while idle", 0.0, count=True),
    Row("idle_cpu_m", "CPU while idle, thousandths of a core"),
    Row("restart_writes", "writes in all restarts", 0.0, count=True),
    Row("restart_cpu", "CPU of a restart, s"),
    Row("restart_rss", "resident memory after a restart, MB"),
    Row("restart_peak", "peak resident memory of a restart, MB"),
    Row("restart_served", "start to first edit judged, s"),
    Row("status_bytes", "status, bytes"),
)


@dataclass(frozen=True)
class Table:
    text: str
    wrong: tuple[str, ...]
    """Counts that do not hold."""


def add(samples: Samples, name: str, numbers: dict[str, float]) -> None:
    for measure, value in numbers.items():
        samples.setdefault(name, {}).setdefault(measure, []).append(value)


def compare(samples: Samples, size: Any) -> Table:
    for mine in samples.values():
        pairs = zip(mine["rss_full"], mine["rss_empty"], strict=True)
        mine["rss_growth"] = [(full - empty) * 1000 / size.policies for full, empty in pairs]
    lines = ["| | operator | gobase | ratio | budget | |", "|---|---|---|---|---|---|"]
    wrong = []
    for row in ROWS:
        ours, theirs = samples[OURS].get(row.measure, []), samples[THEIRS].get(row.measure, [])
        ratio = _ratio(ours, theirs)
        verdict = _verdict(row, ours, ratio)
        if verdict == "over" and row.count:
            wrong.append(row.words)
        shown = f"{ratio:.2f}×" if ratio is not None else ""
        cells = (row.words, _cell(ours), _cell(theirs), shown, _budget(row), verdict)
        lines.append(f"| {' | '.join(cells)} |")
    intro = (
        f"{size.policies} policies, {size.rounds} interleaved round{'s' * (size.rounds > 1)}; median [min–max]. "
        f"{size.edits} edits and {size.flips} flips one at a time, {size.storm_seconds:g} s storm at {size.storm_rate:g}/s, "
        f"{size.idle_seconds:g} s idle, {size.restarts} restarts."
    )
    return Table("\n".join([intro, "", *lines]) + "\n", tuple(wrong))


def _ratio(ours: list[float], theirs: list[float]) -> float | None:
    if not ours or not theirs or not statistics.median(theirs):
        return None
    return statistics.median(ours) / statistics.median(theirs)


def _verdict(row: Row, ours: list[float], ratio: float | None) -> str:
    if row.limit is None:
        return ""
    if row.ratio:
        return "over" if ratio is None or ratio > row.limit else "ok"
    if row.count:  # of counts every round must hold
        bad = any(value != row.limit if row.exact else value > row.limit for value in ours)
        return "over" if bad or not ours else "ok"
    return "ok" if ours and statistics.median(ours) <= row.limit else "over"


def _budget(row: Row) -> str:
    if row.limit is None:
        return ""
    sign = "" if row.exact else "≤ "
    return f"{sign}{row.limit:g}" + ("×" if row.ratio else "")


def _cell(values: list[float]) -> str:
    if not values:
        return "–"
    low, middle, high = min(values), statistics.median(values), max(values)
    return _number(middle) if low == high else f"{_number(middle)} [{_number(low)}–{_number(high)}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def machine(date: str) -> str:
    """What the figures belong to."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("kopf", "kubernetes", "aiohttp", "pydantic")
    )
    return (
        f"{date}, {os.cpu_count()} cores ({model[1].strip() if model else platform.machine()}), "
        f"{int(total[1]) // 1048576 if total else '?'} GB, Linux {platform.release()}, load {os.getloadavg()[0]:.1f} at the start. "
        f"Python {platform.python_version()}, {versions}."
    )


def write(path: Path, part: str, text: str) -> None:
    """Replaces what stands between the markers of a part."""
    begin, end = f"<!-- {part}: begin, written by benchmarks/run.py -->", f"<!-- {part}: end -->"
    old = path.read_text()
    if begin not in old or end not in old:
        raise SystemExit(f"{path} has no markers for {part}")
    head, tail = old.split(begin)[0], old.split(end, 1)[1]
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}")

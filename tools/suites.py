"""Runs the named suites one after the other, prints their times, and closes with what was skipped.

A suite that fails does not hide the others. A few tests that failed are tried once more, because
machines are shared and all suites hold processes against a clock; the closing lines name every test
that needed it, and each of those is to be mended. What mostly waits runs in several processes, but a
second try in one. Exit code 0 when all pass, 1 otherwise.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PYTEST = [str(BIN / "python"), "-m", "pytest", "-q", "--durations=5"]
SUITES: dict[str, list[list[str]]] = {
    "lint": [
        [str(BIN / "ruff"), "format", "--check", "operator", "tests", "e2e", "tools", "benchmarks"],
        [str(BIN / "ruff"), "check", "operator", "tests", "e2e", "tools", "benchmarks"],
        [str(BIN / "mypy")],
        [str(BIN / "lint-imports")],
    ],
    "unit": [[*PYTEST, "tests", "-m", "not api and not e2e and not slow"]],
    "api": [[*PYTEST, "tests", "-m", "api and not slow"]],
    "e2e": [[*PYTEST, "e2e", "-m", "e2e and not slow"]],
    "slow": [[*PYTEST, "tests", "e2e", "-m", "slow"]],
}
BUDGET_MINUTES = {"lint": 2, "unit": 3, "api": 9, "e2e": 25, "slow": 120}
SECOND_TRY = {"unit": 3, "api": 12, "e2e": 12}
"""How many tests of a suite may have a second try: one fixture that fails takes its tests along; more is no accident."""
SPREAD = frozenset({"unit", "api"})
"""Suites that several processes share, file by file: what they run mostly waits, for a process or an API server."""
NOT_RUN = re.compile(r"SKIPPED \[(\d+)\].*: (needs_\w+): (.*)")
"""Tests that need a program this machine lacks, such as a real mongod: not skipped, but not run."""
LIMIT_MINUTES = 80
"""A run of `make test` that takes longer is ended with its closing lines, before whoever waits for it gives up."""
TIDY_SECONDS = 240
TESTS_FAILED = 1
"""What pytest ends with when it ran all of them; otherwise a second try would pass over what never ran."""
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass
class Tally:
    """What the suites came to."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    not_run: Counter[str] = field(default_factory=Counter)
    repeated: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    ends: float = time.monotonic() + 24 * 3600

    def left(self) -> float:
        """Seconds until the run is ended as it is."""
        return self.ends - time.monotonic()

    def note(self, lines: list[str]) -> None:
        """Keeps what was skipped apart from what could not run at all."""
        for line in lines:
            if (missing := NOT_RUN.match(line)) is not None:
                self.not_run[f"{missing[2]}: {missing[3]}"] += int(missing[1])
            elif line.startswith("SKIPPED"):
                self.skipped.append(line)

    def close(self) -> int:
        """Prints the closing lines; the exit code."""
        print("\n=== suites\n" + "\n".join(self.rows))
        for title, lines in (("skipped", self.skipped), ("second try", self.repeated)):
            print(f"\n=== {title}: " + (str(len(lines)) if lines else "nothing"))
            print("\n".join(lines))
        for what, count in sorted(self.not_run.items()):
            print(f"\n!!! NOT RUN: {count} tests: {what}")
        missing = self.not_run.total()
        self.counts["skipped"] -= missing
        told = "{passed} passed, {failed} failed, {skipped} skipped".format_map(self.counts)
        print(told + (f", {missing} not run" if missing else ""))
        return 1 if self.counts["failed"] else 0


def end(child: subprocess.Popen[str]) -> None:
    """Interrupts a suite, which then tidies up and says what it knows; whoever does not heed that is killed.

    All its processes at once: those that share it are given little time by the one that leads them.
    """
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(TIDY_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def run(command: list[str], env: dict[str, str], seconds: float) -> tuple[int, list[str]]:
    """Runs one command, passing its output through and keeping it; interrupts it after so many seconds."""
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        process_group=0,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        alarm = threading.Timer(seconds, end, [child])
        alarm.daemon = True
        alarm.start()
        try:
            for line in child.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                lines.append(line.rstrip())
        except KeyboardInterrupt:
            end(child)
            raise
        finally:
            alarm.cancel()
    return child.returncode, lines


def counts_in(lines: list[str]) -> Counter[str]:
    """The counts of pytest's closing line; an error counts as a failure."""
    closing = next((x for x in reversed(lines) if COUNTS.search(x) and " in " in x), "")
    found: Counter[str] = Counter()
    for number, word in COUNTS.findall(closing):
        found["failed" if word.startswith("error") else word] += int(number)
    return found


def workers(cores: int, wanted: str) -> int:
    """How many processes share a suite; `wanted` is what was asked for, 0 for none but pytest itself."""
    return int(wanted) if wanted else min(cores + 1, 4)


def spread(name: str) -> list[str]:
    """What pytest is told for a suite that several processes share."""
    count = workers(len(os.sched_getaffinity(0)), os.environ.get("READINESS_TEST_WORKERS", ""))
    return ["-n", str(count), "--dist", "loadfile"] if name in SPREAD and count else []


def attempt(name: str, command: list[str], env: dict[str, str], tally: Tally) -> bool:
    """One command of a suite, with its second try where it may have one; whether it passed."""
    first = [*command, *spread(name)]
    print(f"\n--- {name}: {' '.join([Path(first[0]).name, *first[1:]])}", flush=True)
    if tally.left() <= 0:
        tally.counts["failed"] += 1
        return False
    code, lines = run(first, env, tally.left())
    if "pytest" not in command:
        tally.counts["failed" if code else "passed"] += 1
        return code == 0
    counts = counts_in(lines)
    tally.note(lines)
    failing = [x for x in lines if x.startswith(("FAILED", "ERROR "))]
    whole = code == TESTS_FAILED
    if whole and 0 < counts["failed"] <= SECOND_TRY.get(name, 0) and failing:
        print(f"\n--- {name}: what failed once more", flush=True)
        code, lines = run(
            [*command, "--last-failed", "--last-failed-no-failures", "none"], env, tally.left()
        )
        again = counts_in(lines)
        tally.repeated += failing
        counts["passed"] += counts["failed"] - again["failed"]
        counts["failed"] = again["failed"]
    if code and not counts["failed"]:
        counts["failed"] = 1
    tally.counts += counts
    return code == 0


def main(names: list[str]) -> int:
    """Runs the suites and prints the closing lines."""
    # a shell's background job ignores Ctrl-C and hands that down: what is to be interrupted must not
    signal.signal(signal.SIGINT, signal.default_int_handler)
    env = {**os.environ, "PYTHONPATH": "operator", "PYTHONUNBUFFERED": "1"}
    tally = Tally(Counter(passed=0, failed=0, skipped=0))
    if "slow" not in names:
        tally.ends = time.monotonic() + LIMIT_MINUTES * 60
    for name in names:
        started = time.monotonic()
        results = [attempt(name, command, env, tally) for command in SUITES[name]]
        minutes = (time.monotonic() - started) / 60
        word = "ok" if all(results) else "FAILED" if tally.left() > 0 else "ENDED"
        tally.rows.append(f"{name:6} {word:7} {minutes:5.1f} min (budget {BUDGET_MINUTES[name]})")
    if tally.left() <= 0:
        tally.rows.append(f"ENDED: the suites together took more than {LIMIT_MINUTES} minutes")
    return tally.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # suites run in groups of their own
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Runs the named suites one after the other, prints their times, and closes with what was skipped.

A suite that fails does not hide the others. Exit code 0 when all pass, 1 otherwise.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PYTEST = [str(BIN / "python"), "-m", "pytest", "-q", "--durations=5"]
SUITES: dict[str, list[list[str]]] = {
    "lint": [
        [str(BIN / "ruff"), "format", "--check", "operator", "tests", "e2e", "tools"],
        [str(BIN / "ruff"), "check", "operator", "tests", "e2e", "tools"],
        [str(BIN / "mypy")],
        [str(BIN / "lint-imports")],
    ],
    "unit": [[*PYTEST, "tests", "-m", "not api and not e2e and not slow"]],
    "api": [[*PYTEST, "tests", "-m", "api and not slow"]],
    "e2e": [[*PYTEST, "e2e", "-m", "e2e and not slow"]],
    "slow": [[*PYTEST, "tests", "e2e", "-m", "slow"]],
}
BUDGET_MINUTES = {"lint": 2, "unit": 3, "api": 8, "e2e": 25, "slow": 120}
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error|errors|xfailed|xpassed|deselected)\b")


def run(command: list[str], env: dict[str, str]) -> tuple[int, list[str]]:
    """Runs one command, passing its output through and keeping it."""
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.rstrip())
    return child.returncode, lines


def tally(lines: list[str]) -> tuple[dict[str, int], list[str]]:
    """The counts of pytest's closing line and its SKIPPED lines."""
    closing = next((x for x in reversed(lines) if COUNTS.search(x) and " in " in x), "")
    counts = {word: int(n) for n, word in COUNTS.findall(closing)}
    return counts, [x for x in lines if x.startswith("SKIPPED")]


def main(names: list[str]) -> int:
    """Runs the suites and prints the closing lines."""
    env = {**os.environ, "PYTHONPATH": "operator", "PYTHONUNBUFFERED": "1"}
    total = {"passed": 0, "failed": 0, "skipped": 0}
    skipped: list[str] = []
    rows: list[str] = []
    for name in names:
        started = time.monotonic()
        results = []
        for command in SUITES[name]:
            print(
                f"\n--- {name}: {' '.join(Path(c).name for c in command[:1])} {' '.join(command[1:])}",
                flush=True,
            )
            code, lines = run(command, env)
            counts, skips = tally(lines) if "pytest" in command else ({}, [])
            results.append(code)
            skipped += skips
            for word in total:
                total[word] += counts.get(word, 0)
            total["failed"] += counts.get("error", 0) + counts.get("errors", 0)
            if code and not (counts.get("failed") or counts.get("error") or counts.get("errors")):
                total["failed"] += 1
            elif "pytest" not in command:
                total["passed"] += 1
        minutes = (time.monotonic() - started) / 60
        word = "ok" if not any(results) else "FAILED"
        rows.append(f"{name:6} {word:7} {minutes:5.1f} min (budget {BUDGET_MINUTES[name]})")
    print("\n=== suites\n" + "\n".join(rows))
    print("\n=== skipped: " + (f"{len(skipped)}" if skipped else "nothing"))
    print("\n".join(skipped))
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Every benchmark side by side with its yardstick, in one run; the figures go to stdout and into the docs.

    benchmarks/run.py [--quick] [--only api,cli,probes,saving] [--rounds N] [--write] [--date DATE]

Exit code 1 when a count is wrong (API calls, writes). Ratios and sizes are printed with their budget and never
fail: they belong to the machine. `saving` needs root and runs only when it is named. `--write` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "e2e"), str(Path(__file__).resolve().parent)]

import contestant  # noqa: E402 -- after the path is set
import stages  # noqa: E402
import tables  # noqa: E402
from plane import bench, kubectl  # noqa: E402

from localcluster import cluster  # noqa: E402

DOCS = ROOT / "docs" / "performance.md"
PARTS = ("api", "cli", "probes")


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


async def run_api(size: stages.Size) -> tables.Table:
    """Both controllers on one plane, in turns: A B, B A, A B. Everything once, then the rounds."""
    found: tables.Samples = {}
    names = [contestant.operator(), contestant.gobase()]
    async with bench(f"bench-{os.getpid()}") as plane:
        await stages.prepare(plane)
        seen = stages.Seen()
        matches = [stages.Match(plane, each, seen, size) for each in names]

        async def measure(match: stages.Match, stage: str) -> None:
            numbers = await getattr(match, stage)()
            tables.add(found, match.user, numbers)
            say(f"{match.user} {stage}: " + ", ".join(f"{k} {v:.4g}" for k, v in numbers.items()))

        async with asyncio.TaskGroup() as group:
            following = group.create_task(seen.follow(plane))
            for number in range(size.rounds):
                for match in matches[:: 1 if number % 2 == 0 else -1]:
                    await measure(match, "empty")
            say(f"making {size.policies} workloads")
            await stages.populate(plane, size.policies)
            for number in range(size.rounds):
                for match in matches[:: 1 if number % 2 == 0 else -1]:
                    with match.alive():
                        await match.ready()
                        for stage in ("drain", "edit", "flip", "storm"):
                            await measure(match, stage)
                        for stage in ("idle", "restart") if number == 0 else ():
                            await measure(match, stage)
                    await match.wipe()
            following.cancel()
    return tables.compare(found, size)


def run_script(name: str, *options: str) -> tuple[int, str]:
    """Another benchmark of this directory: its exit code and what it printed."""
    command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT, env=environment
    )
    return done.returncode, done.stdout


def run_cli(*, quick: bool) -> tuple[int, str]:
    """The command line; kubeconform needs the schemas of an API server, and gets them from a bare one."""
    name = f"bench-{os.getpid()}"
    with tempfile.NamedTemporaryFile(suffix=".json") as schemas:
        try:
            schemas.write(
                kubectl(cluster.up(name, controllers=False), "get", "--raw", "/openapi/v2")
            )
        finally:
            cluster.down(name)
        schemas.flush()
        short = ("--rounds", "1", "--sizes", "1,100") if quick else ()
        code, text = run_script("cli", "--openapi", schemas.name, *short)
    return code, f"```text\n{text}```\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="200 policies, one round: does it run?"
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--policies", type=int)
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/performance.md"
    )
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}")
    args = parser.parse_args()
    size = stages.QUICK if args.quick else stages.Size()
    size = replace(size, rounds=args.rounds or size.rounds, policies=args.policies or size.policies)
    code = 0
    for part in args.only.split(","):
        machine = tables.machine(args.date)
        if part == "api":
            table = asyncio.run(run_api(size))
            wrong, text = bool(table.wrong), table.text
        elif part == "cli":
            wrong, text = run_cli(quick=args.quick)
        else:
            wrong, text = run_script(part, *(["--quick"] if args.quick else []))
        code |= bool(wrong)
        print(f"## {part}\n\n{machine}\n\n{text}", flush=True)
        if args.write:
            tables.write(DOCS, part, f"{machine}\n\n{text}")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""`readiness drill-job`: the process inside a drill's Job. Not for people."""

from __future__ import annotations

import argparse
import asyncio

from readiness.cli.console import Console, parser


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """No options: the Job's environment holds the script."""
    return parser(prog, text, "The script is in READINESS_DRILL; the log is the answer.")


def run(args: argparse.Namespace, console: Console) -> int:
    """Runs the drill to its end."""
    from readiness.drilling import run_job

    return asyncio.run(run_job(console.environ))

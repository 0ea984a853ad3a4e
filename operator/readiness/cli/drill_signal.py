"""`readiness drill-signal NAME`: signals process 1 beside it, in a drill's ephemeral container."""

from __future__ import annotations

import argparse
import os
import signal

from readiness.cli.console import Console, parser


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The signal's name without SIG."""
    found = parser(prog, text, "Only for containers that share a clone's processes.")
    found.add_argument("name", choices=("INT", "TERM", "QUIT"))
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Sends it, and says so: the line's time is when the signal left."""
    os.kill(1, signal.Signals[f"SIG{args.name}"])
    console.say(f"sent SIG{args.name} to process 1")
    return 0

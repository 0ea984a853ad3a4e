"""`readiness drill-signal`: beside process 1 of a clone, in a drill's ephemeral container. Not for people.

`who` tells which user and group it runs as, since only that user may signal it, and only both may read what
it uses; a name sends the signal.
"""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Final

from readiness.cli.console import Console, parser

TERMINATION: Final = Path("/dev/termination-log")
PROCESS: Final = Path("/proc/1")


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The signal's name without SIG, or `who`."""
    found = parser(prog, text, "Only for containers that share a clone's processes.")
    found.add_argument("name", choices=("who", "INT", "TERM", "QUIT"))
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Does it, and leaves word in the termination message."""
    if args.name == "who":
        owner = PROCESS.stat()
        word = f"{owner.st_uid}:{owner.st_gid}"
    else:
        os.kill(1, signal.Signals[f"SIG{args.name}"])
        word = f"sent SIG{args.name}"
    TERMINATION.write_text(word, encoding="utf-8")
    console.say(word)
    return 0

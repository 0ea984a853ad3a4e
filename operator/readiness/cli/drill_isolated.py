"""`readiness drill-isolated`: before anything else in a clone, until its NetworkPolicy holds. Not for people.

A network plug-in may hear of a pod only after its start. The API server has an address in every
pod, and a clone may not reach it; so the pod is isolated when connections to it fail. An application
that calls production from its first moment would else get through.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from pathlib import Path
from typing import Final

from readiness.cli.console import Console, parser

TERMINATION: Final = "/dev/termination-log"
TRIES: Final = 2
"""Connections that fail one after the other: one alone may be an accident."""
TRY_SECONDS, AGAIN_SECONDS = 0.5, 0.05


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """How long to wait."""
    found = parser(prog, text, "Only for a clone's first container.")
    found.add_argument("--within", type=float, required=True, help="seconds")
    found.add_argument("--required", action="store_true", help="fail where nothing has isolated it by then")  # fmt: skip
    found.add_argument(
        "--word", type=Path, default=TERMINATION, help="where it says that nothing has isolated it"
    )
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """A network that enforces nothing is told, and refused where isolation is required."""
    from readiness.drills.isolation import OPEN

    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    deadline, failed = time.monotonic() + args.within, 0
    while failed < TRIES:
        failed = 0 if _answers(host, port) else failed + 1
        if failed < TRIES and time.monotonic() > deadline:
            args.word.write_text(OPEN, encoding="utf-8")
            return int(args.required)
        time.sleep(AGAIN_SECONDS)
    return 0


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), TRY_SECONDS).close()
    except OSError:
        return False
    return True

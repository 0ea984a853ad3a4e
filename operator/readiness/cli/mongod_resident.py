"""`readiness mongod-resident`: beside a mongod of a provided replica set. Not for people."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from readiness.cli.console import Console, UsageError, parser


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Which member it lives beside, and which others there are."""
    found = parser(prog, text, "Serves until SIGTERM.")
    found.add_argument("--pod", required=True, help="name of its pod, which ends in the ordinal")
    found.add_argument("--members-file", required=True, type=Path, help="lines of host:port, by ordinal")  # fmt: skip
    found.add_argument("--password-file", required=True, type=Path, help="of the user operator")
    found.add_argument("--port", required=True, type=int, help="of /ready and /step-down")
    found.add_argument("--mongod", default="127.0.0.1:27017", help="host:port of its own mongod")
    found.add_argument("--every", type=float, default=2.0, help="seconds between two looks at it")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Runs it to its end."""
    from readiness.resident import Post
    from readiness.resident import run as serve

    ordinal = args.pod.rpartition("-")[2]
    if not ordinal.isdigit():
        raise UsageError("--pod must end in an ordinal, such as orders-0")
    where = (args.password_file, args.port, args.mongod, args.every)
    post = Post(int(ordinal), args.members_file, *where)
    return asyncio.run(serve(post))

"""`readiness wait NAME`: until a policy is ready or compliant, or the time is over."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Final

from readiness.cli import kube
from readiness.cli.console import Console
from readiness.gate import MET, Decision, awaited_of

if TYPE_CHECKING:
    from readiness.cluster.connection import Connection

EVERY: Final = 1.0
EPILOG = (
    "Exit codes: 0 reached, 1 the verdict is False when the time is over, 2 usage error, 3 neither. "
    "Progress goes to stderr, a line per change."
)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The policy, the goal, and the patience."""
    found = kube.build_parser(prog, text, EPILOG)
    found.add_argument("name", metavar="NAME", help="the ReadinessPolicy; it may not exist yet")
    found.add_argument("--for", dest="goal", choices=("ready", "compliant"), default="compliant")
    kube.add_timeout(found, "5m")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Waits, and prints how it ended."""

    async def work(connection: Connection, namespace: str) -> Decision:
        return await _await(connection, namespace, args, console)

    decided = kube.read(args, work)
    console.write(f"{args.name}: {decided.message}\n")
    if decided.code != MET:
        console.say(
            f"readiness wait: not {args.goal} within {args.timeout:g} s. Next: {decided.fix}"
        )
    return decided.code


async def _await(
    connection: Connection, namespace: str, args: argparse.Namespace, console: Console
) -> Decision:
    from readiness.cluster.reading import read_policy

    until, said = time.monotonic() + args.timeout, ""
    while True:
        policy = await read_policy(connection, namespace, args.name)
        decided = awaited_of(policy, time.time(), args.goal)
        left = until - time.monotonic()
        if decided.code == MET or left <= 0:
            return decided
        if decided.message != said:
            said = decided.message
            console.say(said)
        await asyncio.sleep(min(EVERY, left))

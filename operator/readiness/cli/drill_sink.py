"""`readiness drill-sink`: the upstreams of a drill's clones, and the gates of its stores. Not for people."""

from __future__ import annotations

import argparse
import asyncio

from readiness.cli.console import Console, UsageError, parser


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Which ports it has."""
    found = parser(prog, text, "Serves until SIGTERM.")
    found.add_argument("--port", type=_port, action="append", default=[], help="of an upstream")
    found.add_argument("--control", type=_port, required=True, help="over which it is switched")
    found.add_argument(
        "--gate", action="append", default=[], metavar="PORT=HOST:PORT", help="in front of a store"
    )
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Runs it to its end."""
    from readiness.sink.control import run as serve

    try:
        gates = dict(map(_gate, args.gate))
    except ValueError:
        raise UsageError("--gate must be PORT=HOST:PORT, for example 6379=127.0.0.1:16379") from None  # fmt: skip
    used = [*args.port, args.control, *gates]
    if len(set(used)) < len(used) or len(used) < 2:
        raise UsageError("every port is named once, and one besides that of --control")
    return asyncio.run(serve(tuple(args.port), args.control, gates))


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**16:
        raise ValueError
    return number


def _gate(text: str) -> tuple[int, tuple[str, int]]:
    """`6379=127.0.0.1:16379`."""
    port, _, behind = text.partition("=")
    host, _, number = behind.rpartition(":")
    if not host:
        raise ValueError
    return _port(port), (host.strip("[]"), _port(number))

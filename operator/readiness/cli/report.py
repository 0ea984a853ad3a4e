"""`readiness report NAME`: every finding of one policy, as its reports in the cluster tell them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from readiness import __version__, rules
from readiness.cli import kube
from readiness.cli.console import Console, UnprovenError, UsageError
from readiness.cli.judged import rules_of
from readiness.cli.told import results_of
from readiness.model import Manifest
from readiness.output import FORMATS, render
from readiness.output.sheet import Sheet

if TYPE_CHECKING:
    from readiness.cluster.connection import Connection


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The policy, a target, and the format."""
    found = kube.build_parser(
        prog, text, "Exit code 0 when a report could be read; `gate` follows the verdict."
    )
    found.add_argument("name", metavar="NAME", help="the ReadinessPolicy")
    found.add_argument("--target", default="", help="only this target or data service")
    found.add_argument("-o", "--output", choices=FORMATS, default="human")
    found.add_argument("-v", "--verbose", action="store_true", help="show findings that hold, too")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints the findings."""
    policy = kube.read_policy(args)
    lists = (policy["spec"].get(each) or () for each in ("targets", "dataServices"))
    targets = [row["name"] for rows in lists for row in rows]
    if args.target and args.target not in targets:
        raise UsageError(
            f"no target {args.target!r}: the policy has {', '.join(targets) or 'none'}"
        )
    rows = tuple(results_of(_reports(args), args.target))
    if not rows:
        raise UnprovenError(f"no report of {args.name} yet: readiness wait {args.name} --for ready")
    known = rules_of(rules.load(), {row.id for row in rows})
    sheet = Sheet(rows, rules=known, version=__version__)
    console.write(render(args.output, sheet, console.style(verbose=args.verbose)))
    return 0


def _reports(args: argparse.Namespace) -> list[Manifest]:
    from readiness.cluster.reading import read_reports

    async def work(connection: Connection, namespace: str) -> list[Manifest]:
        return await read_reports(connection, namespace, args.name)

    return kube.read(args, work)

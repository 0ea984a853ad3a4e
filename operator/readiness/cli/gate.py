"""`readiness gate NAME`: the exit code that a pipeline follows, from the policy's status."""

from __future__ import annotations

import argparse
import time

from readiness import __version__
from readiness.cli import kube
from readiness.cli.console import Console
from readiness.cli.told import failures_of
from readiness.gate import gate_of
from readiness.model import Severity
from readiness.output import FORMATS, render
from readiness.output.human import paint, rows_for_people, wrapped
from readiness.output.sheet import OUTCOME_COLOURS, Outcome, Sheet

EPILOG = (
    "Exit codes: 0 met, or spec.enforcement is audit; 1 not met: Compliant is False, or with --level "
    "a finding up to that level fails; 2 usage error; 3 could not tell: unproven, not yet judged for "
    "this generation, or past validUntil."
)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """The policy and how strictly to take it."""
    found = kube.build_parser(prog, text, EPILOG)
    found.add_argument("name", metavar="NAME", help="the ReadinessPolicy")
    found.add_argument("--strict", action="store_true", help="follow the verdict under audit, too")
    found.add_argument(
        "--level", choices=[s.value for s in Severity], type=str.upper,
        help="met when status.level is at least this (P0, then P1, P2, P3) instead of when Compliant is True",
    )  # fmt: skip
    found.add_argument("-o", "--output", choices=FORMATS, default="human")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints the verdict and returns its exit code."""
    policy = kube.read_policy(args)
    level = Severity(args.level) if args.level else None
    decided = gate_of(policy, time.time(), strict=args.strict, level=level)
    rows = tuple(failures_of(policy))
    style = console.style()
    if args.output != "human":
        told = Outcome(decided.code)
        notes = tuple(text for text in (decided.message, decided.fix) if text)
        sheet = Sheet(rows, level or Severity.P1, notes=notes, version=__version__, told=told)
        console.write(render(args.output, sheet, style))
        return decided.code
    meta, status = policy["metadata"], policy.get("status") or {}
    reached = f"level {status['level']}" if status.get("level") else "no level reached"
    lines = [
        f"{paint(meta['name'], '1', style)}  namespace {meta['namespace']}  {reached}",
        *rows_for_people(rows, style),
        *(
            paint(t, OUTCOME_COLOURS[Outcome(decided.code)], style)
            for t in wrapped(decided.message, style, indent=0)
        ),
        *(wrapped(f"Next: {decided.fix}", style, indent=0) if decided.fix else ()),
    ]
    console.write("\n".join(lines) + "\n")
    return decided.code

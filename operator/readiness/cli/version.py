"""`readiness version`."""

from __future__ import annotations

import argparse

from readiness import __version__
from readiness.cli.console import Console, parser


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """No options."""
    return parser(prog, text)


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints the version."""
    console.write(f"readiness {__version__}\n")
    return 0

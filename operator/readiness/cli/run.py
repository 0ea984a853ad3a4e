"""`readiness run`: the operator process. Settings come from the environment."""

from __future__ import annotations

import argparse
import asyncio

from readiness.cli.console import Console, UsageError, parser
from readiness.settings import Settings, SettingsError


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """No options: a container's environment is its configuration."""
    return parser(prog, text, "Settings are READINESS_* variables, see docs/settings.md.")


def run(args: argparse.Namespace, console: Console) -> int:
    """Runs until SIGTERM."""
    try:
        settings = Settings.read(console.environ)
    except SettingsError as error:
        raise UsageError(str(error)) from None
    from readiness.run import run_operator

    return asyncio.run(run_operator(settings))

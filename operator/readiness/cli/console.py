"""The rim of the command line: streams, environment, width and colour. Knows no command.

Data goes to stdout, progress and mistakes to stderr.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from readiness.output.sheet import Style

NARROWEST: Final = 60
WIDEST: Final = 120
WIDTH: Final = 100
NOT_WANTED: Final = 130
"""The exit code of a command whose question was not answered with yes."""


class UsageError(Exception):
    """What the user gave cannot be used: one sentence per problem, with its remedy."""

    code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnprovenError(UsageError):
    """Nothing could be told: the cluster does not answer, or has no verdict."""

    code = 3


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command reads and writes."""

    environ: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO

    def write(self, text: str) -> None:
        """Data, to stdout."""
        self.stdout.write(text)

    def say(self, text: str) -> None:
        """Progress and remarks, to stderr."""
        self.stderr.write(f"{text}\n")
        self.stderr.flush()

    def fail(self, who: str, *problems: str) -> None:
        """Mistakes of the user, to stderr."""
        for problem in problems:
            self.say(f"{who}: {problem}")

    def agrees(self) -> bool:
        """Whether the user answers that it may go on."""
        self.stderr.write("Go on? [y/N] ")
        self.stderr.flush()
        return self.stdin.readline().strip().lower() in {"y", "yes"}

    def read(self, limit: int) -> bytes:
        """Standard input, at most `limit` bytes."""
        return self.stdin.buffer.read(limit)

    def style(self, *, verbose: bool = False) -> Style:
        """How text is set on this terminal; colour only on one, and never under NO_COLOR."""
        terminal = self.stdout.isatty()
        plain = self.environ.get("NO_COLOR") or self.environ.get("TERM") == "dumb"
        return Style(self._width(terminal=terminal), terminal and not plain, verbose)

    def _width(self, *, terminal: bool) -> int:
        columns = self.environ.get("COLUMNS", "")
        if columns.isdigit() and int(columns):
            width = int(columns)
        elif terminal:
            try:
                width = os.get_terminal_size(self.stdout.fileno()).columns or WIDTH
            except OSError:
                width = WIDTH
        else:
            width = WIDTH
        return min(max(width, NARROWEST), WIDEST)


def parser(prog: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    """The frame of every command's parser."""
    return argparse.ArgumentParser(
        prog=prog, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog, allow_abbrev=False
    )

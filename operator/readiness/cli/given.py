"""The manifests that a command is given, in files, directories and on standard input.

Nothing is judged here. What cannot be used raises UsageError.
"""

from __future__ import annotations

from collections.abc import Sequence

from readiness import files
from readiness.cli.console import Console, UsageError
from readiness.cli.validity import problems_of


def load(paths: Sequence[str], console: Console) -> files.Manifests:
    """What is there, whatever its shape."""
    try:
        return files.load(paths, console.read)
    except files.InputError as error:
        raise UsageError(*error.problems) from None


def load_valid(paths: Sequence[str], console: Console) -> files.Manifests:
    """What is there, in the shape that judging and rendering rely on."""
    found = load(paths, console)
    problems = list(problems_of(found.objects))
    if problems:
        raise UsageError(*problems)
    return found

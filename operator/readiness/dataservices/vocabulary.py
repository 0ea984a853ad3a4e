"""Whether a server knows a setting: asked before it is given one, because one that it does not know keeps it from starting.

The lists beside each kind hold every name that a release since the oldest one supported has known, one per line: `$x`
stands for one word between dots, a star at the end for anything. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from readiness.dataservices.order import Refusal


@dataclass(frozen=True)
class Vocabulary:
    """The settings of a server, as its own configuration file has them."""

    server: str
    file: Path

    def unknown(self, service: str, names: Iterable[str]) -> Iterator[Refusal]:
        """A refusal of each setting that no release knows."""
        for name in names:
            if not self.knows(name):
                near = difflib.get_close_matches(name, self._names, n=1)
                meant = f"is {near[0]} meant? " if near else ""
                yield Refusal(
                    "UnknownSetting", f"{service}: config[{name}] is no setting of {self.server}, and would keep it from starting",
                    f"{meant}Correct or remove it; if your image knows it, add UnknownSetting to unsafe",
                )  # fmt: skip

    def knows(self, name: str) -> bool:
        """Whether any release does."""
        return name in self._names or any(_matches(name, pattern) for pattern in self._patterns)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.file.read_text(encoding="utf-8").split())

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(name for name in self._names if "$" in name or name.endswith("*"))


def _matches(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return fnmatchcase(name, pattern)
    words, wanted = name.split("."), pattern.split(".")
    return len(words) == len(wanted) and all(w == p or p.startswith("$") for w, p in zip(words, wanted, strict=True))  # fmt: skip

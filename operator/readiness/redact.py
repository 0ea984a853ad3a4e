"""The one choke point of text that leaves the process: status, reports, events and log records.

Pure. It removes what could forge a log line or mislead a reader (control characters, escape
sequences, bidirectional overrides), caps lengths, and replaces every Secret value that was read.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from readiness.model import Manifest

LIMIT: Final = 1024
LONGEST: Final = 32768
SHORTEST_SECRET: Final = 6
REPLACEMENT: Final = "[redacted]"
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_SUSPECT: Final = re.compile(_UNSAFE.pattern + r"|\\[bfnrtu]")
"""Of serialised JSON: an unsafe character as it is, or escaped."""
_BREAKS: Final = re.compile(r"[\t\r\n]+")


def clean(text: str, limit: int = LIMIT) -> str:
    """`text` on one line, without anything that is not meant to be seen, at most `limit` long."""
    if not text.isascii() or not text.isprintable():
        text = _UNSAFE.sub("", _BREAKS.sub(" ", text))
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Redactor:
    """Knows the Secret values this process has read, and lets none of them out."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secret: str) -> None:
        """Replace `secret` from now on. Values too short to be told from prose are ignored."""
        if len(secret) < SHORTEST_SECRET or secret in self._known:
            return
        self._known.add(secret)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str, limit: int = LIMIT) -> str:
        """`text`, redacted and cleaned: redacted first, or a cut value would slip through."""
        return clean(self.hide(text), limit)

    def hide(self, text: str) -> str:
        """`text` without known Secret values, otherwise as it is."""
        return self._pattern.sub(REPLACEMENT, text) if self._pattern else text

    def tree(self, value: Manifest) -> Manifest:
        """A manifest with every text in it redacted and cleaned; keys are ours and stay."""
        text = json.dumps(value, ensure_ascii=False)
        suspect = len(text) > LONGEST or _SUSPECT.search(text) or self.hide(text) != text
        found: Manifest = self._tree(value) if suspect else value  # most have nothing to hide
        return found

    def _tree(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value, LONGEST)
            case dict():
                return {key: self._tree(item) for key, item in value.items()}
            case list() | tuple():
                return [self._tree(item) for item in value]
            case _:
                return value

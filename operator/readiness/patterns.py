"""Regular expressions written by tenants: used only when they cannot be made to run for long.

Python's engine backtracks, so one hostile pattern would stop every other policy. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_TEXT: Final = 256
_SINGLE: Final = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_BEYOND: Final = re.compile(r"\)[*+{]|\(\?(?!:)")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The expression, case-insensitive; None when it is invalid or not clearly cheap.

    Cheap: at most three quantifiers, two of them unbounded; none on a group except `?`; no
    look-around and no back reference. Then a search in MAX_TEXT characters takes milliseconds.
    """
    bare = _SINGLE.sub("x", pattern)
    unbounded, optional = len(re.findall(r"[*+{]", bare)), bare.count("?") - bare.count("(?:")
    if _BEYOND.search(bare) or re.search(r"\\[1-9]", pattern) or unbounded > 2:
        return None
    if unbounded + optional > 3:
        return None
    try:
        return re.compile(pattern, re.IGNORECASE | re.ASCII)
    except re.error:
        return None

"""Durations as the API writes them. Apart from the models, so that reading one needs no pydantic."""

from __future__ import annotations

import re
from typing import Final

_UNIT: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(duration: str) -> float:
    """`1m30s` → 90.0. The text must match DURATION_PATTERN."""
    return sum(float(n) * _UNIT[u] for n, u in re.findall(r"([0-9.]+)(ms|s|m|h)", duration))

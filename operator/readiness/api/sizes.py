"""Sizes as Kubernetes writes them. Text in, bytes out; it knows no model."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SIZE: Final = re.compile(r"([0-9]+)([kMG]|[KMG]i)?")


def size_in_bytes(text: str) -> int:
    """`10M` as bytes. Raises ValueError for anything else."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"no size: {text!r}")
    return int(found[1]) * _UNITS[found[2] or ""]

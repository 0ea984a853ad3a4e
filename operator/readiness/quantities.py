"""Quantities as Kubernetes writes them: text in, an exact number out. It knows no field that holds one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

_UNITS: Final[Mapping[str, Fraction]] = {
    "": Fraction(1), "m": Fraction(1, 1000),
    **{unit: Fraction(1000**n) for n, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024**n) for n, unit in enumerate("KMGTPE", 1)},
    **{f"e{n}": Fraction(10**n) for n in range(19)},
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kMGTPE]|[KMGTPE]i|e1?[0-9])?")


def number_of(text: str) -> Fraction:
    """`500m` is a half. Raises ValueError for what is none that anybody writes."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"no quantity: {text!r}")
    return Fraction(found[1]) * _UNITS[found[2] or ""]


def bytes_of(text: str) -> int:
    """`10M` in bytes. Raises ValueError for what is no quantity."""
    return int(number_of(text))

"""Quantities as Kubernetes writes them: text in, an exact number out. It knows no field that holds one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

_THOUSANDTHS: Final[Mapping[str, int]] = {
    "m": 1,
    **{unit: 1000**n for n, unit in enumerate(("", *"kMGTPE"), 1)},
    **{f"{unit}i": 1000 * 1024**n for n, unit in enumerate("KMGTPE", 1)},
    **{f"e{n}": 1000 * 10**n for n in range(19)},
}
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[kMGTPE]|[KMGTPE]i|e1?[0-9])?")


def number_of(text: str) -> Fraction:
    """`500m` is a half. Raises ValueError for what is none that anybody writes."""
    from fractions import Fraction  # with decimal too slow for commands that meet no quantity

    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"no quantity: {text!r}")
    return Fraction(found[1]) * _THOUSANDTHS[found[2] or ""] / 1000


def bytes_of(text: str) -> int:
    """`10M` in bytes. Raises ValueError for what is no quantity."""
    return int(number_of(text))

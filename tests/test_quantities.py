from __future__ import annotations

from fractions import Fraction

import pytest

from readiness.quantities import bytes_of, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", Fraction(0)), ("500m", Fraction(1, 2)), ("0.5", Fraction(1, 2)), ("3k", Fraction(3000)),
        ("1E", Fraction(10**18)), ("1.5Ki", Fraction(1536)), ("2Ei", Fraction(2**61)),
        ("129e6", Fraction(129_000_000)), ("1e18", Fraction(10**18)),
    ],
)  # fmt: skip
def test_every_spelling_is_a_number(text: str, number: Fraction):
    assert number_of(text) == number


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "-1", "1K", "mi", "1e", "1e99", "1.Gi", "Gi"])
def test_nothing_else_is(text: str):
    with pytest.raises(ValueError, match="no quantity"):
        number_of(text)


@pytest.mark.parametrize(
    ("text", "size"), [("10M", 10_000_000), ("1.5Gi", 3 << 29), ("2Ti", 1 << 41), ("17", 17)]
)
def test_sizes_are_whole_bytes(text: str, size: int):
    assert bytes_of(text) == size

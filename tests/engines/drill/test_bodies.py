"""Bodies of requests: as long as they say, readable by whom they are for, the last byte by itself."""

from __future__ import annotations

import json

import pytest

from readiness.engines.drill.bodies import PIECE, headers_of, is_cut, length_of, pieces_of
from readiness.step import Body


@pytest.mark.parametrize("size", [15, 100, PIECE, PIECE + 14, PIECE + 15, 3 * PIECE + 5])
@pytest.mark.parametrize("kind", ["application/json", "application/vnd.shop+json; charset=utf-8", "text/plain"])  # fmt: skip
def test_a_body_is_as_long_as_it_says_and_readable(size: int, kind: str) -> None:
    body = Body(kind, size=size)
    told = b"".join(piece for piece, _ in pieces_of(body))

    assert len(told) == size == length_of(body)
    assert ("Content-Length", str(size)) in headers_of(body)
    if "json" in kind:
        assert len(json.loads(told)["padding"]) == size - 14


@pytest.mark.parametrize("body", [Body(size=200_000), Body(text='{"a": "ä"}'), Body(size=200_000, ration=70_000)])  # fmt: skip
def test_the_last_byte_comes_by_itself(body: Body) -> None:
    pieces = [piece for piece, last in pieces_of(body) if not last]
    ends = [piece for piece, last in pieces_of(body) if last]

    assert [len(each) for each in ends] == [1]
    assert sum(map(len, pieces)) + 1 == (body.ration or length_of(body))
    assert is_cut(body) == bool(body.ration)
    assert max(map(len, pieces)) <= PIECE


def test_what_is_chunked_does_not_tell_its_length() -> None:
    assert headers_of(Body(size=9, chunked=True)) == [
        ("Transfer-Encoding", "chunked"), ("Content-Type", "application/json"),
    ]  # fmt: skip

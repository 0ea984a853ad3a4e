"""Bodies of a drill's requests, piece by piece: none is ever held whole.

What they are for is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.step import Body

PIECE: Final = 64 * 1024
_FRAMES: Final = {"json": (b'{"padding":"', b'"}')}
_FILLING: Final = b"x" * PIECE


def length_of(body: Body) -> int:
    """How many bytes it announces."""
    return len(body.text.encode()) if body.text else body.size


def headers_of(body: Body) -> list[tuple[str, str]]:
    """What tells the server how to read it."""
    framing = ("Transfer-Encoding", "chunked") if body.chunked else ("Content-Length", str(length_of(body)))  # fmt: skip
    return [framing, ("Content-Type", body.kind)]


def is_cut(body: Body) -> bool:
    """Whether less is sent than belongs to it."""
    return 0 < body.ration < length_of(body)


def pieces_of(body: Body) -> Iterator[tuple[bytes, bool]]:
    """What is sent of it, and whether it is the last byte, which comes by itself."""
    left = body.ration if is_cut(body) else length_of(body)
    for piece in _whole(body):
        sent = piece[:left]
        left -= len(sent)
        if left > 0:
            yield sent, False
        else:
            yield sent[:-1], False
            yield sent[-1:], True
            return


def _whole(body: Body) -> Iterator[bytes]:
    if body.text:
        yield body.text.encode()
        return
    kind = body.kind.partition(";")[0].rpartition("/")[2].rpartition("+")[2]
    start, end = _FRAMES.get(kind, (b"", b""))
    yield start
    filling = max(0, body.size - len(start) - len(end))
    for _ in range(filling // PIECE):
        yield _FILLING
    yield _FILLING[: filling % PIECE]
    yield end

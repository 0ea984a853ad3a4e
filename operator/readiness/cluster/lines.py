"""A container's log as lines, as they come. Bounded: whoever writes it is not trusted with our memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

from readiness.timeline import Problem, ProblemError


async def lines_of(content: aiohttp.StreamReader, most: int) -> AsyncIterator[str]:
    """Every line to the end of the stream. Raises ProblemError beyond `most` bytes."""
    rest, size = b"", 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > most:
            raise ProblemError(Problem("Aborted", f"the log is longer than {most} bytes"))
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")

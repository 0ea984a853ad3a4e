"""Waiting for what happens soon: never by a sleep that a machine which stalls may swallow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 15.0) -> float:
    """Waits until it is true; how many seconds that took. `TimeoutError` when it does not come true."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- what is awaited has no event of its own
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def turns() -> None:
    """Lets everybody do what needs no time: counted turns, not seconds."""
    for _ in range(200):
        await asyncio.sleep(0)

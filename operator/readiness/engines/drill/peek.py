"""The step that looks into a throw-away Redis: digests of what stands under some keys, as a user who may only read.

The store is the drill's own; no value leaves this module.
"""

from __future__ import annotations

import hashlib
from typing import Final

from readiness.drills.stores import READER
from readiness.engines.drill.act import Act
from readiness.step import Peek
from readiness.timeline import Imprint, Problem, ProblemError

SECONDS: Final = 5.0


async def peek(act: Act, step: Peek) -> None:
    """One digest for each place."""
    for nth, (store, key, field) in enumerate(step.places):
        value = await _value(act, store, ("HGET", key, field) if field else ("DUMP", key))
        digest = hashlib.sha256(value).hexdigest()[:12] if value is not None else ""
        act.imprints.append(Imprint(step.label, nth, digest))


async def _value(act: Act, store: str, command: tuple[str, ...]) -> bytes | None:
    """The answer to a command; a ProblemError where the store gives none."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    host, port = act.world.stores[store]
    client = Redis(
        host=host, port=port, username=READER, password=READER,
        socket_timeout=SECONDS, socket_connect_timeout=SECONDS, decode_responses=False,
    )  # fmt: skip
    try:
        told = await client.execute_command(*command, NEVER_DECODE=True)
    except (RedisError, OSError) as error:
        words = f"the throw-away store of {store} cannot be read: {type(error).__name__}"
        raise ProblemError(Problem("StoreUnavailable", words)) from None
    finally:
        await client.aclose()
    return told if isinstance(told, bytes) else None

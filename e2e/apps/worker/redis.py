"""Redis' own protocol over asyncio, as much as a worker needs. One request at a time."""

import asyncio
from typing import Any


class RedisError(Exception):
    """What the server refuses."""


class Redis:
    """One connection; it is opened when it is first used."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __call__(self, *words: object) -> Any:
        """The answer to a command. Raises RedisError for a refusal."""
        async with self._turn:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(encoded(*words))
            await writer.drain()
            return await _answer(reader)


def encoded(*words: object) -> bytes:
    """A command as the server reads it."""
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


async def _answer(reader: asyncio.StreamReader) -> Any:
    line = (await reader.readuntil(b"\r\n"))[:-2]
    kind, rest = line[:1], line[1:].decode()
    if kind == b"-":
        raise RedisError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"+" or rest == "-1":
        return rest if kind == b"+" else None
    if kind == b"$":
        return (await reader.readexactly(int(rest) + 2))[:-2].decode()
    return [await _answer(reader) for _ in range(int(rest))]

"""The wire: OP_MSG, and OP_QUERY for the first hello of a connection. Knows no command."""

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import bson

HEADER = struct.Struct("<iiii")
MOST = 48_000_000
QUERY, REPLY, MSG = 2004, 1, 2013
MORE_TO_COME = 2
Document = dict[str, Any]
numbers = itertools.count(1)


def parse(op: int, body: bytes) -> tuple[Document, bool]:
    """The command of a message, and whether an answer is awaited."""
    if op == QUERY:
        end = body.index(b"\0", 4)
        command = bson.decode(body[end + 9 :])
        return {**command.get("$query", command), "$db": "admin"}, True
    (flags,) = struct.unpack_from("<I", body)
    at, found = 4, {}
    lists: dict[str, list[Document]] = {}
    while at < len(body) - (4 if flags & 1 else 0):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        if kind == 0:
            found = bson.decode(body[at : at + size])
        else:
            name, _, rest = body[at + 4 : at + size].partition(b"\0")
            lists[name.decode()] = list(bson.decode_iter(rest))
        at += size
    return {**found, **lists}, not flags & MORE_TO_COME


def build(op: int, to: int, answer: Document) -> bytes:
    """The answer to a message."""
    if op == QUERY:
        body = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer)
        return HEADER.pack(16 + len(body), next(numbers), to, REPLY) + body
    body = struct.pack("<IB", 0, 0) + bson.encode(answer)
    return HEADER.pack(16 + len(body), next(numbers), to, MSG) + body


async def read(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Number, kind and body of the next message."""
    size, number, _, op = HEADER.unpack(await reader.readexactly(16))
    if not 16 <= size <= MOST:
        raise ValueError("not a message")
    return number, op, await reader.readexactly(size - 16)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[Document], Awaitable[Document]]) -> None:  # fmt: skip
    """Answer a connection until it ends."""
    try:
        while True:
            number, op, body = await read(reader)
            command, awaited = parse(op, body)
            told = await answer(command)
            if awaited:
                writer.write(build(op, number, told))
                await writer.drain()
    except (OSError, asyncio.IncompleteReadError, ValueError, bson.errors.BSONError):
        pass
    finally:
        writer.close()


async def call(host: str, command: Document, within: float) -> Document:
    """Ask another member. Raises OSError when it does not answer in time."""
    name, _, port = host.rpartition(":")
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(name, int(port))
            try:
                writer.write(build(MSG, 0, command))
                return parse(MSG, (await read(reader))[2])[0]
            finally:
                writer.close()
    except (TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise OSError(str(error)) from error

"""Raw exchanges: early answers to long bodies, half-open peers, bounds, honest counts."""

from __future__ import annotations

import asyncio
import ssl
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
import trustme

from readiness.engines.dialer import Dialer
from readiness.engines.wire import WireEngine
from readiness.request import Hop, HopKind, Outcome, WireAnswer, WireRequest

from .conftest import SHORT, Handler, repeats, request_of, reset, says

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10600000\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
BODY = bytes(10_600_000)


async def say(dialer: Dialer, hop: Hop, *script: bytes | float, **more: Any) -> WireAnswer:
    more.setdefault("linger", 0.3)
    return await WireEngine(dialer).send(WireRequest(hop, script, **more))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1)
    await asyncio.sleep(60)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    reset(writer)


TABLE: list[tuple[str, Handler, Outcome, bytes, bool]] = [
    ("answers and closes", says(b"hello"), Outcome.RESPONSE, b"hello", True),
    ("answers and waits", says(b"hello", then="hang"), Outcome.RESPONSE, b"hello", False),
    ("answers and resets", says(b"hello", then="reset"), Outcome.RESPONSE, b"hello", True),
    ("drips", says(b"h", 0.05, b"ello"), Outcome.RESPONSE, b"hello", True),
    ("closes", says(), Outcome.RESET, b"", True),
    ("resets", resets, Outcome.RESET, b"", True),
    ("is silent", silent, Outcome.TIMEOUT, b"", False),
    ("never ends", repeats(b"", b"x" * 65536), Outcome.RESPONSE, b"x" * SHORT.wire, False),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
async def test_what_is_heard(
    serve: Any, dialer: Dialer, row: tuple[str, Handler, Outcome, bytes, bool]
) -> None:
    _, handler, outcome, data, closed = row
    server = await serve(handler)
    tracemalloc.start()
    start, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    answer = await say(dialer, server.hop(), GET)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
    assert (answer.outcome, answer.data, answer.closed_by_peer) == (outcome, data, closed)
    assert answer.sent == len(GET)
    assert bool(answer.first_byte) == bool(data)
    assert time.perf_counter() - start < 3 * 0.3


async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the head only, answers, and closes on a full receive buffer: the kernel sends RST."""
    await request_of(reader)
    writer.write(TOO_LARGE)
    await writer.drain()
    writer.close()


async def test_an_early_answer_is_never_lost(serve: Any, dialer: Dialer) -> None:
    server = await serve(early)
    for _ in range(20):
        answer = await say(dialer, server.hop(), POST, BODY)
        assert answer.data == TOO_LARGE
        assert answer.closed_by_peer
        assert answer.sent < len(POST) + len(BODY)


async def test_an_answer_of_a_peer_that_reads_no_more_ends_the_script(
    serve: Any, dialer: Dialer
) -> None:
    server = await serve(says(TOO_LARGE, then="hang"))
    dialer.caps = replace(SHORT, script=60.0)
    async with asyncio.timeout(5):
        answer = await say(dialer, server.hop(), POST, BODY)
    assert answer.data == TOO_LARGE
    assert answer.sent < len(POST) + len(BODY)


async def test_a_long_body_arrives_whole_in_bounded_memory(serve: Any, dialer: Dialer) -> None:
    got = 0

    async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        while data := await reader.read(65536):
            got += len(data)
        writer.write(b"%d" % got)
        await writer.drain()

    server = await serve(counts)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    answer = await say(dialer, server.hop(), BODY, half_close=True, linger=2.0)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert (answer.data, answer.sent) == (b"10600000", len(BODY))
    assert peak < 5 * 1024 * 1024


async def test_pauses_are_kept_and_read_through(serve: Any, dialer: Dialer) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())

    server = await serve(echo)
    answer = await say(dialer, server.hop(), b"a", 0.1, b"b", 0.1, b"c", linger=0.05)
    assert answer.data == b"ABC"
    assert answer.first_byte < 0.1
    assert 0.2 < answer.elapsed < 0.6


async def test_a_whole_exchange_is_bounded(serve: Any, dialer: Dialer) -> None:
    server = await serve(silent)
    answer = await say(dialer, server.hop(), b"a", 60.0)
    assert answer.outcome is Outcome.TIMEOUT
    assert SHORT.script <= answer.elapsed < 3 * SHORT.script


async def test_refused_and_denied(serve: Any, dialer: Dialer) -> None:
    server = await serve(silent)
    refused = await say(dialer, Hop(HopKind.POD, "p", "app", 1, "127.0.0.1"), GET)
    denied = await say(dialer, Hop(HopKind.POD, "p", "app", server.port, "169.254.169.254"), GET)
    assert (refused.outcome, denied.outcome) == (Outcome.REFUSED, Outcome.DENIED)
    assert (refused.sent, denied.sent, server.connections) == (0, 0, 0)


async def test_under_tls(serve: Any, dialer: Dialer, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("app.example.test").configure_cert(context)
    server = await serve(says(b"hello"), context)
    answer = await say(dialer, server.edge(tls=True), GET, half_close=True)
    assert (answer.outcome, answer.data, answer.sent) == (Outcome.RESPONSE, b"hello", len(GET))

"""The drill's hand on a real sink: what it orders holds, what it reads is in the drill's time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from readiness.engines import Dialer
from readiness.engines.drill import props
from readiness.engines.drill.props import Prop
from readiness.engines.drill.traffic import Line
from readiness.request import Hop, HopKind
from readiness.sink.control import Sink
from readiness.timeline import Problem

GET = b"GET /a HTTP/1.0\r\n\r\n"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    found = Sink((0, 0), 0, {}, "127.0.0.1")
    await found.start()
    yield found
    found.close()
    await asyncio.sleep(0.05)


def control(dialer: Dialer, port: int, upstream: int = 0, zero: float = 0.0) -> Prop:
    hop = Hop(HopKind.POD, "drill-sink", "", port, "127.0.0.1", namespace="shop")
    return Prop("drill-sink", lambda: Line(dialer, hop, "run", zero), upstream)


async def ask(port: int, source: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(GET)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_a_fault_is_set_for_one_client_of_one_port(dialer: Dialer, sink: Sink):
    first, second = (control(dialer, sink.control.number, u.number) for u in sink.upstreams)
    assert await second.set_mode("503:7", "127.0.0.9") is None

    assert b"503" in await ask(second.port, "127.0.0.9")
    assert b"200" in await ask(second.port)
    assert await first.set_mode("500", after=1) is None
    assert [b"500" in await ask(first.port) for _ in range(2)] == [False, True]
    of_second = await second.records()
    assert not isinstance(of_second, Problem)
    assert {call.port for call in of_second.calls} == {second.port}


async def test_calls_are_told_in_seconds_of_the_drill(dialer: Dialer, sink: Sink):
    zero = dialer.clock.steady() - 1000.0
    hand = control(dialer, sink.control.number, zero=zero)
    before = dialer.clock.steady() - zero
    await ask(sink.upstreams[0].number)
    after = dialer.clock.steady() - zero
    await ask(sink.upstreams[0].number, "127.0.0.9")
    told = await hand.records("127.0.0.1")
    assert not isinstance(told, Problem)
    (call,) = told.calls

    assert (call.method, call.path, call.outcome) == ("GET", "/a", "answered")
    slack = dialer.clock.steady() - zero - after  # of which reading took a part
    assert before - slack <= call.at <= call.end <= after + slack
    everybody = await hand.records()
    assert not isinstance(everybody, Problem)
    assert len(everybody.calls) == 2


async def test_a_call_that_is_open_has_no_end(dialer: Dialer, sink: Sink):
    hand = control(dialer, sink.control.number)
    await hand.set_mode("tarpit")
    waiting = asyncio.create_task(ask(sink.upstreams[0].number))
    async with asyncio.timeout(10):
        while not sink.book.calls:  # noqa: ASYNC110 -- what is awaited has no event of its own
            await asyncio.sleep(0.01)
    told = await hand.records()
    assert not isinstance(told, Problem)

    assert [call.end for call in told.calls] == [-1.0]
    waiting.cancel()
    await asyncio.wait((waiting,))


@pytest.mark.parametrize(
    ("mode", "port", "words"),
    [("nonsense", 0, "mode must be one of echo"), ("echo", 1, "port must be one of")],
)
async def test_a_wrong_order_comes_back_in_the_sinks_words(
    dialer: Dialer, sink: Sink, mode: str, port: int, words: str
):
    problem = await control(dialer, sink.control.number, port).set_mode(mode)

    assert problem is not None
    assert problem.reason == "Aborted"
    assert "drill-sink" in problem.words
    assert words in problem.words


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "no whole answer"),
        (b"nonsense\r\n\r\n", "no whole answer"),
        (OK % (5, b"{}"), "no whole answer"),
        (OK % (2, b"{}"), "cannot be read"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "status 500"),
        (OK % (99999, b"x" * 99999), "status 200"),
        (None, "timeout"),
    ],
)
async def test_what_is_no_sink_is_a_problem(dialer, serve, monkeypatch, answer, words):
    monkeypatch.setattr(props, "SECONDS", 1.0)
    monkeypatch.setattr(props, "LONGEST_ANSWER", 50_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await asyncio.sleep(30)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await serve(handler)
    problem = await control(dialer, server.port).records()

    assert isinstance(problem, Problem)
    assert words in problem.words


@asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    yield port


async def test_a_sink_that_is_gone_is_a_problem(dialer: Dialer):
    async with closed_port() as port:
        problem = await control(dialer, port).set_mode("echo")

    assert problem is not None
    assert "refused" in problem.words

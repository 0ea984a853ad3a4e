"""A scripted upstream as raw clients see it: every mode, switched under load, bounded for the hostile."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from contextlib import suppress

import pytest
from awaited import until

from readiness.sink import peer, port, upstream

from .conftest import GET, POST, Rig, say, status, told


async def test_echo_says_what_it_was_asked_and_keeps_no_query_and_no_value(rig: Rig):
    head = (
        b"POST /v1/pay?token=s3cret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n"
        b"Content-Type: application/json; charset=utf-8\r\nIdempotency-Key: s3cret\r\n"
        b"Content-Length: 6\r\n\r\ns3cret"
    )
    answer = await say(rig.port, head)

    assert status(answer) == 200
    assert told(answer) == {"method": "POST", "path": "/v1/pay", "size": 6}
    (call,) = (await rig.records())["calls"]
    assert {k: call[k] for k in ("method", "path", "size", "status", "outcome", "content", "source", "port")} == {
        "method": "POST", "path": "/v1/pay", "size": 6, "status": 200, "outcome": "answered",
        "content": "application/json", "source": "127.0.0.1", "port": rig.port,
    }  # fmt: skip
    assert call["headers"] == ["host", "authorization", "content-type", "idempotency-key", "content-length"]  # fmt: skip
    assert len(call["key"]) == 12
    assert 0 <= call["at"] <= call["end"]
    assert "s3cret" not in str(await rig.records())


@pytest.mark.parametrize(
    ("mode", "expected", "header"),
    [
        ("500", 500, b""),
        ("503", 503, b""),
        ("429", 429, b""),
        ("429:30", 429, b"\r\nretry-after: 30\r\n"),
        ("503:0.5", 503, b"\r\nretry-after: 0.5\r\n"),
        ("echo", 200, b""),
        ("delay:0.2", 200, b""),
    ],
)
async def test_modes_that_answer(rig: Rig, mode: str, expected: int, header: bytes):
    assert "problem" not in await rig.order(mode=mode)
    began = time.perf_counter()
    answer = await say(rig.port, GET)

    assert status(answer) == expected
    assert (b"retry-after" in answer.lower()) == bool(header)
    assert header in answer.lower()
    assert time.perf_counter() - began >= (0.2 if mode == "delay:0.2" else 0)
    assert await rig.calls("status", "outcome") == [[expected, "answered"]]


async def test_a_tarpit_takes_the_request_and_tells_when_the_caller_gave_up(rig: Rig):
    await rig.order(mode="tarpit")
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(POST % 4 + b"body")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)
    assert await rig.calls("method", "size", "outcome", "end") == [["POST", 0, "cut", -1.0]]
    writer.close()
    assert await rig.ended() == ["left"]
    ((size, at, end),) = await rig.calls("size", "at", "end")
    assert size == 4
    assert end - at > 0.25


async def test_a_trickle_goes_on_byte_by_byte(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upstream, "TRICKLE_SECONDS", 0.05)
    await rig.order(mode="trickle")
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(GET)
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    for _ in range(4):
        assert await asyncio.wait_for(reader.read(1), 3) == b" "
    writer.transport.abort()

    assert await rig.ended() == ["left"]


async def test_reset_is_a_reset(rig: Rig):
    await rig.order(mode="reset")
    with pytest.raises(ConnectionResetError):
        await say(rig.port, POST % 4 + b"body")

    assert await rig.calls("outcome", "path") == [["reset", "/v1/pay"]]


async def test_refuse_closes_the_port_and_resets_who_is_there_until_it_opens_again(rig: Rig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(GET)
    await reader.readuntil(b"\r\n\r\n")
    await rig.order(mode="refuse")
    with suppress(ConnectionResetError):
        while await asyncio.wait_for(reader.read(100), 1):
            pass
    with pytest.raises(ConnectionRefusedError):
        await say(rig.port, GET)
    writer.close()
    assert "problem" not in await rig.order(mode="echo", port=rig.port)

    assert status(await say(rig.port, GET)) == 200


async def test_a_mode_begins_after_so_many_requests(rig: Rig):
    await rig.order(mode="503")
    await rig.order(mode="echo", after=2)

    assert [status(await say(rig.port, GET)) for _ in range(4)] == [503, 503, 200, 200]
    await rig.order(mode="refuse", after=1)
    assert status(await say(rig.port, GET)) == 200
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await say(rig.port, GET)
    with pytest.raises(ConnectionRefusedError):
        await say(rig.port, GET)


async def test_clients_are_told_apart_by_their_address(rig: Rig):
    await rig.order(mode="500", source="127.0.0.9")
    await rig.order(mode="echo", source="127.0.0.9", after=1)
    await rig.order(mode="refuse", source="127.0.0.8")

    assert status(await say(rig.port, GET)) == 200
    assert status(await say(rig.port, GET, source="127.0.0.9")) == 500
    assert status(await say(rig.port, GET, source="127.0.0.9")) == 200
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await say(rig.port, GET, source="127.0.0.8")
    await rig.order(mode="503")
    assert status(await say(rig.port, GET, source="127.0.0.8")) == 503
    assert set(await rig.calls("source")) == {"127.0.0.1", "127.0.0.9", "127.0.0.8"}


async def test_ports_are_switched_apart(rig: Rig):
    other = rig.sink.upstreams[1].number
    await rig.order(mode="500", port=other)

    assert status(await say(rig.port, GET)) == 200
    assert status(await say(other, GET)) == 500
    assert await rig.calls("port") == [rig.port, other]


async def test_a_connection_carries_many_requests_and_a_switch_holds_from_the_next_one(rig: Rig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    seen = []
    for mode in ("echo", "500", "429", "echo"):
        await rig.order(mode=mode)
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"}")
        seen.append(status(head))
    writer.close()

    assert seen == [200, 500, 429, 200]


async def test_switching_under_load_loses_nothing(rig: Rig):
    async def many() -> list[int]:
        return [status(await say(rig.port, GET)) for _ in range(25)]

    async def flip() -> None:
        for mode in ("500", "echo", "429:1", "delay:0.01", "echo"):
            await asyncio.sleep(0.02)
            await rig.order(mode=mode)

    *lists, _ = await asyncio.gather(*(many() for _ in range(8)), flip())
    seen = [s for each in lists for s in each]

    assert len(seen) == 200
    assert set(seen) <= {200, 500, 429}
    assert sorted(await rig.calls("status")) == sorted(seen)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
        (b"\x00\x00\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 4000, "malformed"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed"),
    ],
)
async def test_what_is_no_request_is_recorded_as_that(rig: Rig, data: bytes, outcome: str):
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await say(rig.port, data)

    assert await rig.calls("outcome") == [outcome]


async def test_a_probe_of_the_port_is_no_call(rig: Rig):
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    await until(lambda: rig.sink.upstreams[0]._guests)
    writer.close()
    await until(lambda: not rig.sink.upstreams[0]._guests)

    assert await rig.calls("method") == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200),
    ],
)  # fmt: skip
async def test_other_shapes_of_requests(rig: Rig, data: bytes, expected: int):
    assert status(await say(rig.port, data)) == expected
    assert await rig.calls("status", "size") == [[expected, 3 if b"abc" in data else 0]]


@pytest.mark.parametrize("mode", ["echo", "delay:0.3", "tarpit"])
async def test_who_leaves_half_way_is_one_call(rig: Rig, mode: str):
    await rig.order(mode=mode)
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(POST % 100 + b"half")
    await until(lambda: rig.sink.book.calls)
    writer.close()

    assert await rig.ended() == ["left"]


async def test_who_waits_for_a_go_ahead_gets_it(rig: Rig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert status(await reader.readuntil(b"\r\n\r\n")) == 100
    writer.write(b"ok")
    assert status(await reader.readuntil(b"\r\n\r\n")) == 200
    writer.close()


async def test_the_book_has_an_end_and_says_what_it_missed(rig: Rig, monkeypatch):
    monkeypatch.setattr(upstream, "MOST_CALLS", 5)
    for _ in range(8):
        await say(rig.port, GET)
    found = await rig.records()

    assert (len(found["calls"]), found["missed"]) == (5, 3)


async def test_long_names_are_cut(rig: Rig):
    head = b"".join(b"%s%d: v\r\n" % (b"n" * 100, nth) for nth in range(100))
    await say(rig.port, b"GET /" + b"p" * 2000 + b" HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    (call,) = (await rig.records())["calls"]

    assert len(call["path"]) == upstream.LONGEST_PATH
    assert len(call["headers"]) == upstream.MOST_HEADERS
    assert max(map(len, call["headers"])) == upstream.LONGEST_NAME


async def test_two_hundred_connections_are_served_as_far_as_there_is_room(rig: Rig):
    lines = [await asyncio.open_connection("127.0.0.1", rig.port) for _ in range(200)]
    for _, writer in lines:
        writer.write(b"GET / HT")
    await until(lambda: len(rig.sink.upstreams[0]._guests) >= upstream.MOST_CONNECTIONS)
    await asyncio.sleep(0.1)

    assert len(rig.sink.upstreams[0]._guests) == upstream.MOST_CONNECTIONS
    assert await rig.calls("method") == []
    for _, writer in lines:
        writer.transport.abort()
    await until(lambda: not rig.sink.upstreams[0]._guests)
    assert status(await say(rig.port, GET)) == 200


async def test_slow_heads_and_bodies_are_cut_off(rig: Rig, monkeypatch):
    monkeypatch.setattr(peer, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(peer, "BODY_SECONDS", 0.2)
    for data, calls in ((b"GET / HT", []), (POST % 100 + b"half", ["cut"])):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(data)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        assert await rig.calls("outcome") == calls


async def test_a_tarpit_has_an_end(rig: Rig, monkeypatch):
    monkeypatch.setattr(port, "LIFETIME", 0.3)
    await rig.order(mode="tarpit")
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(GET)
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()

    assert await rig.calls("outcome") == ["cut"]


@pytest.mark.parametrize("mode", ["echo", "tarpit", "trickle"])
async def test_an_endless_body_costs_no_memory(rig: Rig, mode: str):
    await rig.order(mode=mode)
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    tracemalloc.start()
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            while True:
                writer.write(chunk)
                await writer.drain()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.transport.abort()

    assert most < 2_000_000
    assert await rig.ended() == ["left"]


async def test_pipelined_requests_do_not_pile_up(rig: Rig):
    await rig.order(mode="tarpit")
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    tracemalloc.start()
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(0.5):
            while True:
                writer.write(GET * 1000)
                await writer.drain()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.transport.abort()

    assert most < 2_000_000
    assert await rig.calls("method") == ["GET"]


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ({}, "an order is"),
        ({"mode": "nonsense"}, "mode must be"),
        ({"mode": "delay"}, "mode must be"),
        ({"mode": "200"}, "mode must be"),
        ({"mode": "blackhole"}, "mode must be"),
        ({"mode": "echo:1"}, "mode must be"),
        ({"mode": "echo", "port": 1}, "port must be"),
        ({"mode": "echo", "port": [1]}, "an order is"),
        ({"mode": "echo", "after": -1}, "after must be"),
        ({"mode": "echo", "after": "x"}, "an order is"),
        ({"mode": "echo", "more": 1}, "an order is"),
    ],
)
async def test_orders_that_are_none(rig: Rig, order, word):
    assert word in (await rig.order(**order))["problem"]
    assert status(await say(rig.port, GET)) == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /mode HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /mode HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + b"[" * 9000, 400),
        (b"POST /mode HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", 400),
    ],
)
async def test_the_control_port_takes_only_what_it_knows(rig: Rig, data: bytes, expected: int):
    assert status(await say(rig.sink.control.number, data)) == expected

"""The gate before a real TCP server: open, frozen, late, shut, and open again."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from contextlib import suppress

import pytest
from awaited import until

from readiness.sink import gate
from readiness.sink.control import Sink

from .conftest import Rig, echo


class Line:
    """A client of the store."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def asks(self, word: bytes, within: float = 10) -> bytes:
        self.writer.write(word)
        async with asyncio.timeout(within):
            return await self.reader.readexactly(len(word))


async def line(port: int, source: str = "127.0.0.1") -> Line:
    return Line(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))


async def test_open_passes_everything_both_ways_and_to_the_end(rig: Rig):
    client = await line(rig.gate)
    assert await client.asks(b"PING") == b"PING"
    client.writer.write(b"x" * 300_000)
    client.writer.write_eof()

    assert len(await asyncio.wait_for(client.reader.read(), 5)) == 300_000
    client.writer.close()
    counts = (await rig.records())["gates"][str(rig.gate)]
    assert counts == {"connections": 1, "sent": 300_004, "received": 300_004}


async def test_a_blackhole_freezes_old_and_new_connections_and_lets_them_go_on(rig: Rig):
    old = await line(rig.gate)
    assert await old.asks(b"one") == b"one"
    await rig.order(mode="blackhole", port=rig.gate)
    new = await line(rig.gate)
    for client in (old, new):
        with pytest.raises(TimeoutError):
            await client.asks(b"two", 0.2)
    await rig.order(mode="open", port=rig.gate)

    for client in (old, new):
        assert await asyncio.wait_for(client.reader.readexactly(3), 10) == b"two"
        assert await client.asks(b"three") == b"three"
        client.writer.close()


async def test_the_store_sees_nobody_who_comes_while_it_is_frozen(rig: Rig):
    greeted = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.append(writer)
        await echo(reader, writer)

    await rig.order(mode="blackhole", port=rig.gate)
    behind = rig.store.sockets[0].getsockname()
    rig.store.close()
    rig.store = await asyncio.start_server(greet, *behind)
    client = await line(rig.gate)
    await until(lambda: rig.sink.gates[0].port._guests)
    await asyncio.sleep(0.1)
    assert not greeted
    await rig.order(mode="open", port=rig.gate)

    assert await client.asks(b"one") == b"one"
    assert len(greeted) == 1
    client.writer.close()


async def test_refuse_resets_who_is_there_and_takes_nobody_until_it_opens(rig: Rig):
    client = await line(rig.gate)
    await client.asks(b"one")
    await rig.order(mode="refuse", port=rig.gate)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(), 10)
    with pytest.raises(ConnectionRefusedError):
        await line(rig.gate)
    client.writer.close()
    await rig.order(mode="open", port=rig.gate)
    again = await line(rig.gate)

    assert await again.asks(b"two") == b"two"
    again.writer.close()


async def test_frozen_clients_are_let_go_when_it_refuses(rig: Rig):
    await rig.order(mode="blackhole", port=rig.gate)
    client = await line(rig.gate)
    await until(lambda: rig.sink.gates[0].port._guests)
    await rig.order(mode="refuse", port=rig.gate)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(), 10)
    client.writer.close()
    await until(lambda: not rig.sink.gates[0].port._guests)


async def test_delay_is_paid_in_both_directions(rig: Rig):
    client = await line(rig.gate)
    await client.asks(b"one")
    await rig.order(mode="delay:0.2", port=rig.gate)
    began = time.perf_counter()
    await client.asks(b"two")

    assert time.perf_counter() - began >= 0.4
    client.writer.close()


async def test_one_clone_is_cut_off_while_another_goes_on(rig: Rig):
    ours, theirs = await line(rig.gate, "127.0.0.9"), await line(rig.gate)
    await ours.asks(b"one")
    await theirs.asks(b"one")
    await rig.order(mode="blackhole", port=rig.gate, source="127.0.0.9")
    with pytest.raises(TimeoutError):
        await ours.asks(b"two", 0.2)
    assert await theirs.asks(b"two") == b"two"
    await rig.order(mode="refuse", port=rig.gate, source="127.0.0.9")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(ours.reader.read(), 10)
    with pytest.raises(ConnectionError):
        await (await line(rig.gate, "127.0.0.9")).asks(b"three")
    assert await theirs.asks(b"three") == b"three"
    for client in (ours, theirs):
        client.writer.close()


async def test_it_opens_when_the_store_does():
    first = await asyncio.start_server(echo, "127.0.0.1", 0)
    behind = first.sockets[0].getsockname()
    first.close()
    sink = Sink((), 0, {0: behind}, "127.0.0.1")
    starting = asyncio.create_task(sink.start())
    await asyncio.sleep(0.3)
    assert sink.gates[0].port._server is None
    store = await asyncio.start_server(echo, *behind)
    await asyncio.wait_for(starting, 10)
    client = await line(sink.gates[0].port.number)

    assert await client.asks(b"PING") == b"PING"
    client.writer.close()
    sink.close()
    store.close()
    await asyncio.sleep(0.05)


async def test_a_store_that_goes_takes_its_clients_along(rig: Rig):
    client = await line(rig.gate)
    await client.asks(b"one")
    rig.store.close()
    late = await line(rig.gate)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await late.asks(b"two")
    for each in (client, late):
        each.writer.close()


async def test_a_client_that_is_gone_leaves_nothing_behind(rig: Rig):
    client = await line(rig.gate)
    await client.asks(b"one")
    client.writer.transport.abort()
    await until(lambda: not rig.sink.gates[0].port._guests)


async def test_two_thousand_kilobytes_into_a_frozen_gate_cost_little(rig: Rig):
    await rig.order(mode="blackhole", port=rig.gate)
    lines = [await line(rig.gate) for _ in range(20)]
    tracemalloc.start()
    for client in lines:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                while True:
                    client.writer.write(b"x" * 16384)
                    await client.writer.drain()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for client in lines:
        client.writer.transport.abort()

    assert held < 20 * 5 * 65536  # ours and the clients' own buffers


async def test_four_hundred_connections_are_no_more_than_it_takes(rig: Rig):
    await rig.order(mode="blackhole", port=rig.gate)
    lines = [await line(rig.gate) for _ in range(400)]
    await until(lambda: len(rig.sink.gates[0].port._guests) >= gate.MOST_CONNECTIONS)
    await asyncio.sleep(0.1)

    assert len(rig.sink.gates[0].port._guests) == gate.MOST_CONNECTIONS
    for client in lines:
        client.writer.transport.abort()
    await rig.order(mode="open", port=rig.gate)
    await until(lambda: not rig.sink.gates[0].port._guests)

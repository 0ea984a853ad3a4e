"""The server: what it answers, and that slow or noisy clients cost nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from readiness import server
from readiness.observe import problem_of
from readiness.scheduler import Load
from readiness.server import Page, Server, verdict


async def hello() -> Page:
    return Page(200, b"hello\n")


async def ill() -> Page:
    return verdict("a pass is stuck")


PAGES = {"/hello": hello, "/ill": ill}


async def ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status", "end"),
    [
        (b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", b"200", b"\r\n\r\nhello\n"),
        (b"GET /hello?x=1 HTTP/1.1\r\n\r\n", b"200", b"hello\n"),
        (b"HEAD /hello HTTP/1.1\r\n\r\n", b"200", b"\r\n\r\n"),
        (b"POST /hello HTTP/1.1\r\n\r\n", b"405", b"GET or HEAD\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404", b"not found\n"),
        (b"GET /ill HTTP/1.1\r\n\r\n", b"503", b"a pass is stuck\n"),
    ],
)
async def test_answers(request_, status, end):
    async with Server(PAGES).listening("127.0.0.1", 0) as port:
        answer = await ask(port, request_)

    assert answer.split(b" ")[1] == status
    assert answer.endswith(end)


@pytest.mark.parametrize(
    "junk",
    [b"\x00\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET /hello\r\n\r\n", b"G" * 20_000, b"\r\n\r\n"],
)
async def test_junk_is_cut_off(junk):
    async with Server(PAGES).listening("127.0.0.1", 0) as port:
        assert await ask(port, junk) == b""
        assert (await ask(port, b"GET /hello HTTP/1.1\r\n\r\n")).endswith(b"hello\n")


async def test_slow_clients_are_dropped_and_others_served_meanwhile(monkeypatch):
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    async with Server(PAGES).listening("127.0.0.1", 0) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        assert (await ask(port, b"GET /hello HTTP/1.1\r\n\r\n")).endswith(b"hello\n")
        for reader, writer in slow:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("load", "ill"),
    [
        (Load(0, 0, 0, 0.0, 0.0, 1e6), False),
        (Load(5, 10, 0, 30.0, 59.0, 3.0), False),
        (Load(0, 1, 0, 0.0, 121.0, 0.0), True),
        (Load(3, 0, 0, 200.0, 0.0, 121.0), True),
        (Load(500, 10, 0, 200.0, 5.0, 0.1), False),
    ],
)
def test_health_means_that_work_gets_done(load, ill):
    assert bool(problem_of(load, 60.0)) is ill

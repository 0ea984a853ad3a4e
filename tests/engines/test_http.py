"""One HTTP exchange against friendly and hostile servers: outcome, time, memory, what is sent."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import ssl
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from awaited import until

from readiness.engines.connection import READ
from readiness.engines.dialer import Dialer
from readiness.engines.http import AGENT, FRAMING, HttpEngine
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest, Outcome

from .conftest import SHORT, Handler, Server, repeats, request_of, reset, says

BODY_CAP = 64 * 1024  # a request's own, unless it says otherwise
MEMORY = 5 * 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(64 * 1024 * 1024))


def whole(body: bytes, *headers: bytes, status: bytes = OK) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return status + b"".join(h + b"\r\n" for h in headers) + length + b"\r\n" + body


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    await asyncio.sleep(60)


async def slow_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    reset(writer)


async def endless_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(OK)
    for n in itertools.count():
        writer.write(b"".join(b"X-%d-%d: y\r\n" % (n, m) for m in range(100)))
        await writer.drain()
        await asyncio.sleep(0)  # drain() alone does not yield while the kernel takes it all


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
R, M, T, X = Outcome.RESPONSE, Outcome.MALFORMED, Outcome.TIMEOUT, Outcome.RESET
# name, server, outcome, status, truncated
HOSTILE: list[tuple[str, Handler, Outcome, int, bool]] = [
    ("plain", says(whole(b"hello")), R, 200, False),
    ("head and body apart", says(OK, 0.01, b"Content-Length: 2\r\n\r\n", 0.01, b"ok"), R, 200, False),
    ("until close", says(b"HTTP/1.0 200 OK\r\n\r\nhello"), R, 200, False),
    ("no body at all", says(b"HTTP/1.1 204 No Content\r\n\r\n", then="hang"), R, 204, False),
    ("keeps the connection", says(whole(b"ok"), then="hang"), R, 200, False),
    ("answer, then reset", says(whole(b"ok"), then="reset"), R, 200, False),
    ("says more than its length", says(whole(b"ok") + b"HTTP/1.1 500 x\r\n\r\n" * 9), R, 200, False),
    ("bare line feeds", says(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), R, 200, False),
    ("no reason phrase", says(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), R, 200, False),
    ("early hints", says(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"ok")), R, 200, False),
    ("100, then the answer", says(b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"ok")), R, 200, False),
    ("exactly the cap", says(whole(bytes(BODY_CAP))), R, 200, False),
    ("one byte over the cap", says(whole(bytes(BODY_CAP + 1))), R, 200, True),
    ("endless body", repeats(OK + b"\r\n", bytes(65536)), R, 200, True),
    ("endless chunks", repeats(CHUNKED, b"ffff\r\n" + bytes(65535) + b"\r\n"), R, 200, True),
    ("endless chunks of a byte", repeats(CHUNKED, b"1\r\nx\r\n" * 20000), R, 200, True),
    ("endless trailers", repeats(CHUNKED + b"0\r\n", b"X-Y: z\r\n" * 100), M, 200, True),
    ("endless chunk extension", repeats(CHUNKED + b"5;", b"x" * 4096), M, 200, True),
    ("drip in the body", repeats(OK + b"Content-Length: 999\r\n\r\n", b"x", 0.02), R, 200, True),
    ("stall in the body", says(OK + b"Content-Length: 9\r\n\r\nx", then="hang"), R, 200, True),
    ("gzip bomb", says(whole(BOMB, b"Content-Encoding: gzip")), R, 200, False),
    ("gzip bomb in a redirect",
     says(whole(BOMB, b"Content-Encoding: gzip", b"Location: /", status=b"HTTP/1.1 302 x\r\n")), R, 302, False),
    ("redirect to metadata",
     says(whole(b"", b"Location: http://169.254.169.254/", status=b"HTTP/1.1 301 x\r\n")), R, 301, False),
    ("redirect to nonsense",
     says(whole(b"", b"Location: http://[::bad/\xf0\x9f\x98\x87", status=b"HTTP/1.1 302 x\r\n")), R, 302, False),
    ("ANSI in a header", says(whole(b"", b"X-A: \x1b[31mred\x9b1m")), R, 200, False),
    ("folded header", says(whole(b"", b"X-A: one\r\n  two")), R, 200, False),
    ("bare CR in a header", says(whole(b"", b"X-A: one\rX-B: two")), M, 0, False),
    ("NUL in a header", says(whole(b"", b"X-A: one\x00two")), M, 0, False),
    ("a space in a header's name", says(whole(b"", b"X A: one")), M, 0, False),
    ("endless headers", endless_headers, M, 0, False),
    ("101 headers", says(whole(b"", *[b"X: y"] * 101)), M, 0, False),
    ("one header of 20 KiB", says(whole(b"", b"X: " + b"y" * 20480)), M, 0, False),
    ("huge status line", says(b"HTTP/1.1 200 " + b"x" * 100_000), M, 0, False),
    ("endless 100 Continue", repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50), M, 0, False),
    ("an upgrade nobody asked for", says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x00", then="hang"), M, 0, False),
    ("HTTP/0.9", says(b"<html>hello</html>"), M, 0, False),
    ("HTTP/2 preface", says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", then="hang"), M, 0, False),
    ("a TLS alert", says(b"\x15\x03\x01\x00\x02\x02F"), M, 0, False),
    ("SSH", says(b"SSH-2.0-OpenSSH_9.9\r\n", then="hang"), M, 0, False),
    ("HTTP/9.9", says(b"HTTP/9.9 200 OK\r\n\r\n"), M, 0, False),
    ("status 99999", says(b"HTTP/1.1 99999 OK\r\n\r\n"), M, 0, False),
    ("two lengths", says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), M, 0, False),
    ("negative length", says(OK + b"Content-Length: -1\r\n\r\nab"), M, 0, False),
    ("chunked garbage", says(CHUNKED + b"zz\r\nhello\r\n"), M, 200, True),
    ("drip in the headers", repeats(OK + b"X: ", b"y", 0.02), T, 0, False),
    ("says nothing", silent, T, 0, False),
    ("closes without an answer", says(), X, 0, False),
    ("closes within the headers", says(OK + b"X: y"), X, 0, False),
    ("closes within the body", says(OK + b"Content-Length: 100\r\n\r\nhello"), X, 200, True),
    ("closes within a chunk", says(CHUNKED + b"ff\r\nhello"), X, 200, True),
    ("resets at once", slow_reset, X, 0, False),
    ("resets within the body", says(OK + b"Content-Length: 100\r\n\r\nhello", then="reset"), X, 200, True),
]  # fmt: skip


async def ask(dialer: Dialer, hop: Hop, **request: Any) -> HttpAnswer:
    return await HttpEngine(dialer).send(HttpRequest(hop, **request), "run-1")


@pytest.mark.parametrize("row", HOSTILE, ids=[row[0] for row in HOSTILE])
async def test_every_server_costs_its_deadline_at_most_and_is_named(
    serve: Any, dialer: Dialer, row: tuple[str, Handler, Outcome, int, bool]
) -> None:
    _, handler, outcome, status, truncated = row
    server: Server = await serve(handler)
    tracemalloc.start()
    start, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    answer = await ask(dialer, server.hop())
    took, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert (answer.outcome, answer.status, answer.truncated) == (outcome, status, truncated)
    assert took < 3 * SHORT.total
    assert peak < MEMORY
    assert len(answer.body) <= BODY_CAP
    assert server.connections == 1
    assert bool(answer.detail) == (outcome is not R)
    assert len(answer.detail) <= 200
    assert all(text.isprintable() for text in (answer.detail, *itertools.chain(*answer.headers)))
    assert "hello" not in answer.detail


async def test_a_hostile_server_does_not_keep_the_loop_to_itself(
    serve: Any, dialer: Dialer
) -> None:
    server = await serve(repeats(CHUNKED, b"1\r\nx\r\n" * 40_000))
    turns, ended = 0, False

    async def others() -> None:
        nonlocal turns
        while not ended:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    answer = await ask(dialer, server.hop())
    ended = True
    await waiting
    assert answer.truncated
    assert len(answer.body) < BODY_CAP / 2  # framing has a budget of its own
    assert turns >= (BODY_CAP + FRAMING) / READ  # the others had a turn between any two reads


@pytest.mark.parametrize(
    ("cap", "size", "kept"),
    [(10, 11, 10), (10, 10, 10), (200_000, 200_001, 200_000), (10**9, 3 * 2**20, SHORT.body)],
)
async def test_a_request_may_ask_for_less_or_more_body_up_to_the_cap_of_all(
    serve: Any, dialer: Dialer, cap: int, size: int, kept: int
) -> None:
    server = await serve(says(whole(bytes(size))))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    answer = await ask(dialer, server.hop(), cap=cap)
    peak = tracemalloc.get_traced_memory()[1] - before - size
    tracemalloc.stop()
    assert (answer.outcome, len(answer.body), answer.truncated) == (R, kept, kept < size)
    assert peak < MEMORY


async def test_what_an_answer_holds(serve: Any, dialer: Dialer) -> None:
    server = await serve(
        says(0.05, whole(b"hello", b"Set-Cookie: a=1", b"X-B: \tb ", b"set-cookie: b=2"))
    )
    before = time.time()
    answer = await ask(dialer, server.hop())
    assert answer.body == b"hello"
    assert answer.headers == (
        ("set-cookie", "a=1"), ("x-b", "b"), ("set-cookie", "b=2"), ("content-length", "5")
    )  # fmt: skip
    assert 0 < answer.connect < 0.05 <= answer.first_byte <= answer.elapsed < SHORT.total
    assert before <= answer.at <= time.time()


async def test_control_characters_become_visible(serve: Any, dialer: Dialer) -> None:
    server = await serve(says(whole(b"", b"X-A: \x1b[31mr\x9bd\x7f", b"X-C: one\r\n  two")))
    answer = await ask(dialer, server.hop())
    assert answer.header("x-a") == "\ufffd[31mr\ufffdd\ufffd"
    assert answer.header("x-c") == "one two"


async def recorded(serve: Any, dialer: Dialer, **request: Any) -> tuple[HttpAnswer, bytes]:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(whole(b""))
        await writer.drain()

    server = await serve(handler)
    return await ask(dialer, server.hop(), **request), b"".join(seen)


async def test_what_is_sent(serve: Any, dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    _, sent = await recorded(
        serve, dialer, path="/a/../b//c?x=%2F..", headers=(("Origin", "https://x"),)
    )
    line, *headers = sent.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /a/../b//c?x=%2F.. HTTP/1.1"
    assert {h.partition(":")[0].lower(): h.partition(": ")[2] for h in headers[1:]} == {
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "x-readiness-probe": "run-1",
        "origin": "https://x",
    }
    assert headers[0].startswith("Host: app.shop.svc:")


async def test_a_cookie_is_never_sent_back(serve: Any, dialer: Dialer) -> None:
    engine, seen = HttpEngine(dialer), []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(whole(b"", b"Set-Cookie: session=secret; Path=/"))
        await writer.drain()

    server = await serve(handler)
    for _ in range(2):
        await engine.send(HttpRequest(server.hop()), "run")
    assert len(seen) == 2
    assert b"cookie" not in b"".join(seen).lower()


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"method": "GET / HTTP/1.1\r\nX"},
        {"headers": (("X", "a\r\nY: b"),)},
        {"headers": (("X\r\nY", "b"),)},
        {"headers": (("X", "Bearer sécret\udc80"),)},
    ],
    ids=repr,
)
async def test_nothing_that_breaks_the_framing_is_sent(
    serve: Any, dialer: Dialer, wrong: dict[str, Any]
) -> None:
    answer, sent = await recorded(serve, dialer, **wrong)
    assert answer.outcome is Outcome.MALFORMED
    assert sent == b""
    assert "secret" not in answer.detail


async def test_a_header_of_the_control_replaces_the_probers(serve: Any, dialer: Dialer) -> None:
    _, sent = await recorded(
        serve, dialer, headers=(("accept-encoding", "gzip"), ("Host", "evil.test"))
    )
    assert sent.lower().count(b"accept-encoding") == 1
    assert b"accept-encoding: gzip" in sent
    assert sent.count(b"Host:") == 1


async def test_a_path_beyond_ascii_is_percent_encoded(serve: Any, dialer: Dialer) -> None:
    _, sent = await recorded(serve, dialer, path="/café?q=%20&x")
    assert sent.startswith(b"GET /caf%C3%A9?q=%20&x HTTP/1.1\r\n")


async def test_head_has_no_body_to_wait_for(serve: Any, dialer: Dialer) -> None:
    server = await serve(says(OK + b"Content-Length: 999\r\n\r\n", then="hang"))
    answer = await ask(dialer, server.hop(), method="HEAD")
    assert (answer.outcome, answer.truncated) == (R, False)


async def test_refused_and_unresolved(serve: Any, dialer: Dialer) -> None:
    server = await serve(silent)
    gone = Hop(HopKind.POD, "p", "app", 1, "127.0.0.1")
    assert (await ask(dialer, gone)).outcome is Outcome.REFUSED
    denied = Hop(HopKind.EDGE, "x", "elsewhere.example.test", server.port)
    assert (await ask(dialer, denied)).outcome is Outcome.DENIED
    assert server.connections == 0


async def test_the_connection_is_closed_at_once(serve: Any, dialer: Dialer) -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(whole(b"ok"))
        assert await reader.read() == b""
        closed.set()

    server = await serve(handler)
    assert (await ask(dialer, server.hop())).answered
    await asyncio.wait_for(closed.wait(), 0.5)


def tls_of(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


TLS: list[tuple[str, str, dict[str, Any], bool]] = [
    ("good", "app.example.test", {}, True),
    ("of another host", "other.example.test", {}, False),
    ("expired", "app.example.test", {"days": -1}, False),
    ("self-signed", "app.example.test", {"own": True}, False),
]


@pytest.mark.parametrize("row", TLS, ids=[row[0] for row in TLS])
async def test_the_edge_is_verified_and_pods_are_not(
    serve: Any, dialer: Dialer, authority: trustme.CA, row: tuple[str, str, dict[str, Any], bool]
) -> None:
    _, host, how, trusted = row
    issuer = trustme.CA() if how.get("own") else authority
    cert = issuer.issue_cert(host, **_validity(how.get("days", 1)))
    server = await serve(says(whole(b"ok")), tls_of(cert))
    edge = await ask(dialer, server.edge(tls=True))
    assert edge.outcome is (R if trusted else Outcome.TLS)
    assert edge.detail == "" if trusted else edge.detail.startswith("the TLS handshake failed")
    assert edge.connect > 0
    inside = await ask(dialer, server.hop(tls=True))
    assert (inside.outcome, inside.body, inside.truncated) == (R, b"ok", False)


def _validity(days: int) -> dict[str, Any]:
    end = datetime.now(UTC) + timedelta(days=days)
    return {"not_after": end, "not_before": end - timedelta(days=30)}


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (says(whole(b"plain")), Outcome.TLS),
        (repeats(b"", b"\x16\x03\x03\x40\x00" + bytes(16384)), Outcome.TIMEOUT),
        (silent, Outcome.TIMEOUT),
        (slow_reset, Outcome.RESET),
    ],
    ids=["speaks plain HTTP", "endless handshake", "says nothing", "resets"],
)
async def test_bad_tls_is_named(
    serve: Any, dialer: Dialer, handler: Handler, outcome: Outcome
) -> None:
    async def any_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        reader.feed_data(b"\r\n\r\n")
        await handler(reader, writer)

    server = await serve(any_request)
    start = time.perf_counter()
    answer = await ask(dialer, server.hop(tls=True))
    assert answer.outcome is outcome
    assert time.perf_counter() - start < 3 * SHORT.connect


@pytest.mark.parametrize("tls", [False, True])
async def test_hostile_servers_leave_no_connection_behind(
    serve: Any, dialer: Dialer, authority: trustme.CA, tls: bool
) -> None:
    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    context = tls_of(authority.issue_cert("app.example.test")) if tls else None
    for handler in (repeats(OK + b"\r\n", bytes(65536)), waits):
        server = await serve(handler, context)
        await asyncio.gather(*(ask(dialer, server.hop(tls=tls)) for _ in range(8)))
        await until(lambda server=server: not server.open)
        assert server.connections == 8

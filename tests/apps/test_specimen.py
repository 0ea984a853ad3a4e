"""The specimen keeps its contract: it starts or says why not, streams, bounds requests, and drains."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from specimen.app import Shop
from specimen.config import Config, ConfigError
from specimen.defects import DEFECTS, planted
from specimen.http import Server

APPS = Path(__file__).resolve().parents[2] / "e2e" / "apps"
HEALTHY = Config()
CHUNKED = b"POST /api/feedback HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n%s\r\n%s"
GET = b"GET %s HTTP/1.1\r\nHost: shop\r\n\r\n"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"PORT": "eighty"}, "PORT"),
        ({"DRAIN": "-1"}, "DRAIN"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"CORS_ORIGINS": "shop.example.com"}, "CORS_ORIGINS"),
        ({"TLS_PORT": "8443"}, "TLS_CERT"),
        ({"ENVIRONMENT": "production"}, "API_TOKEN"),
        ({"STORE": "s3"}, "pip install shop-store-s3"),
        ({"DEFECTS": "HDR-002/no-such"}, "HDR-002/no-such"),
    ],
)
def test_a_wrong_setting_ends_it_at_once_and_is_named(
    setting: dict[str, str], complaint: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(APPS)],
        env=os.environ | setting,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert complaint in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"LOG_LEVEL.*PORT"):
        Config.read({"PORT": "x", "LOG_LEVEL": "y"})


async def test_requests_under_way_are_finished_and_idle_connections_closed() -> None:
    server = Server(Shop(Config()))
    port = await server.listen("127.0.0.1", 0)
    busy, idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    idle[1].write(GET % b"/health")
    await idle[0].readuntil(b"}")
    busy[1].write(GET % b"/slow?seconds=1")
    head = await busy[0].readuntil(b"started\n")

    draining = asyncio.create_task(server.drain(10))

    assert b"200 OK" in head
    assert await asyncio.wait_for(idle[0].read(), 5) == b""
    assert b"done\n" in await busy[0].read()
    assert await draining
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    for _, writer in (busy, idle):
        writer.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: shop\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (CHUNKED % (b"Content-Length: 9\r\n", b"0\r\n\r\n"), 400),
        (CHUNKED % (b"", b"nonsense\r\n"), 400),
        (CHUNKED % (b"", b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"), 202),
        (CHUNKED % (b"", b"5;a=b\r\n[1,2]\r\n0\r\n\r\n"), 400),
        (CHUNKED % (b"", b"FFFFF\r\n%s\r\nFF\r\n" % (b"x" * 0xFFFFF) + b"x" * 0xFF), 413),
        (b"GET / HTTP/1.1\r\nHost: shop\r\nX: %s\r\n\r\n" % (b"a" * 20000), 431),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n", 405),
        (b"HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n", 200),
    ],
)
async def test_requests_are_bounded(request_: bytes, status: int) -> None:
    (answer,) = await exchange((), request_)

    assert answer.startswith(b"HTTP/1.1 %d " % status)


async def test_a_connection_carries_several_requests() -> None:
    first, second = await exchange((), GET % b"/nope", GET % b"/api/catalog")

    assert first.startswith(b"HTTP/1.1 404 ")
    assert second.startswith(b"HTTP/1.1 200 ")


async def test_a_valid_token_is_let_in() -> None:
    head = b"GET /api/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer let-me-in\r\n\r\n"

    (answer,) = await exchange((), head, config=Config(api_token="let-me-in"))

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_leaves_the_application_running(defect: str) -> None:
    (answer,) = await exchange((defect,), GET % b"/api/catalog")

    assert answer.startswith(b"HTTP/1.1 200 ")


async def exchange(
    defects: Sequence[str], *requests: bytes, config: Config = HEALTHY
) -> list[bytes]:
    """The heads of the answers to requests on one connection."""
    server = Server(planted(Shop(config), tuple(defects)))
    port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heads = []
    for each in requests:
        writer.write(each)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        length = next(
            (x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")), b": 0"
        )
        if not each.startswith(b"HEAD"):
            await reader.readexactly(int(length.partition(b":")[2]))
        heads.append(head)
    writer.close()
    await server.drain(1)
    return heads


def test_sigterm_ends_the_process_with_zero() -> None:
    child = subprocess.Popen(
        [sys.executable, str(APPS)],
        env=os.environ | {"PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    rest, _ = child.communicate(timeout=10)

    assert child.returncode == 0
    assert "stopped" in rest

"""Applications asked while the primary of their data service is away: what counts as one time in which they are ill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from readiness.engines import Dialer, Egress, Guard, build_trust
from readiness.engines.failover.served import IN_A_ROW, Watch, asker
from readiness.failover import Application

API = Application("api", "api.shop.svc", "203.0.113.9", 80, "/deep")


async def nobody(_: Application) -> bool:
    return True


@pytest.mark.parametrize(
    ("answers", "down", "well"),
    [
        ("+++++", [], True),
        ("++--+++", [(2.0, 4.5)], True),
        ("+-+-+-+++", [(1.0, 6.5)], True),
        ("-+++-+++", [(0.0, 1.5), (4.0, 5.5)], True),
        ("++-", [(2.0, 2.5)], False),
        ("++-++", [(2.0, 4.5)], False),
    ],
)
def test_errors_that_come_and_go_are_one_time(answers: str, down: list[tuple[float, float]], well: bool):  # fmt: skip
    """One question a second, each answered half a second later."""
    clock = [0.0]
    watch = Watch(API, nobody, lambda: clock[0])
    for second, sign in enumerate(answers):
        clock[0] = second + 0.5
        watch.take(float(second), well=sign == "+")
    served = watch.served()

    assert IN_A_ROW == 3
    assert (served.asked, list(served.down), served.well) == (len(answers), down, well)


@asynccontextmanager
async def application(status: str) -> AsyncIterator[int]:
    """One that answers everybody so, or hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if status:
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("status", "well"), [("200", True), ("404", True), ("500", False), ("503", False), ("", False)])  # fmt: skip
async def test_what_an_application_answers(status: str, well: bool):
    async def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    ask = asker(Dialer(Guard(Egress(("127.0.0.1",)), resolve), build_trust()), "run1")
    async with application(status) as port:
        assert await ask(Application("api", "api.shop.svc", "127.0.0.1", port, "/")) is well

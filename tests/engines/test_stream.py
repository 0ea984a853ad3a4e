"""Streams during rollouts: paced, bounded, on new and kept connections, and told once when all is well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from awaited import until

from readiness.engines import Engines, stream
from readiness.engines.dialer import Dialer
from readiness.engines.stream import FEWEST, passage_of
from readiness.model import Outcome
from readiness.request import Stream
from readiness.timeline import NEVER, Exchange

from .test_engines import FAST, KEY

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Service:
    """What a Service leads to: answers, and what it does from the n-th request on."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.takes = 0.0
        self.broken: range = range(0)

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = 0
        while await reader.readuntil(b"\r\n\r\n"):
            mine += 1
            self.requests.append(mine)
            if len(self.requests) in self.broken:
                return
            await asyncio.sleep(self.takes)
            writer.write(OK)
            await writer.drain()


@pytest.fixture
async def engines(dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(stream, "EVERY", 0.005)
    woken: list[tuple[str, str]] = []
    found = Engines(dialer, woken.append, limits=FAST)
    found.woken = woken
    yield found
    await found.close()


def asked(server: Any, **more: Any) -> Stream:
    return Stream("api", "t2", "/", server.hop(), **more)


async def test_a_rollout_is_watched_on_new_and_kept_connections_until_it_is_over(
    engines: Any, serve: Any
) -> None:
    service = Service()
    server = await serve(service.handler)
    engines.follow(KEY, [asked(server, begins=True)])
    await until(lambda: len(service.requests) >= FEWEST)
    engines.follow(KEY, [asked(server, begins=True)])  # seen again before the status tells it
    engines.follow(KEY, [asked(server)])
    assert engines.passages(KEY) == []
    engines.follow(KEY, [asked(server, over=True)])
    await until(lambda: engines.woken)

    ((target, seen),) = engines.passages(KEY)
    assert (target, seen.template, seen.lost) == ("api", "t2", ())
    assert seen.sent == len(service.requests)
    assert engines.passages(KEY) == []
    assert server.connections == pytest.approx(len(service.requests) / 2, abs=2)
    assert max(service.requests) == pytest.approx(len(service.requests) / 2, abs=2)


async def test_what_is_lost_is_counted_by_its_kind(engines: Any, serve: Any) -> None:
    service = Service()
    service.broken = range(5, 8)
    server = await serve(service.handler)
    engines.follow(KEY, [asked(server, begins=True)])
    await until(lambda: len(service.requests) >= FEWEST)
    engines.follow(KEY, [asked(server, over=True)])
    await until(lambda: engines.woken)

    ((_, seen),) = engines.passages(KEY)
    assert seen.lost == (("reset", 3),)


@pytest.mark.parametrize("then", [[], [Stream("api", "t3", "/", None)]], ids=["none", "another"])
async def test_a_stream_that_is_not_asked_for_any_more_ends_and_tells_nothing(
    engines: Any, serve: Any, then: list[Stream]
) -> None:
    service = Service()
    server = await serve(service.handler)
    engines.follow(KEY, [asked(server, begins=True)])
    await until(lambda: len(service.requests) >= FEWEST)
    engines.follow(KEY, then)
    await asyncio.sleep(0.05)
    count = len(service.requests)
    await asyncio.sleep(0.05)

    assert len(service.requests) == count
    assert (engines.passages(KEY), engines.woken) == ([], [])


async def test_a_stream_ends_in_the_middle_of_a_request_too(engines: Any, serve: Any) -> None:
    service = Service()
    service.takes = 0.05
    server = await serve(service.handler)
    engines.follow(KEY, [asked(server, begins=True)])
    await until(lambda: service.requests)
    engines.follow(KEY, [])
    await asyncio.sleep(0.3)

    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "way", [{"begins": False}, {"begins": True, "hop": None}], ids=["no rollout", "no way"]
)
async def test_nothing_is_sent_without_a_rollout_or_a_way(
    engines: Any, serve: Any, way: dict[str, Any]
) -> None:
    service = Service()
    server = await serve(service.handler)
    engines.follow(KEY, [Stream(**{"target": "api", "template": "t2", "path": "/", "hop": server.hop()} | way)])  # fmt: skip
    await asyncio.sleep(0.05)

    assert service.requests == []


async def test_no_stream_lasts_for_ever_and_few_run_at_once(
    engines: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST", 25)
    service = Service()
    server = await serve(service.handler)
    for n in range(stream.AT_ONCE + 3):
        engines.follow(("shop", f"p{n}"), [asked(server, begins=True)])
    await until(lambda: len(engines.woken) == stream.AT_ONCE)
    await asyncio.sleep(0.05)

    assert len(service.requests) == 25 * stream.AT_ONCE


def exchange(outcome: Outcome = Outcome.RESPONSE, status: int = 200) -> Exchange:
    whole = outcome is Outcome.RESPONSE
    first = 0.1 if whole else NEVER
    return Exchange("rollout", 0, 0, 0.0, 0.1, first, 0.2, outcome, status if whole else 0, whole=whole)  # fmt: skip


@pytest.mark.parametrize(
    ("odd", "lenient", "lost"),
    [
        (exchange(status=404), False, ()),
        (exchange(status=429), False, ()),
        (exchange(status=500), False, (("error", 1),)),
        (exchange(status=503), False, (("turned away", 1),)),
        (exchange(status=503), True, ()),
        (exchange(status=500), True, (("error", 1),)),
        (exchange(Outcome.REFUSED), True, (("refused", 1),)),
    ],
)
def test_what_counts_as_lost(odd: Exchange, lenient: bool, lost: tuple[Any, ...]) -> None:
    seen = [exchange()] * FEWEST + [odd] + [exchange()] * 4

    found = passage_of(Stream("api", "t", "/", lenient=lenient), seen, 7)
    assert found is not None
    assert (found.sent, found.lost, found.ended) == (FEWEST + 5, lost, 7)


@pytest.mark.parametrize(
    ("why", "seen"),
    [
        ("too short", [exchange()] * (FEWEST - 1)),
        ("not well after it", [*[exchange()] * FEWEST, exchange(status=500)]),
        ("our own guard refused", [exchange()] * (FEWEST - 1) + [exchange(Outcome.DENIED)] * 9),
    ],
)
def test_what_says_nothing_about_the_rollout(why: str, seen: list[Exchange]) -> None:
    assert passage_of(Stream("api", "t", "/"), seen, 7) is None, why

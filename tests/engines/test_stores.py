"""Looks at data services in the background: one task for each, a wake-up only for what is new."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from readiness.dataservices.command import Command, Tell
from readiness.dataservices.order import Look
from readiness.engines.stores import Driver, Stores
from readiness.snapshot import Seen, Told

KEY = ("ns", "shop")


def look(service: str = "cache", address: str = "10.0.0.1") -> Look:
    order: Any = SimpleNamespace(service=SimpleNamespace(name=service))
    return Look("redis", order, {"cache-0": address})


class Bench:
    """Stores with a driver that answers what the test says."""

    def __init__(self) -> None:
        self.answers = Seen(primary="cache-0")
        self.asked: list[Look] = []
        self.woken: list[tuple[str, str]] = []
        self.ended = asyncio.Event()
        self.acts: list[object] = []
        self.word, self.free = "", asyncio.Event()
        self.free.set()
        driver = Driver(self.look, self.tell)
        self.stores = Stores(self.woken.append, lambda _kind: driver, every=0.01, clock=lambda: 7.0)

    async def look(self, asked: Look) -> Seen:
        return await self.drive(asked)

    async def drive(self, asked: Look) -> Seen:
        self.asked.append(asked)
        self.ended.set()
        return self.answers

    async def tell(self, _asked: Look, act: object) -> str:
        self.acts.append(act)
        await self.free.wait()
        return self.word

    def order(self, act: object) -> None:
        self.stores.order(KEY, [Command(look(), Tell(act, "it is so"))])

    async def after(self, looks: int) -> None:
        """Until so many more looks have ended."""
        for _ in range(looks):
            self.ended.clear()
            await self.ended.wait()


@pytest.fixture
async def bench():
    found = Bench()
    yield found
    await found.stores.close()


async def test_only_what_is_new_wakes(bench: Bench):
    bench.stores.follow(KEY, [look()])
    await bench.after(4)
    assert (bench.woken, bench.stores.seen(KEY)) == ([KEY], {"cache": Seen(primary="cache-0")})

    bench.answers = Seen(primary="cache-0", lag=3)
    await bench.after(3)
    assert bench.woken == [KEY], "a lag moves by itself"

    bench.answers = Seen(primary="cache-1")
    await bench.after(3)
    assert bench.woken == [KEY, KEY]


async def test_the_newest_addresses_are_asked(bench: Bench):
    bench.stores.follow(KEY, [look()])
    await bench.after(1)
    bench.stores.follow(KEY, [look(address="10.0.0.2")])
    await bench.after(2)

    assert bench.asked[-1].addresses == {"cache-0": "10.0.0.2"}
    assert len(asyncio.all_tasks()) == 2, "one task, and the test's own"


async def test_what_is_no_longer_asked_for_is_no_longer_looked_at(bench: Bench):
    bench.stores.follow(KEY, [look(), look("queue")])
    bench.stores.follow(("ns", "other"), [look()])
    await bench.after(2)
    bench.stores.follow(KEY, [look("queue")])
    await bench.after(1)
    bench.asked.clear()
    await bench.after(4)

    assert bench.stores.seen(KEY).keys() == {"queue"}
    assert {each.order.service.name for each in bench.asked} == {"cache", "queue"}
    bench.stores.follow(("ns", "other"), ())
    await asyncio.sleep(0.05)
    bench.asked.clear()
    await bench.after(2)
    assert {each.order.service.name for each in bench.asked} == {"queue"}


async def test_a_kind_without_a_driver_is_not_looked_at():
    stores = Stores(lambda _key: None, lambda _kind: None)
    stores.follow(KEY, [look()])

    assert stores.seen(KEY) == {}


async def test_a_look_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch, bench: Bench):
    monkeypatch.setattr("readiness.engines.stores.DEADLINE", 0.02)

    async def hang(_asked: Look) -> Seen:
        await asyncio.sleep(60)
        raise AssertionError

    bench.drive = hang
    bench.stores.follow(KEY, [look()])
    await asyncio.sleep(0.1)

    assert bench.stores.seen(KEY) == {"cache": Seen(reason="Unreachable")}


async def test_one_thing_is_told_at_a_time_and_looked_at_before_the_next(bench: Bench):
    bench.stores.follow(KEY, [look()])
    await bench.after(2)
    assert bench.stores.seen(KEY)["cache"].busy is False
    bench.free.clear()
    bench.order("first")
    bench.order("second")
    await bench.after(3)
    assert (bench.acts, bench.stores.seen(KEY)["cache"].busy) == (["first"], True)

    bench.woken.clear()
    bench.word = "Refused"
    bench.free.set()
    await bench.after(3)
    seen = bench.stores.seen(KEY)["cache"]
    assert (seen.busy, seen.told) == (False, Told("first", "Refused", 7.0))
    assert bench.woken, "it is news"


async def test_what_is_told_again_is_counted_and_what_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch, bench: Bench):  # fmt: skip
    monkeypatch.setattr("readiness.engines.stores.TELL_DEADLINE", 0.02)
    bench.stores.follow(KEY, [look()])
    await bench.after(1)
    for _ in range(2):
        bench.order("again")
        await bench.after(3)
    assert bench.stores.seen(KEY)["cache"].told == Told("again", "", 7.0, 2)

    bench.free.clear()
    bench.order("other")
    await asyncio.sleep(0.1)
    assert bench.stores.seen(KEY)["cache"].told == Told("other", "TimedOut", 7.0)


async def test_nobody_is_told_who_is_not_looked_at(bench: Bench):
    bench.order("first")
    bench.stores.follow(KEY, [look()])
    await bench.after(1)
    bench.free.clear()
    bench.order("second")
    await bench.after(1)
    bench.stores.follow(KEY, ())
    await asyncio.sleep(0.05)

    assert bench.acts == ["second"]
    assert len(asyncio.all_tasks()) == 1, "the test's own"


async def test_a_look_that_nobody_foresaw_to_fail_is_logged_and_begun_anew(bench: Bench, caplog: pytest.LogCaptureFixture):  # fmt: skip
    async def fail(_asked: Look) -> Seen:
        raise KeyError("ip")

    works, bench.drive = bench.drive, fail
    bench.stores.follow(KEY, [look()])
    await asyncio.sleep(0.05)
    assert "look at ns/cache failed" in caplog.text
    assert bench.stores.seen(KEY) == {}

    bench.drive = works
    bench.stores.follow(KEY, [look()])
    await bench.after(2)
    assert bench.stores.seen(KEY) == {"cache": Seen(primary="cache-0")}

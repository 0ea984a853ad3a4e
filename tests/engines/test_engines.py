"""Batches and pace: once per equal request, in order, in turn, within rates; nothing blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from awaited import turns, until

from readiness.engines import Engines, Limits
from readiness.engines.batch import KEPT
from readiness.engines.connection import Clock
from readiness.engines.dialer import Dialer, Trust
from readiness.engines.guard import Egress, Guard
from readiness.engines.pace import Pace
from readiness.request import (
    Hop,
    HopKind,
    HttpAnswer,
    HttpRequest,
    Outcome,
    Trial,
    WireRequest,
)

from .conftest import LOOPBACK, SHORT, Names, request_of, says

KEY = ("shop", "checkout")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAST = Limits(
    target_rate=1000,
    target_burst=100,
    address_rate=1000,
    address_burst=100,
    cluster_rate=1000,
    cluster_burst=100,
)


class World:
    """Engines with a list of wakings and of the paths a server saw, in order."""

    def __init__(self, dialer: Dialer, limits: Limits = FAST) -> None:
        self.woken: list[tuple[str, str]] = []
        self.engines = Engines(dialer, self.woken.append, limits=limits, run_id=lambda: "run-1")


@pytest.fixture
async def world(dialer: Dialer) -> Any:
    world = World(dialer)
    yield world
    await world.engines.close()


def get(hop: Hop, path: str = "/", **more: Any) -> HttpRequest:
    return HttpRequest(hop, path, **more)


@pytest.fixture
async def paths(serve: Any) -> Any:
    """A server that answers everything and the paths it was asked for."""
    seen: list[str] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await request_of(reader)).split()[1].decode())
        writer.write(OK)
        await writer.drain()

    return await serve(handler), seen


async def test_a_batch_answers_every_request_of_every_trial(world: World, paths: Any) -> None:
    server, seen = paths
    a, b = get(server.hop(), "/a"), get(server.hop(), "/b")
    wire = WireRequest(server.hop(), (b"GET /w HTTP/1.1\r\nHost: a\r\n\r\n",), linger=0.2)
    trials = [Trial("HLT-001", "api", (a, b)), Trial("HDR-001", "api", (b, wire, a))]
    assert await world.engines.run(KEY, trials) == {}
    found = await world.engines.finish(KEY)
    assert set(found) == {("HLT-001", "api"), ("HDR-001", "api")}
    assert set(found["HDR-001", "api"].answers) == {b, wire, a}
    assert all(x.outcome is Outcome.RESPONSE for f in found.values() for x in f.answers.values())
    assert seen == ["/a", "/b", "/w"]  # in order, equal requests once
    assert found["HLT-001", "api"].at > 1e9
    assert world.woken == [KEY]


async def test_the_same_request_with_another_number_is_another_one(
    world: World, paths: Any
) -> None:
    server, seen = paths
    trial = Trial("X-1", "api", tuple(get(server.hop(), "/", nth=n) for n in range(3)))
    await world.engines.run(KEY, [trial])
    await world.engines.finish(KEY)
    assert len(seen) == 3


async def test_a_target_is_paced_over_all_its_addresses(dialer: Dialer, paths: Any) -> None:
    """Three pods of one target are one application to whoever runs it."""
    server, _ = paths
    limits = replace(FAST, target_rate=20, target_burst=1)
    engines = Engines(dialer, lambda _: None, limits=limits, run_id=lambda: "run-1")
    asked = tuple(get(replace(server.hop(), name=f"pod-{n}"), "/") for n in range(5))
    started = asyncio.get_running_loop().time()
    await engines.run(KEY, [Trial("HLT-001", "api", asked)])
    await engines.finish(KEY)
    await engines.close()
    assert asyncio.get_running_loop().time() - started >= 4 / 20


async def test_run_never_waits_and_a_later_pass_reads(world: World, serve: Any) -> None:
    server = await serve(says(0.1, OK))
    trial = Trial("HLT-001", "api", (get(server.hop()),))
    assert await world.engines.run(KEY, [trial]) == {}
    assert await world.engines.run(KEY, [trial]) == {}
    await until(lambda: world.woken)
    found = await world.engines.run(KEY, [trial])
    assert found["HLT-001", "api"].answers[trial.requests[0]].outcome is Outcome.RESPONSE
    assert server.connections == 1
    assert await world.engines.run(KEY, []) == {}  # forgotten once read
    assert world.woken == [KEY]


async def test_an_answer_to_another_question_is_dropped_and_asked_anew(
    world: World, paths: Any
) -> None:
    server, seen = paths
    await world.engines.run(KEY, [Trial("HLT-001", "api", (get(server.hop(), "/old"),))])
    await until(lambda: world.woken)
    new = Trial("HLT-001", "api", (get(server.hop(), "/new"),))
    assert await world.engines.run(KEY, [new]) == {}
    assert set(await world.engines.finish(KEY)) == {("HLT-001", "api")}
    assert seen == ["/old", "/new"]


async def test_a_slow_policy_delays_no_other(world: World, serve: Any, paths: Any) -> None:
    server, _ = paths
    slow = await serve(says(60.0))
    await world.engines.run(KEY, [Trial("HLT-001", "slow", (get(slow.hop()),))])
    other = ("shop", "other")
    await world.engines.run(other, [Trial("HLT-001", "api", (get(server.hop()),))])
    assert await world.engines.finish(other)
    assert world.woken == [other]


async def test_a_slow_target_delays_no_other_target(world: World, serve: Any, paths: Any) -> None:
    server, _ = paths
    slow = await serve(says(60.0))
    fine = Trial("HLT-001", "api", (get(server.hop()),))
    await world.engines.run(KEY, [Trial("HLT-001", "a-slow", (get(slow.hop()),)), fine])
    await until(lambda: server.open == 0 < server.connections)
    await turns()
    assert set(await world.engines.run(KEY, [fine])) == {("HLT-001", "api")}
    assert world.woken == []


@pytest.mark.parametrize("stop", ["forget", "ask nothing"])
async def test_a_policy_that_is_gone_or_suspended_ends_the_exchange(
    world: World, dialer: Dialer, serve: Any, stop: str
) -> None:
    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    dialer.caps = replace(SHORT, total=60.0)
    server = await serve(waits)
    trial = Trial("HLT-001", "api", (get(server.hop()),))
    await world.engines.run(KEY, [trial])
    await until(lambda: server.connections)
    if stop == "forget":
        world.engines.forget(KEY)
    else:
        assert await world.engines.run(KEY, []) == {}
    assert await world.engines.finish(KEY) == {}
    await until(lambda: not server.open)
    assert world.woken == []
    dialer.caps = SHORT
    assert await world.engines.run(KEY, [trial]) == {}  # and it can begin again
    assert await world.engines.finish(KEY)


async def test_what_was_brought_for_a_policy_that_is_gone_is_dropped(
    world: World, paths: Any
) -> None:
    trial = Trial("HLT-001", "api", (get(paths[0].hop()),))
    await world.engines.run(KEY, [trial])
    await until(lambda: world.woken)
    world.engines.forget(KEY)
    assert await world.engines.finish(KEY) == {}


async def test_a_crash_inside_is_one_aborted_answer(
    paths: Any, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = paths

    async def broken(host: str, port: int) -> list[str]:
        raise RuntimeError("canary-in-exception-text")

    world = World(Dialer(Guard(LOOPBACK, broken), trust, caps=SHORT))
    bad, good = get(server.edge()), get(server.hop())
    await world.engines.run(KEY, [Trial("HLT-001", "api", (bad, good))])
    answers = (await world.engines.finish(KEY))["HLT-001", "api"].answers
    assert answers[bad].outcome is Outcome.ABORTED
    assert answers[good].outcome is Outcome.RESPONSE
    assert "canary" not in f"{answers[bad]}{caplog.text}"
    await world.engines.close()


async def test_bodies_have_a_budget_per_batch(world: World, serve: Any) -> None:
    body = bytes(SHORT.wire)
    server = await serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    count = KEPT // len(body) + 4
    trial = Trial("X-1", "api", tuple(get(server.hop(), nth=n) for n in range(count)))
    await world.engines.run(KEY, [trial])
    answers = (await world.engines.finish(KEY))["X-1", "api"].answers
    bodies = [a for a in answers.values() if isinstance(a, HttpAnswer)]
    assert sum(len(a.body) for a in bodies) == KEPT
    assert [a.truncated for a in bodies] == [False] * (count - 4) + [True] * 4


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)

    @property
    def clock(self) -> Clock:
        return Clock(wall=lambda: self.now, steady=lambda: self.now, sleep=self.sleep)


async def test_an_unreachable_address_is_not_tried_forever(trust: Trust) -> None:
    tried = 0

    async def hangs(host: str, port: int) -> list[str]:
        nonlocal tried
        tried += 1
        await asyncio.sleep(60)
        return []

    caps = replace(SHORT, connect=0.02)
    world = World(Dialer(Guard(LOOPBACK, hangs), trust, caps=caps))
    edge = Hop(HopKind.EDGE, "e", "app.example.test", 80)
    trials = [Trial(f"X-{n}", "api", (get(edge, f"/{n}"),)) for n in range(9)]
    await world.engines.run(KEY, trials)
    found = await world.engines.finish(KEY)
    outcomes = {a.outcome for f in found.values() for a in f.answers.values()}
    assert (tried, outcomes, len(found)) == (2, {Outcome.TIMEOUT}, 9)
    await world.engines.close()


async def test_after_waits_from_the_end_of_the_previous_request(paths: Any, trust: Trust) -> None:
    server, _ = paths
    time = Time()
    dialer = Dialer(Guard(LOOPBACK, Names()), trust, caps=SHORT, clock=time.clock)
    world = World(dialer)
    trial = Trial("HLT-001", "api", (get(server.hop(), "/a"), get(server.hop(), "/b", after=7.0)))
    await world.engines.run(KEY, [trial])
    await world.engines.finish(KEY)
    assert 1007.0 <= time.now < 1008.0
    await world.engines.close()


Enter = Callable[[str, str], Awaitable[None]]


async def admitted(
    pace: Pace, time: Time, *wanted: tuple[str, str]
) -> list[tuple[float, str, str]]:
    """When each of `wanted` was let in, in that order; every turn ends at once."""
    log: list[tuple[float, str, str]] = []

    async def one(namespace: str, address: str) -> None:
        async with pace.turn(namespace, address):
            log.append((time.now - 1000.0, namespace, address))

    await asyncio.gather(*(one(*w) for w in wanted))
    return log


async def test_two_hundred_policies_on_one_service_do_not_add_up() -> None:
    time = Time()
    pace = Pace(Limits(), time.clock)
    log = await admitted(pace, time, *[(f"ns-{n % 7}", "10.1.2.3") for n in range(200)])
    moments = [moment for moment, _, _ in log]
    assert len(moments) == 200
    gaps = [b - a for a, b in pairwise(moments)]
    assert min(gaps) >= 0.5 - 1e-6
    assert moments[-1] == pytest.approx(99.5)


async def test_the_cluster_rate_holds_over_all_addresses() -> None:
    time = Time()
    limits = Limits()
    log = await admitted(
        Pace(limits, time.clock), time, *[("ns", f"10.0.0.{n}") for n in range(220)]
    )
    moments = [moment for moment, _, _ in log]
    for start in (0.0, 1.0, 5.0):
        within = sum(start <= m < start + 1 for m in moments)
        assert within <= limits.cluster_rate + limits.cluster_burst
    assert moments[-1] == pytest.approx((220 - limits.cluster_burst) / limits.cluster_rate)


async def test_namespaces_take_turns() -> None:
    time = Time()
    greedy = [("greedy", f"10.0.{n // 250}.{n % 250}") for n in range(500)]
    log = await admitted(Pace(Limits(), time.clock), time, *greedy, ("modest", "10.9.9.9"))
    assert next(i for i, (_, ns, _) in enumerate(log) if ns == "modest") <= 2


async def test_no_more_than_the_cap_are_in_flight_and_slots_come_back() -> None:
    limits = replace(FAST, in_flight=4, share=40)
    pace = Pace(limits, Clock())
    now = most = 0

    async def one(n: int) -> None:
        nonlocal now, most
        async with pace.turn("ns", f"10.0.0.{n}"):
            now += 1
            most = max(most, now)
            try:
                await asyncio.sleep(0.005)
            finally:
                now -= 1

    tasks = [asyncio.create_task(one(n)) for n in range(40)]
    await asyncio.sleep(0.007)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(one(n) for n in range(20)))
    assert most == 4


async def test_a_turn_given_to_one_who_has_just_left_goes_to_the_next() -> None:
    pace = Pace(replace(FAST, in_flight=1), Clock())

    async def one(address: str) -> str:
        async with pace.turn("ns", address):
            return address

    async with pace.turn("ns", "10.0.0.1"):
        leaving = asyncio.create_task(one("10.0.0.2"))
        await until(lambda: pace._waiting)
        turn = pace._waiting["ns"][0]
    while not turn.done():  # noqa: ASYNC110 -- the very moment between being let in and waking up
        await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(1):
        assert await one("10.0.0.3") == "10.0.0.3"


async def test_a_namespace_of_hanging_servers_leaves_slots_to_others() -> None:
    pace = Pace(replace(FAST, in_flight=4, share=3), Clock())

    async def hang(n: int) -> None:
        async with pace.turn("hanging", f"10.0.0.{n}"):
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(hang(n % 5)) for n in range(20)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(1):
        async with pace.turn("other", "10.0.0.4"):
            pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_idle_addresses_are_forgotten() -> None:
    time = Time()
    pace = Pace(replace(FAST, cluster_burst=10_000), time.clock)
    for n in range(5000):
        async with pace.turn("ns", f"10.1.{n // 250}.{n % 250}"):
            pass
        time.now += 1.0
    assert len(pace._gates) <= 1024


def test_the_defaults_are_what_the_design_says() -> None:
    assert (Limits().address_rate, Limits().cluster_rate, Limits().in_flight) == (2, 20, 32)
    assert Egress().allow == ()

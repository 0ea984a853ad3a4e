"""The keyed queue in virtual time: order, fairness, back-off, deadlines, and poison that stays alone."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from virtualtime import run

from readiness.scheduler import Queue


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[None]], **options):
    queue = Queue(work, rng=random.Random(1), **options)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        queue.close()
        await task


def test_a_key_added_many_times_is_worked_on_once_and_again_if_added_meanwhile():
    async def main():
        passes = []

        async def work(key):
            passes.append((key, now()))
            await asyncio.sleep(1)

        async with running(work) as queue:
            for _ in range(5):
                queue.add("a")
            await asyncio.sleep(0.5)
            for _ in range(5):
                queue.add("a")
            await asyncio.sleep(5)
        return passes

    assert run(main()) == [("a", 0.0), ("a", 1.0)]


def test_one_key_is_never_worked_on_twice_at_the_same_time():
    async def main():
        inside, most = set(), 0

        async def work(key):
            nonlocal most
            assert key not in inside
            inside.add(key)
            most = max(most, len(inside))
            await asyncio.sleep(0.1)
            inside.discard(key)

        async with running(work, workers=3) as queue:
            for step in range(300):
                queue.add(f"k{step % 7}")
                await asyncio.sleep(0.01)
            await asyncio.sleep(2)
        return most

    assert run(main()) == 3


def test_the_earliest_time_holds_and_a_pass_clears_it():
    async def main():
        times = []

        async def work(key):
            times.append(now())

        async with running(work) as queue:
            queue.add_at("a", 50)
            queue.add_at("a", 20)
            queue.add_at("a", 30)
            await asyncio.sleep(100)
            queue.add_after("a", 40)
            queue.add("a")
            await asyncio.sleep(1)
            assert queue.load().scheduled == 0
            await asyncio.sleep(100)
        return times

    assert run(main()) == [20, 100]


def test_a_time_set_during_a_pass_survives_the_pass():
    async def main():
        times = []

        async def work(key):
            times.append(now())
            if len(times) == 1:
                queue.add_after("a", 0.5)
                await asyncio.sleep(2)
                queue.add_after("a", 900)

        async with running(work) as queue:
            queue.add("a")
            await asyncio.sleep(10)
        return times

    assert run(main()) == [0, 2]


def test_a_failing_key_backs_off_to_a_cap_and_starts_anew_after_success():
    async def main():
        times, failing = [], True

        async def work(key):
            times.append(now())
            if failing:
                raise RuntimeError("no")

        async with running(work) as queue:
            queue.add("bad")
            await asyncio.sleep(20_000)
            gaps = [b - a for a, b in itertools.pairwise(times)]
            failing = False
            await asyncio.sleep(2_000)
            failing, before = True, len(times)
            queue.add("bad")
            await asyncio.sleep(0.1)
            return gaps, len(times) - before

    gaps, fresh = run(main())

    assert 0.004 <= gaps[0] <= 0.005
    assert all(later > earlier for earlier, later in itertools.pairwise(gaps[:17]))
    assert max(gaps) <= 1000
    assert max(gaps) >= 800
    assert fresh >= 4


@pytest.mark.parametrize("poison", [RuntimeError("x"), RecursionError("deep"), MemoryError()])
def test_poison_stays_alone(poison, caplog):
    async def main():
        done = []

        async def work(key):
            if key == "poison":
                raise poison
            done.append(key)

        async with running(work, workers=1) as queue:
            queue.add("poison")
            for number in range(20):
                queue.add(f"good{number}")
            await asyncio.sleep(0)
            await asyncio.sleep(1)
        return done

    assert len(run(main())) == 20
    assert "poison" in caplog.text


def test_a_pass_that_hangs_ends_at_its_deadline():
    async def main():
        done = []

        async def work(key):
            if key == "hang":
                await asyncio.Event().wait()
            done.append((key, now()))

        async with running(work, workers=1, deadline=60) as queue:
            queue.add("hang")
            queue.add("next")
            await asyncio.sleep(59)
            assert queue.load().longest == 59
            assert queue.load().oldest == 59
            await asyncio.sleep(2)
        return done

    assert run(main()) == [("next", 60.0)]


def test_waiting_keys_take_turns_with_a_busy_one():
    async def main():
        order = []

        async def work(key):
            order.append(key)
            await asyncio.sleep(1)
            queue.add(key)

        async with running(work, workers=1) as queue:
            for key in "abc":
                queue.add(key)
            await asyncio.sleep(8.5)
        return "".join(order)

    assert run(main()) == "abcabcabc"


def test_forget_drops_what_waits():
    async def main():
        done = []

        async def work(key):
            done.append(key)
            await asyncio.sleep(1)

        async with running(work, workers=1) as queue:
            queue.add("a")
            queue.add("b")
            queue.add_after("c", 5)
            queue.forget("b")
            queue.forget("c")
            await asyncio.sleep(10)
        return done

    assert run(main()) == ["a"]


def test_drain_lets_passes_end_and_takes_nothing_more():
    async def main():
        done = []

        async def work(key):
            await asyncio.sleep(3)
            done.append(key)

        queue = Queue(work, workers=1)
        task = asyncio.create_task(queue.run())
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(1)
        await queue.drain(10)
        queue.add("c")
        await task
        return done, now()

    assert run(main()) == (["a"], 3.0)


def test_times_that_no_longer_hold_do_not_pile_up():
    async def main():
        async def work(key):
            queue.add_after(key, 900)

        async with running(work) as queue:
            for _ in range(2000):
                queue.add("a")
                await asyncio.sleep(0.1)
            return len(queue._heap)

    assert run(main()) < 100


def test_the_observer_hears_of_every_pass():
    heard = []

    class Observer:
        def worked(self, key, seconds, error):
            heard.append((key, seconds, type(error).__name__))

    async def main():
        async def work(key):
            await asyncio.sleep(2)
            if key == "bad":
                raise ValueError("no")

        async with running(work, observer=Observer()) as queue:
            queue.add("good")
            queue.add("bad")
            await asyncio.sleep(2.001)

    run(main())
    assert heard == [("good", 2.0, "NoneType"), ("bad", 2.0, "ValueError")]

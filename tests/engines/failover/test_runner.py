"""A failover drill on a service made of values: what is done in which order, and what is left when it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from readiness.disturbance import Audit, Oust, Record, Recover, Whole
from readiness.engines.connection import Clock
from readiness.engines.drill import Reports
from readiness.engines.failover import Failover, Means
from readiness.engines.failover.client import View
from readiness.failover import Application, FailoverScript, StoreSubject
from readiness.model import Manifest
from readiness.script import Arm
from readiness.step import Pause
from readiness.timeline import NEVER, Problem, Timeline

SUBJECT = StoreSubject("shop", "cache", "redis", ("c-0.m", "c-1.m", "c-2.m"), 6379, "c", applications=(Application("api", "api.shop.svc", "10.0.0.9", 80, "/"),))  # fmt: skip
BEGIN = (Whole(1), Record(0.001), Pause(0.1))
CALM = Arm("calm", (*BEGIN, Pause(0.5), Audit(1)))  # time enough for fifty writes
END = (Whole(1, succeed=False), Pause(0.1), Recover(2.5), Audit(1))
HANDOVER = Arm("handover", (*BEGIN, Oust(1), *END))
KILLED = Arm("killed", (*BEGIN, Oust(1, grace=1), *END))


@dataclass
class Service:
    """Client and Hands at once: three members, of which one leads. `takes` seconds pass until another does."""

    primary: str = "c-0"
    takes: float = 0.05
    comes_back: bool = True
    forgets: int = 0
    refuses: Problem | None = None
    silent: bool = False
    serves: Callable[[Service], bool] = lambda _: True
    written: set[int] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    uids: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("c-0", "c-1", "c-2"), 0))
    done: list[str] = field(default_factory=list)

    async def look(self) -> View:
        unwell = f"{', '.join(sorted(self.away))} away" if self.away else ""
        return View("" if self.primary in self.away else self.primary, unwell)

    async def write(self, number: int) -> bool:
        well = self.primary not in self.away and not self.silent
        if well:
            self.written.add(number)
        return well

    async def present(self, numbers: Sequence[int]) -> set[int]:
        if self.silent:
            raise OSError("nobody there")
        return self.written - set(sorted(numbers)[: self.forgets])

    async def clear(self) -> None:
        self.done.append("cleared")
        self.written.clear()

    async def close(self) -> None:
        self.done.append("closed")

    async def pod(self, name: str) -> Manifest | Problem:
        return {"metadata": {"name": name, "uid": f"{name}/{self.uids[name]}"}}

    async def ask(self, _: Application) -> bool:
        return self.serves(self)

    async def evict(self, pod: Manifest, grace: int | None) -> Problem | None:
        if self.refuses:
            return self.refuses
        name = pod["metadata"]["name"]
        self.done.append(f"{name} evicted with {grace}")
        if name not in self.away:
            self.away.add(name)
            loop = asyncio.get_running_loop()
            loop.call_later(self.takes, self._elect, name)
            if self.comes_back:
                loop.call_later(2 * self.takes, self.away.discard, name)
        self.uids[name] += 1
        return None

    def _elect(self, name: str) -> None:
        self.primary = next(each for each in self.uids if each != name)


def play(service: Service, *arms: Arm, when: Callable[[str], None] = lambda _: None) -> dict[str, Timeline]:  # fmt: skip
    seen: dict[str, Timeline] = {}

    def keep(timeline: Timeline) -> None:
        seen[timeline.arm] = timeline

    reports = Reports(lambda _, moment: when(moment.name), keep)
    script = FailoverScript("run1", SUBJECT, arms, deadline=20.0)
    asyncio.run(Failover(script, Means(service, service, service.ask), reports, Clock()).run())
    return seen


def names(timeline: Timeline) -> list[str]:
    return [moment.name for moment in timeline.moments]


def test_a_service_that_fails_over():
    service = Service()
    seen = play(service, CALM, HANDOVER)
    ledger = seen["handover"].ledger

    assert names(seen["calm"]) == ["whole"]
    assert names(seen["handover"]) == ["whole", "ousted", "primary", "whole"]
    assert ledger is not None
    assert (ledger.read, ledger.lost) == (True, 0)
    assert ledger.acknowledged > 10
    started, ended = ledger.gap(seen["handover"].moment("ousted"))
    assert ended - started > 0.04
    assert service.done == ["c-0 evicted with None", "cleared", "closed"]


def test_whoever_takes_the_place_of_a_killed_primary_is_evicted_too():
    service = Service(takes=0.7)
    seen = play(service, KILLED)

    assert names(seen["killed"])[:3] == ["whole", "ousted", "kept"]
    assert set(service.done[:2]) == {"c-0 evicted with 1"}
    assert seen["killed"].moment("primary") != NEVER


def test_reading_back_is_no_time_without_a_write():
    class Thorough(Service):
        async def present(self, numbers: Sequence[int]) -> set[int]:
            await asyncio.sleep(2)
            return await super().present(numbers)

    ledger = play(Thorough(), Arm("calm", (*BEGIN, Audit(5))))["calm"].ledger

    assert ledger is not None
    started, ended = ledger.gap()
    assert ended - started < 1.5


def test_what_is_lost_is_counted_for_each_arm():
    seen = play(Service(forgets=2), CALM, HANDOVER)

    assert seen["calm"].ledger is not None
    assert seen["calm"].ledger.lost == 2


TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "a member is away from the start": ({"away": {"c-2"}}, "calm"),
    "writes that nothing disturbs are not acknowledged": ({"silent": True}, "calm"),
    "writes that nothing disturbs get lost": ({"forgets": 1}, "calm"),
    "an eviction is refused": ({"refuses": Problem("Held", "no budget")}, "handover"),
    "a member does not come back": ({"comes_back": False}, "handover"),
    "an application is ill from the start": ({"serves": lambda _: False}, "calm"),
    "an application does not get over it": (
        {"serves": lambda its: not its.done, "takes": 0.7},
        "handover",
    ),
}


@pytest.mark.parametrize(("trouble", "last"), TROUBLES.values(), ids=TROUBLES)
def test_after_trouble_nothing_more_is_disturbed(trouble: dict[str, Any], last: str):
    service = Service(**trouble)
    service.written.clear()
    arms = (CALM, HANDOVER, KILLED)
    if not trouble.get("silent") and "forgets" not in trouble:  # fifty writes take a moment
        arms = (Arm("calm", (Whole(1), Record(0.001), Pause(0.3), Audit(1))), HANDOVER, KILLED)
    seen = play(service, *arms)
    order = [arm.name for arm in arms]

    for name in order[order.index(last) + 1 :]:
        assert seen[name].problem is not None
        assert seen[name].problem.reason == "Aborted"
    assert not any("with 1" in each for each in service.done)
    assert service.done[-2:] == ["cleared", "closed"]


def test_an_interrupted_drill_deletes_what_it_wrote_and_evicts_no_more():
    service = Service(takes=5.0)

    async def interrupted() -> None:
        ousted = asyncio.Event()
        reports = Reports(lambda _, moment: moment.name != "ousted" or ousted.set(), lambda _: None)
        drill = Failover(FailoverScript("run1", SUBJECT, (KILLED,), 20.0), Means(service, service), reports, Clock())  # fmt: skip
        task = asyncio.create_task(drill.run())
        await ousted.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        evicted = len(service.done)
        await asyncio.sleep(0.5)
        assert len(service.done) == evicted

    asyncio.run(interrupted())

    assert service.written == set()
    assert service.done[-2:] == ["cleared", "closed"]

"""Ordering drills from outside: what is believed, what is stopped, what is never left behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from awaited import turns, until

from readiness.drills.codec import dump_timeline
from readiness.engines import Drills, Office, Owner
from readiness.engines.drill.order import carry_out
from readiness.failover import FailoverRequest, StoreSubject
from readiness.model import Manifest
from readiness.request import DrillRequest, Trial
from readiness.script import Arm, DrillSubject, Script
from readiness.step import Boot
from readiness.timeline import Moment, Problem, Timeline

KEY = ("shop", "checkout")
OWNER = Owner(KEY, "uid")
SUBJECT = DrillSubject("shop", "api", "apps/v1", "Deployment", "api", template="t1")
A, B = (DrillRequest(SUBJECT, Arm(name, (Boot(1.0),))) for name in ("a", "b"))


@dataclass
class Board:
    """Jobs that answer as told. `hold` lets logs wait until it is set."""

    refusal: Problem | None = None
    cut: int = 0
    lie: bool = False
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    started: list[Script] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    hidden: int = 0
    waiting: int = 0
    most: int = 0

    async def start(self, job: Manifest) -> Problem | None:
        self.started.append(job["script"])
        return self.refusal

    async def log(self, run: str) -> AsyncIterator[str]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.hold.wait()
        self.waiting -= 1
        lines = self._lines(run)
        yield "a line of the interpreter"
        yield json.dumps({"run": run, "arm": "a", "moment": {"at": 1.0, "name": "ready"}}, separators=(",", ":"))  # fmt: skip
        for line in lines[: len(lines) - self.cut]:
            yield line

    async def last_word(self, run: str) -> str:
        digest = hashlib.sha256("".join(self._lines(run)).encode()).hexdigest()
        return json.dumps({"run": "other" if self.lie else run, "sha256": digest})

    async def delete(self, run: str) -> None:
        self.deleted.append(run)

    async def left(self, run: str) -> tuple[str, ...] | None:
        if self.hidden:
            self.hidden -= 1
            return None
        found, self.stuck = self.stuck, self.stuck[1:]  # garbage collection takes one at a time
        return tuple(found)

    def _lines(self, run: str) -> list[str]:
        nth, script = next((n, s) for n, s in enumerate(self.started) if s.run == run)
        return [
            dump_timeline(run, Timeline(arm.name, epoch=1.0, node=f"n{nth}")) for arm in script.arms
        ]


def order(board: Board) -> tuple[tuple[Timeline, ...], list[tuple[str, Moment]]]:
    script = Script("r1", SUBJECT, (A.arm, B.arm))
    board.hold.set()
    told: list[tuple[str, Moment]] = []
    job = {"script": script}
    seen = asyncio.run(carry_out(board, job, script, lambda arm, m: told.append((arm, m))))
    return seen, told


def test_timelines_come_in_the_order_of_the_script_and_moments_as_they_happen():
    board = Board()

    seen, told = order(board)

    assert [t.arm for t in seen] == ["a", "b"]
    assert [t.problem for t in seen] == [None, None]
    assert told == [("a", Moment(1.0, "ready"))]
    assert board.deleted == ["r1"]


@pytest.mark.parametrize(
    ("board", "reason", "words"),
    [
        (Board(cut=1), "Aborted", "not whole"),
        (Board(cut=2), "Aborted", "not whole"),
        (Board(lie=True), "Aborted", "not whole"),
        (Board(refusal=Problem("NotPermitted", "may not create jobs")), "NotPermitted", "may not"),
    ],
    ids=["cut", "empty", "another run's digest", "refused"],
)
def test_what_is_not_whole_is_not_believed_and_everything_is_deleted(board, reason, words):
    seen, _ = order(board)

    assert [t.problem.reason for t in seen] == [reason] * 2
    assert all(words in t.problem.words for t in seen)
    assert board.deleted == ["r1"]


class Slow(Board):
    """What the API server does for it takes a while, and is told when it is done."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow, self.begun, self.done = slow, asyncio.Event(), []

    async def _take(self, step: str) -> None:
        if step == self.slow:
            self.begun.set()
            await asyncio.sleep(0.02)
        self.done.append(step)

    async def start(self, job: Manifest) -> Problem | None:
        await self._take("start")
        return await super().start(job)

    async def delete(self, run: str) -> None:
        await self._take("delete")
        await super().delete(run)


@pytest.mark.parametrize("often", [1, 3])
@pytest.mark.parametrize("step", ["start", "delete"])
async def test_who_cancels_in_the_middle_of_a_write_waits_for_its_end(step, often):
    board = Slow(step)
    board.hold.set()
    script = Script("r1", SUBJECT, (A.arm,))
    task = asyncio.create_task(carry_out(board, {"script": script}, script, lambda *_: None))
    await board.begun.wait()
    for _ in range(often):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert board.done == ["start", "delete"]
    assert board.deleted == ["r1"]


@dataclass
class Seen:
    """What the observer was told."""

    results: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)

    def drilled(self, result: str) -> None:
        self.results.append(result)

    def left_over(self, pods: int) -> None:
        self.left.append(pods)


def drills(board: Board, woken: list[tuple[str, str]], seen: Seen | None = None) -> Drills:
    office = Office(
        lambda namespace: board, lambda script, owner: {"script": script}, seen or Seen()
    )
    return Drills(office, woken.append)


def trial(control: str, *requests: DrillRequest, target: str = "api") -> Trial:
    return Trial(control, target, tuple(requests))


async def settled(board: Board, many: int = 1) -> None:
    await turns()
    await until(lambda: len(board.deleted) >= many)
    await turns()  # the end of the drill follows that of its Job


async def test_equal_arms_run_once_and_a_pass_never_waits():
    board, woken = Board(), []
    under_test = drills(board, woken)
    trials = [trial("SHD-001", A, B), trial("SHD-004", A)]

    assert under_test.run(OWNER, trials) == {}
    await turns()
    assert under_test.run(OWNER, trials) == {}
    board.hold.set()
    await settled(board)

    assert [len(s.arms) for s in board.started] == [2]
    assert woken == [KEY]
    answered = under_test.run(OWNER, trials)
    assert {name: set(found.answers) for name, found in answered.items()} == {
        ("SHD-001", "api"): {A, B},
        ("SHD-004", "api"): {A},
    }
    await under_test.close()


async def test_what_is_looked_at_again_avoids_the_nodes_of_the_last_looks():
    board, under_test = Board(), None
    board.hold.set()
    under_test = drills(board, [])
    for many in range(1, 5):
        under_test.run(OWNER, [trial("SHD-001", A)])
        await settled(board, many)
        under_test.run(OWNER, [trial("SHD-001", A)])
    under_test.run(OWNER, [trial("SHD-001", B)])
    await settled(board, 5)

    assert [script.avoid for script in board.started[:4]] == [
        (), (("a", "n0"),), (("a", "n0"), ("a", "n1")), (("a", "n1"), ("a", "n2")),
    ]  # fmt: skip
    under_test.forget(KEY)
    under_test.run(OWNER, [trial("SHD-001", A)])
    await settled(board, 6)
    assert board.started[5].avoid == ()


async def test_a_trial_that_waits_for_a_second_arm_keeps_the_first():
    board, woken = Board(), []
    board.hold.set()
    under_test = drills(board, woken)

    under_test.run(OWNER, [trial("SHD-004", A)])
    await settled(board)
    assert under_test.run(OWNER, [trial("SHD-001", A, B)]) == {}
    await settled(board, 2)
    answered = under_test.run(OWNER, [trial("SHD-001", A, B)])

    assert [[arm.name for arm in s.arms] for s in board.started] == [["a"], ["b"]]
    assert set(answered[("SHD-001", "api")].answers) == {A, B}


async def test_a_drill_that_is_asked_for_in_other_words_is_stopped_and_deleted():
    board, woken = Board(), []
    under_test = drills(board, woken)
    newer = replace(A, subject=replace(SUBJECT, template="t2"))

    under_test.run(OWNER, [trial("SHD-004", A)])
    await turns()
    under_test.run(OWNER, [trial("SHD-004", newer)])
    await turns()

    assert board.deleted == [board.started[0].run]
    assert [s.subject.template for s in board.started] == ["t1", "t2"]
    await under_test.close()
    assert set(board.deleted) == {s.run for s in board.started}


@pytest.mark.parametrize("how", ["no longer asked", "policy gone", "operator stops"])
async def test_whatever_ends_a_drill_deletes_its_job(how):
    board, woken = Board(), []
    under_test = drills(board, woken)
    under_test.run(OWNER, [trial("SHD-004", A)])
    await turns()

    if how == "no longer asked":
        under_test.run(OWNER, [])
    elif how == "policy gone":
        under_test.forget(KEY)
    else:
        await under_test.close()
    await turns()

    assert board.deleted == [board.started[0].run]
    assert woken == []


async def test_no_more_than_three_drills_at_a_time():
    board, woken = Board(), []
    under_test = drills(board, woken)

    for n in range(6):
        owner = Owner(("shop", f"p{n}"), "uid")
        under_test.run(
            owner, [trial("SHD-004", replace(A, subject=replace(SUBJECT, name=f"w{n}")))]
        )
    await turns()
    assert (len(board.started), board.most) == (3, 3)
    board.hold.set()
    await settled(board, 6)

    assert len(board.started) == 6
    await under_test.close()


def failover(service: str) -> Trial:
    subject = StoreSubject("shop", service, "redis", ("c-0.m",), 6379, "c")
    return Trial("HA-004", service, (FailoverRequest(subject, Arm("calm", (Boot(1.0),))),))


async def test_one_failover_at_a_time_and_it_is_known_which():
    board, woken = Board(), []
    under_test = drills(board, woken)

    under_test.run(OWNER, [failover("cache"), failover("jobs"), trial("SHD-004", A)])
    await turns()

    assert (len(board.started), board.most) == (2, 2)
    assert under_test.disturbing(KEY) == {"cache"}
    board.hold.set()
    await settled(board, 3)
    assert under_test.disturbing(KEY) == frozenset()
    await under_test.close()


async def test_a_failover_that_was_called_off_does_not_begin_anew():
    board, woken = Board(), []
    under_test = drills(board, woken)
    wanted = [failover("cache")]

    under_test.run(OWNER, wanted)
    await turns()
    under_test.run(OWNER, [])
    await turns()
    under_test.run(OWNER, wanted)
    assert woken == [KEY]
    (found,) = under_test.run(OWNER, wanted).values()

    assert len(board.started) == len(board.deleted) == 1
    assert [t.problem.reason for t in found.answers.values()] == ["Aborted"]
    under_test.run(OWNER, wanted)
    await turns()
    assert len(board.started) == 2  # whoever asks again has had his answer
    await under_test.close()


@pytest.mark.parametrize(
    ("board", "results", "left", "passes"),
    [
        (Board(), ["Complete"], [0], 1),
        (Board(refusal=Problem("Quota", "exceeded")), ["Quota"], [0], 1),
        (Board(stuck=["drill-1-a", "drill-1-b"]), ["Complete"], [2, 1, 0], 4),
        (Board(stuck=["drill-1-a"], hidden=2), ["Complete"], [0, 0, 1, 0], 3),
        (Board(stuck=["drill-1-a"], hidden=1000), ["Complete"], [0] * 4, 1),
    ],
    ids=["complete", "refused", "leftover", "seen later", "never seen"],
)
async def test_ends_and_leftovers_are_told(board, results, left, passes, monkeypatch):
    monkeypatch.setattr("readiness.engines.drills.MOST_UNSEEN", 3)
    monkeypatch.setattr("readiness.engines.drills.LEFT_SECONDS", 0.01)
    seen, board.hold = Seen(), asyncio.Event()
    board.hold.set()
    woken: list[tuple[str, str]] = []
    under_test = drills(board, woken, seen)

    under_test.run(OWNER, [trial("SHD-004", A)])
    await settled(board)
    await until(lambda: len(seen.left) >= len(left))
    await asyncio.sleep(0.1)  # and is told no more often
    await under_test.close()

    assert (seen.results, seen.left, len(woken)) == (results, left, passes)


async def test_what_a_drill_left_is_known_by_its_target(monkeypatch):
    monkeypatch.setattr("readiness.engines.drills.LEFT_SECONDS", 0.01)
    board = Board(stuck=["drill-1-a"] * 1000)
    board.hold.set()
    under_test = drills(board, [])

    under_test.run(OWNER, [trial("SHD-004", A)])
    await settled(board)
    await until(lambda: under_test.leftover(KEY))

    assert under_test.leftover(KEY).keys() == {"api"}
    assert under_test.leftover(("other", "policy")) == {}
    await under_test.close()

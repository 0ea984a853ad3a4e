"""What follows from what members tell: what is wrong, what would stop, who has to start again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from readiness.dataservices.rabbitmq.reading import (
    Member,
    Observed,
    Queue,
    apart_of,
    classic_queues,
    disturbances,
    seen_of,
)

PODS = ("q-0", "q-1", "q-2")
WELL = tuple(Member(pod, running=True, settled=True) for pod in PODS)


def queue(name: str = "orders", online: Iterable[str] = PODS, leader: str = "q-0") -> Queue:
    return Queue(name, "/", "quorum", True, leader, frozenset(PODS), frozenset(online))


WHOLE = Observed(WELL, (queue(),))
BEHIND = replace(WHOLE, queues=(queue(online=PODS[:2]),))


def members(*changed: Member) -> Observed:
    new = {member.pod: member for member in changed}
    return replace(WHOLE, members=tuple(new.get(m.pod, m) for m in WELL))


def up(pod: str, *cut_from: str, alarms: tuple[str, ...] = (), settled: bool = True) -> Member:
    return Member(pod, running=True, settled=settled, alarms=alarms, cut_from=cut_from)


DOWN = members(Member("q-2", running=False, settled=False))
CASES = [
    (WHOLE, (), ""),
    (DOWN, ("2 of 3 members run",), "NotRunning"),
    (members(up("q-2", settled=False)), ("Pod/q-2 has not told yet how it is",), "Starting"),
    (members(up("q-1", alarms=("mem",))), ("Pod/q-1 has an alarm: mem",), "MemoryAlarm"),
    (members(up("q-1", alarms=("disk_free",))), ("Pod/q-1 has an alarm: disk_free",), "DiskAlarm"),
    (members(up("q-1", "q-2", alarms=("mem",))), ("Pod/q-1 has an alarm: mem",), "CutOff"),
    (BEHIND, ("queue orders has 2 of 3 members online",), ""),
    (Observed(errors=("q-0 does not answer: ConnectError",)), ("no member tells of its queues", "q-0 does not answer: ConnectError"), "Unreachable"),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "words", "reason"), CASES)
def test_what_is_wrong(observed: Observed, words: tuple[str, ...], reason: str):
    assert disturbances(observed, 3) == words
    assert seen_of(observed).reason == reason


@pytest.mark.parametrize(
    ("observed", "needed"),
    [
        (WHOLE, {}),
        (BEHIND, {"q-0": ("orders",), "q-1": ("orders",)}),
        (replace(WHOLE, queues=(queue("b", PODS[1:]), queue("a", PODS[1:]))), {"q-1": ("a", "b"), "q-2": ("a", "b")}),
    ],
)  # fmt: skip
def test_who_is_needed(observed: Observed, needed: dict[str, tuple[str, ...]]):
    assert {m.name: m.needed_by for m in seen_of(observed).members if m.needed_by} == needed


@pytest.mark.parametrize(
    ("observed", "apart", "restart"),
    [
        (WHOLE, "", ""),
        (members(up("q-1", "q-0"), up("q-2", "q-0")), "q-0", "q-0"),
        (members(up("q-1", "q-0")), "q-1", "q-1"),
        (members(up("q-0", "q-1", "q-2")), "q-0", "q-0"),
        (replace(members(up("q-1", "q-0"), up("q-2", "q-0")), queues=BEHIND.queues), "q-0", ""),
    ],
)
def test_a_split_is_mended_by_the_one_who_is_apart(observed: Observed, apart: str, restart: str):
    assert apart_of(observed) == apart
    assert seen_of(observed).restart == restart


def test_only_durable_queues_on_one_member_are_counted():
    classic = Queue("old", "/", "classic", True, "q-1")

    assert classic_queues(replace(WHOLE, queues=(queue(), classic, replace(classic, durable=False)))) == (classic,)  # fmt: skip

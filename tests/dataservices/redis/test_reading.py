"""What answers of servers mean together, and which action comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from readiness.dataservices.redis.access import hash_of
from readiness.dataservices.redis.commands import Step, next_rotation, rotated
from readiness.dataservices.redis.reading import Answer, Observed, observed_of

PRIMARY = Answer("m-0", "m-0.d", {"role": "master", "slave0": "ip=m-1.d,port=6379,state=online,offset=9,lag=1",
                                  "slave1": "ip=m-2.d,port=6379,state=online,offset=9,lag=0", "slave_expires_tracked_keys": "0"})  # fmt: skip
FOLLOWS = {"role": "slave", "master_host": "m-0.d", "master_link_status": "up", "master_sync_in_progress": "0"}  # fmt: skip
REPLICAS = tuple(Answer(f"m-{n}", f"m-{n}.d", FOLLOWS) for n in (1, 2))
KNOWS = {"ip": "m-0.d", "flags": "master", "num-slaves": "2", "config-epoch": "3"}
SENTINELS = tuple(Answer(f"s-{n}", f"s-{n}.d", KNOWS, quorum=True) for n in range(3))
EVERYONE = (PRIMARY, *REPLICAS, *SENTINELS)


def seen(**changed: Mapping[str, str] | Answer) -> Observed:
    """The whole set, with facts of some servers changed (`m_1={…}`), or their answers replaced."""
    answers = []
    for each in EVERYONE:
        change = changed.get(each.name.replace("-", "_"), {})
        answers.append(change if isinstance(change, Answer) else replace(each, facts={**each.facts, **change}))  # fmt: skip
    return observed_of(tuple(answers[:3]), tuple(answers[3:]))


def gone(name: str) -> Answer:
    return Answer(name, f"{name}.d", error="Unreachable")


def test_a_whole_set():
    found = seen()

    assert found.is_whole
    assert (found.primary, found.epoch, found.lag) == ("m-0", 3, 1)
    assert [each.role for each in found.members] == ["primary", "replica", "replica"]


def test_a_sentinel_may_remember_a_member_that_was_scaled_away():
    assert seen(s_0={"num-slaves": "4"}).is_whole


OTHER = {"ip": "m-1.d"}


@pytest.mark.parametrize(
    ("changed", "primary", "reasons"),
    [
        ({"m_1": gone("m-1")}, "m-0", {"m-1": ("Unreachable",)}),
        ({"m_1": {"loading": "1"}}, "m-0", {"m-1": ("Loading",)}),
        ({"m_1": {"master_link_status": "down"}}, "m-0", {"m-1": ("NotFollowing",)}),
        ({"m_1": {"master_sync_in_progress": "1"}}, "m-0", {"m-1": ("Copying",)}),
        ({"m_1": {"master_host": "m-2.d"}}, "m-0", {"m-1": ("FollowsAnother",)}),
        ({"m_1": {"role": "master"}}, "m-0", {"m-1": ("SecondPrimary",)}),
        ({"m_0": {"slave0": "ip=m-1.d,port=6379,state=online,offset=1,lag=11"}}, "m-0", {"m-1": ("Lagging",)}),
        ({"m_0": {"aof_last_write_status": "err"}}, "m-0", {"m-0": ("AppendOnlyFails",)}),
        ({"m_2": {"rdb_last_bgsave_status": "err"}}, "m-0", {"m-2": ("SavingFails",)}),
        ({"s_0": OTHER}, "m-0", {"s-0": ("Disagrees",)}),
        ({"s_0": {"num-slaves": "1"}}, "m-0", {"s-0": ("KnowsTooFew",)}),
        ({"s_0": {"flags": "s_down,master"}}, "m-0", {"s-0": ("PrimaryDown",)}),
        ({"s_2": replace(SENTINELS[2], quorum=False)}, "m-0", {"s-2": ("NoQuorum",)}),
        ({"s_0": gone("s-0"), "s_1": gone("s-1")}, "", {"s-0": ("Unreachable",), "s-1": ("Unreachable",)}),
        ({"s_0": gone("s-0"), "s_1": OTHER}, "", {"s-0": ("Unreachable",)}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_whom(
    changed: dict[str, Mapping[str, str] | Answer],
    primary: str,
    reasons: dict[str, tuple[str, ...]],
):
    found = seen(**changed)

    assert found.primary == primary
    assert {each.name: each.reasons for each in found.everyone if each.reasons} == reasons
    assert not found.is_whole


def accepting(*passwords: str, of: int = 6) -> list[Answer]:
    """Servers of which the first `of` accept these passwords of `app`, the rest only `one`."""
    both, one = frozenset(map(hash_of, passwords)), frozenset({hash_of("one")})
    return [replace(each, accepts={"app": both if n < of else one}) for n, each in enumerate(EVERYONE)]  # fmt: skip


@pytest.mark.parametrize(
    ("credentials", "servers", "overlapped", "step"),
    [
        ({"app": "one"}, accepting("one"), True, None),
        ({"app": "one", "app.next": "two"}, accepting("one"), True, Step.ACCEPT),
        ({"app": "one", "app.next": "two"}, accepting("one", "two", of=5), True, Step.ACCEPT),
        ({"app": "one", "app.next": "two"}, accepting("one", "two"), True, Step.PRESENT),
        ({"app": "two", "app.previous": "one"}, accepting("one", "two"), False, None),
        ({"app": "two", "app.previous": "one"}, accepting("one", "two"), True, Step.RETIRE),
        ({"app": "two", "app.previous": "one"}, accepting("two", of=5), True, Step.RETIRE),
        ({"app": "two", "app.previous": "one"}, accepting("two"), True, Step.FORGET),
        ({"app": "one", "app.next": "two"}, [*accepting("one"), gone("s-9")], True, None),
    ],
)
def test_a_rotation_goes_on_from_what_is_seen(
    credentials: dict[str, str], servers: list[Answer], overlapped: bool, step: Step | None
):
    found = next_rotation("app", credentials, servers, overlapped=overlapped)

    assert (found.step if found else None) is step


def test_a_rotation_passes_every_state_of_the_secret():
    first = {"app": "one", "app.next": "two", "admin": "x"}
    present = next_rotation("app", first, accepting("one", "two"), overlapped=False)
    assert present
    second = rotated(first, present)
    assert second == {"app": "two", "app.previous": "one", "admin": "x"}
    forget = next_rotation("app", second, accepting("two"), overlapped=True)
    assert forget
    assert rotated(second, forget) == {"app": "two", "admin": "x"}

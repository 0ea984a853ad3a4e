"""What answers of servers mean together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

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

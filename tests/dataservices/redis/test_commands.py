"""Which step of replacing passwords comes next, for every state in which an operator may find a Redis, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from readiness.dataservices.command import Amend, Replace, Resize, Step, Task, Tell, Wait
from readiness.dataservices.redis.access import MEMBER_USERS, SENTINEL_USERS, hash_of
from readiness.dataservices.redis.build import members_of, sentinels_of
from readiness.dataservices.redis.commands import (
    OVERLAP_SECONDS,
    USERS,
    Accept,
    Forget,
    Rank,
    Retire,
    next_step,
)
from readiness.dataservices.redis.reading import Answer
from readiness.snapshot import MemberSeen, Seen

from .orders import PASSWORDS, order_of

NOW = 1_800_000_000.0
BEGUN = {"rotation.begun": "cache/app@1"}
FRESH = {**BEGUN, "app.next": "new"}
SHOWN = {**BEGUN, "rotation.since": str(int(NOW)), "app": "new", "app.previous": PASSWORDS["app"]}


def servers(app: tuple[str, ...] = (PASSWORDS["app"],)) -> tuple[Answer, ...]:
    """Six servers that accept these passwords of the application, and the given one of everybody else."""
    mine = {user: frozenset({hash_of(PASSWORDS[user])}) for user in USERS}
    mine["app"] = frozenset(map(hash_of, app))
    of = [({user: mine[user] for user in users}, name) for users, name in ((MEMBER_USERS, "m"), (SENTINEL_USERS, "s"))]  # fmt: skip
    return tuple(Answer(f"{name}-{n}", f"{name}-{n}", accepts=a) for a, name in of for n in range(3))  # fmt: skip


def step(known: Mapping[str, str], facts: tuple[Answer, ...], asked: str = "", now: float = NOW) -> Step | None:  # fmt: skip
    return next_step(Task(order_of(**known), Seen(facts=facts), 3, asked, now))


BOTH, OLD, NEW = (PASSWORDS["app"], "new"), (PASSWORDS["app"],), ("new",)
LAST = (*servers(BOTH)[:5], servers(OLD)[5])
"""One sentinel has not been told."""
LATER = NOW + OVERLAP_SECONDS
STATES: list[tuple[str, Mapping[str, str], tuple[Answer, ...], str, float, object]] = [
    ("nothing asked", {}, servers(), "", NOW, None),
    ("asked", {}, servers(), "cache/app@1", NOW, ("app.next",)),
    ("begun, and nobody was told", FRESH, servers(), "cache/app@1", NOW, Accept(("app",))),
    ("one server was not", FRESH, LAST, "cache/app@1", NOW, Accept(("app",))),
    ("all accept it", FRESH, servers(BOTH), "cache/app@1", NOW, ("app.next",)),
    ("the annotation went meanwhile", FRESH, servers(BOTH), "", NOW, ("app.next",)),
    ("applications have it", SHOWN, servers(BOTH), "cache/app@1", NOW, "Rotating"),
    ("a server came back with old files", SHOWN, (*servers(BOTH)[:5], servers(OLD)[5]), "", NOW, Accept(("app",))),
    ("they had an hour", SHOWN, servers(BOTH), "", LATER, Retire(("app",))),
    ("asked anew, nobody waits for the hour", SHOWN, servers(BOTH), "cache/app@2", NOW, Retire(("app",))),
    ("one server still accepts the old one", SHOWN, (*servers(NEW)[:5], servers(BOTH)[5]), "", LATER, Retire(("app",))),
    ("nobody does", SHOWN, servers(NEW), "", LATER, ("app.previous",)),
    ("done", {**BEGUN, "app": "new"}, servers(NEW), "cache/app@1", LATER, None),
    ("asked anew", {**BEGUN, "app": "new"}, servers(NEW), "cache/app@2", NOW, ("app.next",)),
    ("a user that nobody knows", {}, servers(), "cache/nobody", NOW, "UnknownUser"),
    ("an ACL was changed by hand", {}, servers(("other",)), "", NOW, Accept(("app",))),
]  # fmt: skip


@pytest.mark.parametrize("row", STATES, ids=[row[0] for row in STATES])
def test_what_comes_next(row: tuple[str, Mapping[str, str], tuple[Answer, ...], str, float, object]):  # fmt: skip
    _, known, facts, asked, now, expected = row
    found = step(known, facts, asked, now)
    match found:
        case Tell(act=act):
            assert act == expected
        case Amend():
            assert (found.renew or found.drop) == expected
        case Wait(reason=reason):
            assert reason == expected
        case _:
            assert found is expected


@pytest.mark.parametrize("known", [FRESH, SHOWN], ids=["to accept", "to retire"])
def test_nothing_is_told_while_a_server_is_away(known: Mapping[str, str]):
    facts = (*servers(BOTH)[:5], replace(servers(BOTH)[5], accepts={}, error="Unreachable"))
    found = step(known, facts, now=LATER)

    assert isinstance(found, Wait)
    assert "s-2 does not answer" in found.why


def test_the_whole_way_for_every_user():
    begun = step({}, servers(), "cache")

    assert isinstance(begun, Amend)
    assert begun.renew == tuple(f"{user}.next" for user in USERS)
    assert begun.put == {"rotation.begun": "cache"}


def test_a_new_password_becomes_the_current_one_and_the_old_one_is_kept():
    shown = step(FRESH, servers(BOTH))

    assert isinstance(shown, Amend)
    assert shown.put == {"rotation.since": str(int(NOW)), "app": "new", "app.previous": PASSWORDS["app"]}  # fmt: skip
    assert PASSWORDS["app"] not in repr(shown)


# --- fewer members

FIVE, MEMBERS, SENTINELS = order_of({"replicas": 5}), *(
    tuple(h.partition(".")[0] for h in part(order_of({"replicas": 5})).hosts) for part in (members_of, sentinels_of)
)  # fmt: skip
HOSTS = members_of(FIVE).hosts
LEAVE = MEMBERS[3:]


def five(own: Mapping[int, int], told: Mapping[int, int], count: int = 5) -> tuple[Answer, ...]:
    """Members and sentinels; ranks that are not 100, as members have them and as sentinels know of `count` hosts."""
    passwords = servers()
    members = (replace(passwords[0], name=MEMBERS[n], host=HOSTS[n], ranks={HOSTS[n]: own.get(n, 100)}) for n in range(5))  # fmt: skip
    known = {HOSTS[n]: told.get(n, 100) for n in range(1, count)}
    return (*members, *(replace(passwords[3], name=name, host=f"{name}.d", ranks=known) for name in SENTINELS))  # fmt: skip


GONE = {3: 0, 4: 0}
WELL = tuple(MemberSeen(name) for name in (*MEMBERS, *SENTINELS))
ILL = (*WELL[:-1], MemberSeen(SENTINELS[2], "sentinel", ("KnowsTooFew",)))
LEAVING: list[tuple[str, tuple[Answer, ...], str, tuple[MemberSeen, ...], object]] = [
    ("they could be promoted", five({}, {}), MEMBERS[0], WELL, Rank(LEAVE, 0)),
    ("one of them could", five({3: 0}, {}), MEMBERS[0], WELL, Rank(LEAVE[1:], 0)),
    ("the sentinels do not know yet", five(GONE, {}), MEMBERS[0], WELL, "Scaling"),
    ("somebody is not well", five(GONE, GONE), MEMBERS[0], ILL, "Scaling"),
    ("one of them is the primary", five(GONE, GONE), MEMBERS[4], WELL, Replace(MEMBERS[4])),
    ("nothing hangs on them", five(GONE, GONE), MEMBERS[0], WELL, Resize(3)),
]  # fmt: skip


@pytest.mark.parametrize("row", LEAVING, ids=[row[0] for row in LEAVING])
def test_who_leaves_hands_over_first(row: tuple[str, tuple[Answer, ...], str, tuple[MemberSeen, ...], object]):  # fmt: skip
    _, facts, primary, members, expected = row
    found = next_step(Task(FIVE, Seen(primary, members, facts=facts), 3))

    assert (found.act if isinstance(found, Tell) else found.reason if isinstance(found, Wait) else found) == expected  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "members", "expected"),
    [
        (five({}, {}, 5)[:3] + five({}, {}, 5)[5:], WELL, Forget(SENTINELS[0])),
        (five({}, {}, 5)[:3] + five({}, {}, 3)[5:7] + five({}, {}, 5)[7:], WELL, Forget(SENTINELS[2])),
        (five({}, {}, 5)[:3] + five({}, {}, 5)[5:], ILL, "Scaling"),
        (five({}, {}, 3)[:3] + five({}, {}, 3)[5:], WELL, None),
        (five({2: 0}, {}, 3)[:3] + five({}, {}, 3)[5:], WELL, Rank((MEMBERS[2],), 100)),
    ],
    ids=["the first sentinel", "the last one", "not while one finds out", "done", "they stay after all"],
)  # fmt: skip
def test_who_left_is_forgotten_by_one_sentinel_after_the_other(facts: tuple[Answer, ...], members: tuple[MemberSeen, ...], expected: object):  # fmt: skip
    found = next_step(Task(order_of(), Seen(MEMBERS[0], members, facts=facts), 3))

    assert (found.act if isinstance(found, Tell) else found.reason if isinstance(found, Wait) else found) == expected  # fmt: skip


def test_scaling_does_not_wait_for_applications_to_take_up_a_password():
    facts = tuple(replace(each, accepts={}) for each in five({}, {}))
    known = replace(FIVE, credentials={**FIVE.credentials, **SHOWN})
    found = next_step(Task(known, Seen(MEMBERS[0], WELL, facts=facts), 3, now=NOW))

    assert isinstance(found, Tell)
    assert found.act == Rank(LEAVE, 0)

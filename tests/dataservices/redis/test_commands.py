"""Which step of replacing passwords comes next, for every state in which an operator may find a Redis, or leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from readiness.dataservices.command import Amend, Step, Task, Tell, Wait
from readiness.dataservices.redis.access import MEMBER_USERS, SENTINEL_USERS, hash_of
from readiness.dataservices.redis.commands import OVERLAP_SECONDS, USERS, Accept, Retire, next_step
from readiness.dataservices.redis.reading import Answer
from readiness.snapshot import Seen

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

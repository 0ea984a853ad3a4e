"""What MongoDB answers, read into values: `hello`, status, configuration, defaults and users.

Pure, and lenient: an answer that lacks a field is an answer that says less. Documents are plain
mappings as the driver decodes them; a timestamp is whatever has `time` and `inc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from readiness.dataservices.mongodb.members import (
    ELECTION_MILLIS,
    Config,
    Member,
    Observed,
    Optime,
    Seen,
    State,
    User,
)

Document = Mapping[str, Any]
_STATES: Final = {
    0: State.STARTUP, 1: State.PRIMARY, 2: State.SECONDARY, 3: State.RECOVERING, 5: State.STARTUP2,
    6: State.UNKNOWN, 7: State.ARBITER, 8: State.DOWN, 9: State.ROLLBACK, 10: State.REMOVED,
}  # fmt: skip
_TIMEOUT: Final = "electionTimeoutMillis"


@dataclass(frozen=True, slots=True)
class Look:
    """What one host answered; None where it did not. `stranger`: it does not know our login."""

    host: str
    hello: Document | None = None
    stranger: bool = False
    status: Document | None = None
    config: Document | None = None
    defaults: Document | None = None
    users: Document | None = None


def observed_of(looks: Sequence[Look]) -> Observed:
    """The set as a whole. Of several that call themselves primary, the one of the latest term is."""
    first = max((look for look in looks if _is_primary(look)), key=_term, default=None)
    primary = _self(first) if first else ""
    seen = tuple(seen_of(look, primary) for look in looks)
    configs = [config_of(look.config) for look in looks if look.config]
    newest = max(configs, key=lambda c: (c.term, c.version), default=None)
    if first is None:
        return Observed(seen, config=newest)
    return Observed(
        seen,
        primary,
        config_of(first.config) if first.config else None,
        _waits_for_majority(first.defaults) if first.defaults else None,
        users_of(first.users) if first.users else None,
    )


def seen_of(look: Look, primary: str = "") -> Seen:
    """One member. A primary that another has followed is none."""
    state = state_of(look)
    if state is State.PRIMARY and _self(look) != primary:
        state = State.UNKNOWN
    return Seen(look.host, state, _optime(look), str((look.hello or {}).get("setName", "")))


def state_of(look: Look) -> State:
    """What a member is: by its own status, else as much as it tells anybody."""
    if look.hello is None:
        return State.SILENT
    if look.status is not None:
        return _STATES.get(int(look.status.get("myState", 6)), State.UNKNOWN)
    if look.hello.get("isWritablePrimary"):
        return State.PRIMARY
    if look.hello.get("secondary"):
        return State.SECONDARY
    if look.hello.get("setName"):
        return State.UNKNOWN
    return State.EMPTY if look.stranger else State.REMOVED  # it has users, so it has been in a set


def lag_of(status: Document) -> int | None:
    """Seconds by which a member is behind the primary it hears of; None without one."""
    members = status.get("members", ())
    mine = next((_position(m.get("optime")) for m in members if m.get("self")), None)
    first = next((_position(m.get("optime")) for m in members if m.get("state") == 1), None)
    return None if mine is None or first is None else max(0, first.seconds - mine.seconds)


def config_of(document: Document) -> Config:
    """A configuration as `replSetGetConfig` tells it."""
    settings = document.get("settings", {})
    rest = {k: v for k, v in document.items() if k not in ("version", "term", "members")}
    return Config(
        int(document["version"]),
        int(document.get("term", 0)),
        tuple(map(_member_of, document["members"])),
        int(settings.get(_TIMEOUT, ELECTION_MILLIS)),
        rest,
    )


def document_of(config: Config) -> dict[str, Any]:
    """The same for `replSetReconfig`. The term is the server's to set."""
    settings = {**config.rest.get("settings", {}), _TIMEOUT: config.election_millis}
    members = [
        {**m.rest, "_id": m.id, "host": m.host, "votes": m.votes, "priority": m.priority}
        for m in config.members
    ]
    return {**config.rest, "version": config.version, "members": members, "settings": settings}


def users_of(document: Document) -> frozenset[User]:
    """The users that `usersInfo` lists."""
    return frozenset(
        User(user["user"], frozenset(f"{r['role']}@{r['db']}" for r in user.get("roles", ())))
        for user in document.get("users", ())
    )


def _member_of(document: Document) -> Member:
    known = ("_id", "host", "votes", "priority")
    rest = {key: value for key, value in document.items() if key not in known}
    votes, priority = int(document.get("votes", 1)), float(document.get("priority", 1))
    return Member(int(document["_id"]), document["host"], votes, priority, rest)


def _is_primary(look: Look) -> bool:
    return state_of(look) is State.PRIMARY


def _term(look: Look) -> int:
    return int((look.status or {}).get("term", -1))


def _self(look: Look) -> str:
    """The name by which a member knows itself, which need not be the one it was asked by."""
    members = (look.status or {}).get("members", ())
    named = next((m["name"] for m in members if m.get("self")), None)
    return str(named or (look.hello or {}).get("me") or look.host)


def _optime(look: Look) -> Optime | None:
    members = (look.status or {}).get("members", ())
    mine = next((m.get("optime") for m in members if m.get("self")), None)
    return _position(mine or (look.hello or {}).get("lastWrite", {}).get("opTime"))


def _position(optime: Any) -> Optime | None:
    if not isinstance(optime, Mapping) or "ts" not in optime:
        return None
    return Optime(int(optime.get("t", 0)), int(optime["ts"].time), int(optime["ts"].inc))


def _waits_for_majority(document: Document) -> bool:
    """Whether it was set: what is only implied changes with the members."""
    concern = document.get("defaultWriteConcern") or {}
    return (
        concern.get("w") == "majority" and document.get("defaultWriteConcernSource") != "implicit"
    )

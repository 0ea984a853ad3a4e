"""The users of a set, each with what it needs and no more, and how their passwords change.

Pure. `operator` can give itself any role, as whoever creates users can; it is held by the operator
and by the resident beside each member, whose keyfile is worth as much. The application's user
takes turns with a second one, so that a change of password refuses no client; the others are the
operator's own, and read their Secret again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from readiness.dataservices.mongodb.members import User
from readiness.dataservices.mongodb.steps import DropUser, SetPassword
from readiness.dataservices.order import NOTE

OPERATOR: Final = "operator"
APP: Final = "app"
APPS: Final = ("app", "app-b")
OPERATED: Final = (OPERATOR, APP, "monitor", "backup", "inspector")
"""Keys of the credentials: one password for each user."""
NEXT: Final = "-next"
"""Suffix of a key of the credentials: the password that is to replace the one without it."""
APP_USER: Final = f"{NOTE}user"
"""Key that names which of `APPS` is in use; without it, the first."""

Credentials = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Promote:
    """Write these credentials: the new password is in use, and the Secret says so."""

    credentials: Mapping[str, str]


def users_of(database: str, credentials: Credentials) -> tuple[User, ...]:
    """Every user that a set should have."""
    return (
        User(
            OPERATOR,
            frozenset(
                {"clusterManager@admin", "clusterMonitor@admin", "userAdminAnyDatabase@admin"}
            ),
        ),
        User(app_user(credentials), frozenset({f"readWrite@{database}"})),
        User("monitor", frozenset({"clusterMonitor@admin"})),
        User("backup", frozenset({"backup@admin"})),
        User("inspector", frozenset({f"read@{database}"})),
    )


def app_user(credentials: Credentials) -> str:
    """The name of the application's user."""
    return credentials.get(APP_USER, APPS[0])


def passwords_of(credentials: Credentials) -> tuple[str, ...]:
    """The passwords that the operator's own user may have: two while it is being changed."""
    keys = (OPERATOR + NEXT, OPERATOR)
    return tuple(credentials[key] for key in keys if key in credentials)


def key_of(user: str) -> str:
    """Under which key of the credentials a user's password stands."""
    return APP if user in APPS else user


def rotation_of(
    wanted: Collection[User],
    credentials: Credentials,
    there: Collection[str],
    busy: Collection[str],
) -> tuple[SetPassword, Promote] | DropUser | None:
    """What to do next about passwords that are to change: two acts in this order, or one.

    `there` are the users of the set, `busy` those with a session. Repeating the first act does no
    harm, so that a crash between both is repaired by doing them again.
    """
    key = next((k.removesuffix(NEXT) for k in sorted(credentials) if k.endswith(NEXT)), "")
    if key:
        user = next(user for user in wanted if key_of(user.name) == key)
        told = {k: v for k, v in credentials.items() if k != key + NEXT} | {key: credentials[key + NEXT]}  # fmt: skip
        if key == APP:
            user = User(_other(user.name), user.roles)
            told[APP_USER] = user.name
        return SetPassword(user, key + NEXT, create=user.name not in there), Promote(told)
    idle = _other(app_user(credentials))
    return DropUser(idle) if idle in there and idle not in busy else None


def _other(app: str) -> str:
    return APPS[1 - APPS.index(app)]

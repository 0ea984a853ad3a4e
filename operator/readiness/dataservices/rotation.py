"""How a request for new passwords is read, and how a rotation begins: the same for every kind. Pure.

What follows a beginning differs, as servers do: each kind's own commands know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from readiness.dataservices.command import Amend, Wait
from readiness.dataservices.order import NOTE

BEGUN: Final = f"{NOTE}begun"
"""Key of the credentials Secret: the request that the last rotation was begun for."""


def user_of(asked: str) -> str:
    """The user that `<service>[/<user>][@<mark>]` names; empty for all."""
    return asked.partition("@")[0].partition("/")[2]


def unknown_user(user: str, known: Sequence[str]) -> Wait:
    """What is told of a request for somebody who is not there."""
    return Wait(f"readiness.dev/rotate: there is no user {user}, but {', '.join(known)}", "UnknownUser")  # fmt: skip


def begin_rotation(asked: str, known: Sequence[str], suffix: str) -> Amend | Wait:
    """A new password beside the old one, under its key with `suffix`, for one user or for all: before anybody is told."""
    user = user_of(asked)
    if user and user not in known:
        return unknown_user(user, known)
    users = (user,) if user else tuple(known)
    return Amend(f"passwords are replaced: {', '.join(users)}", renew=tuple(u + suffix for u in users), put={BEGUN: asked})  # fmt: skip

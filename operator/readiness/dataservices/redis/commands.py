"""The next step of replacing a password, derived from what is seen now: an operator that died in between goes on.

Both are accepted, applications are given the new one, servers use it, the old one is dropped. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from readiness.dataservices.redis.access import NEXT, PREVIOUS, hash_of
from readiness.dataservices.redis.reading import Answer


class Step(StrEnum):
    """Steps of a rotation, in their order."""

    ACCEPT = "accept"  # every server: the next password counts as well
    PRESENT = "present"  # the credentials Secret: next becomes current, current becomes previous
    RETIRE = "retire"  # every server: uses the current one, and the previous one counts no more
    FORGET = "forget"  # the credentials Secret: without the previous one


@dataclass(frozen=True, slots=True)
class Rotate:
    """The next step for one user's password."""

    user: str
    step: Step


def next_rotation(
    user: str, credentials: Mapping[str, str], servers: Iterable[Answer], *, overlapped: bool
) -> Rotate | None:
    """The next step for a user, or nothing: none is under way, a server is away, or clients still take up the new one.

    `overlapped`: the previous password has been accepted beside the current one for long enough.
    """
    found = tuple(servers)
    concerned = [each for each in found if user in each.accepts]
    if any(each.error for each in found):
        return None
    if user + NEXT in credentials:
        accepted = all(hash_of(credentials[user + NEXT]) in each.accepts[user] for each in concerned)  # fmt: skip
        return Rotate(user, Step.PRESENT if accepted else Step.ACCEPT)
    if user + PREVIOUS in credentials and overlapped:
        dropped = all(each.accepts[user] == {hash_of(credentials[user])} for each in concerned)
        return Rotate(user, Step.FORGET if dropped else Step.RETIRE)
    return None


def rotated(credentials: Mapping[str, str], rotate: Rotate) -> dict[str, str]:
    """What the credentials Secret holds after a step that changes it."""
    found, user = dict(credentials), rotate.user
    if rotate.step is Step.PRESENT:
        found[user + PREVIOUS], found[user] = found[user], found.pop(user + NEXT)
    elif rotate.step is Step.FORGET:
        del found[user + PREVIOUS]
    return found

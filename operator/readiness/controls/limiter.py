"""DAT: whether the keys that a limiter keeps in a Redis are made up as declared, and end by themselves.

Keys hold who was limited: none is ever told.
"""

from __future__ import annotations

import re
from typing import Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import MAX_AGE, refused, requests_of, seen_of, silence
from readiness.model import Safety, Severity, Verdict
from readiness.request import Answers, Request

_TYPES: Final = frozenset({"zset", "hash", "string"})
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}|[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{16,}|(sk|pk|ghp|key)_[A-Za-z0-9]{8,}")  # fmt: skip


def ask_keys(subject: Subject) -> tuple[Request, ...]:
    """A look at the Redis, with a walk over keys that begin as the pattern does."""
    rate = subject.target.rate
    if rate is None or rate.redis is None:
        return ()
    return requests_of(subject.stores.get(rate.redis.store), _prefix(rate.redis.key_pattern))


def judge_keys(subject: Subject, answers: Answers) -> Verdict:
    """DAT-016: the declared shape, a type that can count, an end within the hour, no token in it."""
    rate = subject.target.rate
    if rate is None or rate.redis is None:
        return unknown("NotDeclared", "no keys are declared")
    pattern = rate.redis.key_pattern
    seen = seen_of(subject.stores[rate.redis.store], answers, _prefix(pattern))
    if isinstance(seen, Verdict):
        return seen
    if not seen.members:
        return silence(seen)
    told = seen.facts("keys")
    if not told:
        return refused(seen, "keys", "the commands SCAN, TYPE and TTL")
    keys = [row for rows in told.values() for row in rows]
    if not keys:
        return unknown("NoKeys", f"no key begins with {_prefix(pattern)}: nobody has been counted lately", fix="send requests that are limited; it is looked at again")  # fmt: skip
    return _judged(keys, pattern, int(subject.params["longest"]))


def _judged(keys: list[tuple[str, str, int]], pattern: str, longest: int) -> Verdict:
    shape, begins = _shape(pattern), _prefix(pattern)
    if any(_TOKEN.search(key[len(begins) :]) for key, _, _ in keys):
        return failed(
            "TokenInKey", f"a key under {begins} holds what looks like a token", expected="an id of the user, or its hash",
            observed="a token", fix="count by the user's id: whoever lists keys could log in",
        )  # fmt: skip
    if not all(shape.fullmatch(key) for key, _, _ in keys):
        return failed(
            "KeyShape", f"keys under {begins} are not made up as declared", expected=pattern, observed="another number of parts",
            fix="correct the application, or rate.redis.keyPattern",
        )  # fmt: skip
    if wrong := sorted({kind for _, kind, _ in keys} - _TYPES):
        return failed(
            "KeyType", f"keys under {begins} are of a type that no limiter needs", expected=" or ".join(sorted(_TYPES)),
            observed=", ".join(wrong), fix="see what else uses this prefix",
        )  # fmt: skip
    if any(ttl < 0 for _, _, ttl in keys):
        return failed(
            "NoExpiry", f"a key under {begins} never ends: they pile up, and whoever is limited stays so", expected=f"1 to {longest} s left",
            observed="no expiry", fix="set the expiry with the count, in one script or MULTI",
        )  # fmt: skip
    if any(ttl > longest for _, _, ttl in keys):
        return failed(
            "ExpiresLate", f"a key under {begins} lives longer than a window lasts", expected=f"{longest} s or less", observed="more",
            fix="let it end with its window",
        )  # fmt: skip
    return passed(
        "KeysExpire", f"keys under {begins} are made up as declared, and end within {longest} s"
    )


def _prefix(pattern: str) -> str:
    return pattern.partition("{")[0]


def _shape(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[a-z_]+\})", pattern)
    return re.compile("".join(r"[^:]+" if part[:1] == "{" else re.escape(part) for part in parts))


PLUGINS: Final = (
    Control(
        id="DAT-016", title="Limiter keys end by themselves", severity=Severity.P0, safety=Safety.BENIGN, needs=("rate.redis",),
        criterion="Keys of the declared prefix have the declared number of parts, hold no token, are of type zset, hash or string, and end "
        "within an hour. Unknown while there is none.",
        fix="expire every key with its window", ask=ask_keys, judge=judge_keys, max_age=MAX_AGE,
        params=(Param("longest", 3600, "Most seconds that a key may have left.", "lower"),), checklists=("002/5.t2",),
    ),
)  # fmt: skip

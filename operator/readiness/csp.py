"""Content Security Policy as browsers apply it: parsing, inheritance, intersection of policies.

Several policies apply together, so a script must pass all of them: what one policy forbids is
forbidden. Pure; it knows no answer and no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

Policy = Mapping[str, tuple[str, ...]]

_NONCE_OR_HASH: Final = re.compile(r"'(nonce|sha256|sha384|sha512)-[^']+'", re.IGNORECASE)
_ANY_HOST: Final = re.compile(r"\*(:(\*|[0-9]+))?|(https?|wss?):(//\*(:(\*|[0-9]+))?/?)?|data:")
_SCRIPTS: Final = ("script-src-elem", "script-src-attr", "script-src")


def policies_of(values: Iterable[str]) -> tuple[Policy, ...]:
    """Every policy of every header value; the first of equal directives wins."""
    found = []
    for text in (t for value in values for t in value.split(",")):
        policy: dict[str, tuple[str, ...]] = {}
        for part in text.split(";"):
            name, *sources = part.split()[:200] or [""]
            if name:
                policy.setdefault(name.lower(), tuple(sources))
        if policy:
            found.append(policy)
    return tuple(found)


def weaknesses(policies: Iterable[Policy]) -> tuple[str, ...]:
    """What the policies together let any script do; empty when scripts are restricted."""
    return tuple(sorted(frozenset.intersection(*map(_weaknesses, policies))))


def _weaknesses(policy: Policy) -> frozenset[str]:
    """Of one policy. Without script-src and default-src it restricts no script at all."""
    found: set[str] = set()
    for name in _SCRIPTS:
        sources = policy.get(name, policy.get("script-src", policy.get("default-src")))
        if sources is None:
            return frozenset(("any host", "'unsafe-inline'", "'unsafe-eval'"))
        found |= _loose(name, tuple(s.lower() for s in sources))
    return frozenset(found)


def _loose(name: str, sources: tuple[str, ...]) -> set[str]:
    trusted = any(_NONCE_OR_HASH.fullmatch(s) for s in sources)
    dynamic = "'strict-dynamic'" in sources
    found = set()
    if name != "script-src-attr" and not dynamic and any(_ANY_HOST.fullmatch(s) for s in sources):
        found.add("any host")
    if name != "script-src" and "'unsafe-inline'" in sources and not (trusted or dynamic):
        found.add("'unsafe-inline'")
    if name == "script-src" and "'unsafe-eval'" in sources:
        found.add("'unsafe-eval'")
    return found


def nonces(policies: Iterable[Policy]) -> frozenset[str]:
    """Every nonce, to see whether a second answer has the same."""
    words = (s for policy in policies for sources in policy.values() for s in sources)
    return frozenset(w for w in words if w.lower().startswith("'nonce-"))


def same(value: str, expected: str) -> bool:
    """Whether two policies say the same, whatever the order, spacing and nonce."""
    return _canonical(value) == _canonical(expected)


def _canonical(value: str) -> list[tuple[str, tuple[str, ...]]]:
    plain = re.sub(r"'nonce-[^']*'", "'nonce-'", value)
    return sorted((k, tuple(sorted(v))) for p in policies_of([plain]) for k, v in p.items())


def framing(policies: Iterable[Policy]) -> str:
    """Who may frame: `none`, `self`, `some` (listed hosts), `any`; empty without frame-ancestors.

    The strictest policy decides, because all of them apply.
    """
    ranks = ("none", "self", "some", "any")
    found = [_framing(p["frame-ancestors"]) for p in policies if "frame-ancestors" in p]
    return min(found, key=ranks.index, default="")


def _framing(sources: tuple[str, ...]) -> str:
    words = {s.lower() for s in sources}
    if words <= {"'none'"}:
        return "none"
    if words == {"'self'"}:
        return "self"
    return "any" if any(_ANY_HOST.fullmatch(w) for w in words) else "some"

"""Reading HTTP answers: types, lists, redirects, and whether an answer is the one for no route.

Pure functions over one answer or a few. They know no control and no verdict. Bodies are compared
and parsed here, and never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from readiness.redact import clean
from readiness.request import HttpAnswer

SHOWN: Final = 120
_WORD: Final = re.compile(rb"[A-Za-z0-9_]+")
_LOGIN: Final = re.compile(
    r"(^|[/_.-])(log-?in|sign-?in|sign_in|auth|authorize|authenticate|oauth2?|sso|saml2?|oidc|openid"
    r"|openid-connect|accounts?)($|[/_.-])"
)


def shown(value: str) -> str:
    """A header value that may stand in a text: one line, nonces left out, at most 120 long."""
    return clean(re.sub(r"'nonce-[^']*'", "'nonce-…'", value), SHOWN)


def media_type(answer: HttpAnswer) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`; empty when there is none."""
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def is_html(answer: HttpAnswer) -> bool:
    """Whether a browser would render this as a document of its own."""
    kind = media_type(answer)
    if kind:
        return kind in ("text/html", "application/xhtml+xml")
    return answer.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def is_json(answer: HttpAnswer) -> bool:
    """Whether the content type is JSON, also a structured suffix such as `health+json`."""
    kind = media_type(answer)
    return kind == "application/json" or kind.endswith("+json")


def json_of(answer: HttpAnswer) -> Any:
    """The parsed body; None when it is no JSON."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def tokens(values: Iterable[str]) -> tuple[str, ...]:
    """The members of comma-separated header values, lower case."""
    return tuple(t for v in values for t in (p.strip().lower() for p in v.split(",")) if t)


def directives(values: Iterable[str]) -> dict[str, str]:
    """`{'max-age': '60', 'no-store': ''}` of Cache-Control or (split at `;`) HSTS values."""
    found: dict[str, str] = {}
    for token in tokens(v.replace(";", ",") for v in values):
        name, _, value = token.partition("=")
        found.setdefault(name.strip(), value.strip().strip('"'))
    return found


def is_redirect(answer: HttpAnswer) -> bool:
    """Whether the answer sends the client elsewhere."""
    return answer.status in (301, 302, 303, 307, 308) and bool(answer.header("location"))


def leads_to_login(answer: HttpAnswer, login_path: str | None) -> bool:
    """Whether a redirect goes to the declared login path, or to one that says what it is."""
    if not is_redirect(answer):
        return False
    path = _path(answer.header("location") or "")
    if login_path is not None and path == _path(login_path):
        return True
    return bool(_LOGIN.search(path.lower()))


def stays_on(answer: HttpAnswer, path: str) -> bool:
    """Whether a redirect only changes scheme, host or a trailing slash: what is there is unseen."""
    return is_redirect(answer) and _path(answer.header("location") or "") == _path(path)


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/") or "/"


def like_missing(answer: HttpAnswer, path: str, missing: Sequence[tuple[str, HttpAnswer]]) -> bool:
    """Whether an answer is the one that routes nobody knows get (a 404 page, a page's shell).

    `missing` holds such routes with their answers. Words all of them share must be there; further
    words (nonces, tokens, the path itself) may differ no more than they differ among themselves.
    """
    if any((m.status, media_type(m)) != (answer.status, media_type(answer)) for _, m in missing):
        return False
    if is_redirect(answer):
        return all(
            (answer.header("location") or "").replace(path, "")
            == (m.header("location") or "").replace(p, "")
            for p, m in missing
        )
    bodies = [_words(m, p) for p, m in missing]
    stable = frozenset.intersection(*bodies)
    moving = max(len(words - stable) for words in bodies)
    words = _words(answer, path)
    return stable <= words and len(words - stable) <= (2 * moving + 2 if moving else 0)


def _words(answer: HttpAnswer, path: str) -> frozenset[bytes]:
    return frozenset(_WORD.findall(answer.body)) - frozenset(_WORD.findall(path.encode()))

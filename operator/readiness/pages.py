"""Public pages and one that does not exist: what every header control looks at.

Frameworks add headers in middleware that an error page may bypass, so both are asked. Pure.
"""

from __future__ import annotations

from readiness.control import Subject, unknown
from readiness.model import Verdict
from readiness.probing import get, missing
from readiness.reading import is_redirect
from readiness.request import Hop, HttpAnswer, HttpRequest

Page = tuple[str, HttpAnswer]
NO_SUCH_PAGE = "a page that does not exist"


def public_paths(subject: Subject) -> tuple[str, ...]:
    """The declared public paths, or the root."""
    return (subject.target.http.public if subject.target.http else ()) or ("/",)


def page_requests(subject: Subject, hop: Hop) -> tuple[tuple[str, HttpRequest], ...]:
    """Every public path and a path that cannot exist, each with the name that texts use."""
    public = ((f"GET {path}", get(hop, path)) for path in public_paths(subject))
    return (*public, (NO_SUCH_PAGE, missing(subject, hop)[0]))


def unreadable(pages: tuple[Page, ...], *, redirects: bool) -> Verdict | None:
    """The control arm: a public page must be served, or its headers prove nothing."""
    for name, answer in pages:
        if name == NO_SUCH_PAGE or answer.status < 300 or (redirects and is_redirect(answer)):
            continue
        return unknown(
            "ControlArmFailed", f"{name} is answered {answer.status}, so its headers prove nothing",
            fix="declare paths in http.public that anyone can read, without redirects",
        )  # fmt: skip
    return None

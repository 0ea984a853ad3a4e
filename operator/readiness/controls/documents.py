"""HDR-002 and HDR-004: what HTML documents let scripts and other sites do.

A target without HTML is not applicable. What is sent in report-only mode, or on some documents
only, protects nobody. Nonces are compared and never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from readiness import csp
from readiness.control import Control, Subject, failed, not_applicable, passed
from readiness.model import Safety, Severity, Verdict
from readiness.pages import NO_SUCH_PAGE, Page, page_requests, public_paths, unreadable
from readiness.probing import MAX_AGE, Case, Probe, for_users, get, replicas
from readiness.reading import is_html, shown
from readiness.request import Hop, HttpAnswer

LookAt = Callable[[Subject, Page], Verdict | None]


def _cases(look: LookAt, subject: Subject, hop: Hop) -> Iterator[Case]:
    """The pages, and the first one again: a nonce must be fresh."""
    first = public_paths(subject)[0]
    pages = (*page_requests(subject, hop), (f"GET {first} again", get(hop, first, nth=1)))
    names, requests = zip(*pages, strict=True)
    yield Case(requests, partial(_documents, look, subject, names))


def _documents(
    look: LookAt, subject: Subject, names: tuple[str, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    """Judge HTML documents: the public ones and, where there are any, the one for no route."""
    pages = tuple(zip(names, answers, strict=True))
    if (arm := unreadable(pages, redirects=False)) is not None:
        return arm
    if not any(is_html(a) for n, a in pages if n != NO_SUCH_PAGE):
        return not_applicable("NoHTML", f"{subject.where} serves no HTML on its public paths")
    documents = [p for p in pages if is_html(p[1]) and p[1].status < 500]
    wrong = next((w for page in documents if (w := look(subject, page))), None)
    return wrong or _reused(pages, look) or passed(*_HOLDS[look])


def _content_policy(subject: Subject, page: Page) -> Verdict | None:
    name, answer = page
    values = answer.values("content-security-policy")
    policies = csp.policies_of(values)
    if not policies:
        only = answer.header("content-security-policy-report-only") is not None
        return failed(
            "CSPReportOnly" if only else "CSPMissing", f"{name} carries no enforced Content-Security-Policy",
            expected="Content-Security-Policy with script-src or default-src",
            observed="report-only, which blocks nothing" if only else "no such header",
            fix="send Content-Security-Policy on every HTML answer, errors included: "
            "default-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
        )  # fmt: skip
    weak = csp.weaknesses(policies)
    if weak:
        return failed(
            "CSPWeak", f"the Content-Security-Policy of {name} lets scripts in through {', '.join(weak)}",
            expected="script-src (or default-src) without *, bare schemes, 'unsafe-eval', or "
            "'unsafe-inline' without nonce or hash",
            observed=shown(", ".join(values)),
            fix="list script hosts, and allow inline scripts by nonce or hash",
        )  # fmt: skip
    wanted = subject.target.headers.csp if subject.target.headers else None
    if wanted is not None and not csp.same(", ".join(values), wanted):
        return failed(
            "CSPDiffers", f"the Content-Security-Policy of {name} is not the declared one",
            expected=shown(wanted), observed=shown(", ".join(values)),
            fix="deploy the declared policy, or correct headers.csp",
        )  # fmt: skip
    return None


def _reused(pages: tuple[Page, ...], look: LookAt) -> Verdict | None:
    first, again = (csp.nonces(csp.policies_of(a.values("content-security-policy")))
                    for _, a in (pages[0], pages[-1]))  # fmt: skip
    if look is not _content_policy or not first & again:
        return None
    return failed(
        "NonceReused", f"{pages[0][0]} sends the same CSP nonce twice",
        expected="a fresh nonce in every answer", observed="the same nonce in two answers",
        fix="make the nonce per response, and cache no page that carries one",
    )  # fmt: skip


def _framing(subject: Subject, page: Page) -> Verdict | None:
    """frame-ancestors wins over X-Frame-Options, as in browsers."""
    name, answer = page
    allowed = csp.framing(csp.policies_of(answer.values("content-security-policy")))
    values = {v.strip().upper() for x in answer.values("x-frame-options") for v in x.split(",")}
    if not allowed:
        allowed = {"DENY": "none", "SAMEORIGIN": "self"}.get("".join(values), "any")
    wanted = subject.target.headers.frame if subject.target.headers else None
    accepted = {"DENY": ("none",), "SAMEORIGIN": ("none", "self")}.get(
        wanted or "", ("none", "self", "some")
    )
    if allowed in accepted:
        return None
    seen = [f"X-Frame-Options: {shown(', '.join(sorted(values)))}"] if values else []
    policies = answer.values("content-security-policy")
    seen += [f"Content-Security-Policy: {shown(', '.join(policies))}"] if policies else []
    return failed(
        "FramingAllowed", f"{name} may be framed by {'other sites' if allowed in ('any', 'some') else 'its own origin'}",
        expected="X-Frame-Options DENY" + ("" if wanted == "DENY" else " or SAMEORIGIN")
        + ", or frame-ancestors " + ("'none'" if wanted == "DENY" else "'none' or 'self'"),
        observed="; ".join(seen) or "neither X-Frame-Options nor frame-ancestors",
        fix=f"send X-Frame-Options: {wanted or 'DENY'} on every HTML answer, errors and the login page included",
    )  # fmt: skip


_HOLDS: Final[dict[LookAt, tuple[str, str]]] = {
    _content_policy: ("CSPEnforced", "every HTML answer carries a Content-Security-Policy that restricts scripts"),
    _framing: ("FramingDenied", "no HTML answer may be framed by other sites"),
}  # fmt: skip


_CSP: Final = Probe(replicas, partial(_cases, _content_policy), for_users)
_FRAMING: Final = Probe(replicas, partial(_cases, _framing), for_users)

PLUGINS: Final = (
    Control(
        id="HDR-002",
        title="Content-Security-Policy",
        severity=Severity.P0,
        criterion="every HTML answer enforces a Content-Security-Policy whose script-src or default-src has no *, no "
        "unsafe-eval, and no unsafe-inline without nonce or hash; nonces are fresh",
        fix="send Content-Security-Policy in enforced mode on every HTML answer, errors included",
        ask=_CSP.ask,
        judge=_CSP.judge,
        safety=Safety.BENIGN,
        needs=("http.public",),
        max_age=MAX_AGE,
        checklists=("002/3.a3", "003/5.3", "004/1.1.2-5"),
    ),
    Control(
        id="HDR-004",
        title="Framing denied",
        severity=Severity.P0,
        criterion="every HTML answer carries X-Frame-Options DENY or SAMEORIGIN, or a frame-ancestors that lists hosts",
        fix="send X-Frame-Options: DENY (or frame-ancestors 'none') on every HTML answer, errors included",
        ask=_FRAMING.ask,
        judge=_FRAMING.judge,
        safety=Safety.BENIGN,
        needs=("http.public",),
        max_age=MAX_AGE,
        checklists=("002/3.a5", "003/5.3", "004/1.1.3-2"),
    ),
)

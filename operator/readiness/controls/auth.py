"""AUT-001: declared protected routes refuse whoever has no valid identity.

Only a refusal proves anything. A route that answers like one that does not exist, or that rejects
the request before it looks at identities, leaves it unproven.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, get, missing, replicas
from readiness.reading import leads_to_login, like_missing, shown
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest

_NOTHING: Final = ("without credentials", ())
_INVALID: Final = (
    ("with an invalid bearer token", (("authorization", "Bearer readiness-probe"),)),
    ("with an unknown Basic identity", (("authorization", "Basic cmVhZGluZXNzLXByb2JlOmludmFsaWQ="),)),
)  # fmt: skip
_UNPROVEN: Final = {
    404: ("NoSuchRoute", "names a route or object that exists"),
    405: ("MethodNotAllowed", "answers GET"),
    410: ("NoSuchRoute", "names a route or object that exists"),
    429: ("RateLimited", "is not rate-limited for the operator"),
}


def _cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    """Every path in every variant: one replica that is open is one too many."""
    http, session = subject.target.http, subject.target.cookies and subject.target.cookies.session
    cookie = ((f"with an invalid {session} cookie", (("cookie", f"{session}=readiness-probe"),)),)
    variants = (_NOTHING, *_INVALID, *(cookie if session else ()))
    for path in http.protected if http else ():
        for how, headers in variants:
            request = get(hop, path, *headers)
            yield Case(
                (_alive(subject, hop), *missing(subject, hop), request),
                partial(_judge, subject, (request, path, how)),
            )


def _alive(subject: Subject, hop: Hop) -> HttpRequest:
    """The control arm: what anyone may read. Health is often closed at the edge."""
    target = subject.target
    if target.http and target.http.public:
        return get(hop, target.http.public[0])
    if target.health and hop.kind is not HopKind.EDGE:
        return get(hop, target.health.path, ("accept", "application/json"))
    return missing(subject, hop)[0]


def _judge(
    subject: Subject, asked: tuple[HttpRequest, str, str], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    alive, first, second, answer = answers
    request, path, how = asked
    what = f"GET {path} {how}"
    login = subject.target.http.login_path if subject.target.http else None
    if alive.status >= 500 or answer.status == alive.status == 403:
        return unknown(
            "ControlArmFailed", f"the application answers {alive.status} where anyone may read, so a refusal proves nothing",
            fix="see why a public route is not served to the operator (outage, WAF, address list)",
        )  # fmt: skip
    if answer.status in (401, 403) or leads_to_login(answer, login):
        return passed(
            "AnonymousRefused", "every protected route refuses anonymous and invalid identities"
        )
    routes = [
        (r.path, a) for r, a in zip(missing(subject, request.hop), (first, second), strict=True)
    ]
    if answer.status < 400 and like_missing(answer, request.path, routes):
        return unknown(
            "NoSuchRoute", f"{what} is answered like a route that does not exist",
            fix=f"correct spec.targets[{subject.target.name}].http.protected",
        )  # fmt: skip
    return _not_refused(subject, path, what, answer)


def _not_refused(subject: Subject, path: str, what: str, answer: HttpAnswer) -> Verdict:
    if answer.status >= 500 or answer.status < 300:
        return failed(
            "AnonymousServed" if answer.status < 300 else "RefusalCrashes",
            f"{what} is answered {answer.status}",
            expected="401, 403 or a redirect to the login", observed=_seen(answer),
            fix=f"require authentication on {path} in the application itself, before anything else is read",
        )  # fmt: skip
    reason, wanted = _UNPROVEN.get(
        answer.status, ("NotRefused", "refuses anonymous requests with 401")
    )
    return unknown(
        reason, f"{what} is answered {_seen(answer)}, which proves no refusal",
        fix=f"declare a path in spec.targets[{subject.target.name}].http.protected that {wanted}; "
        "a redirect to the login is recognised by http.loginPath",
    )  # fmt: skip


def _seen(answer: HttpAnswer) -> str:
    location = (answer.header("location") or "").partition("?")[0]
    return f"{answer.status} to {shown(location)}" if location else str(answer.status)


_PROBE: Final = Probe(replicas, _cases, across)

PLUGINS: Final = (
    Control(
        id="AUT-001",
        title="Protected paths refuse anonymous requests",
        severity=Severity.P0,
        criterion="every path in http.protected answers 401, 403 or a redirect to the login, without credentials and with "
        "an invalid token, scheme and session cookie, on every pod asked and at the edge",
        fix="require authentication on the route in the application itself",
        ask=_PROBE.ask,
        judge=_PROBE.judge,
        safety=Safety.BENIGN,
        needs=("http.protected",),
        max_age=MAX_AGE,
        checklists=("002/2.a1", "002/2.a8", "002/2.t1", "002/2.t4"),
    ),
)

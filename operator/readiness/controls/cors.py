"""COR: which other origins a browser lets read answers, by what the headers allow it to do.

Judged by the browser's rule: an origin is allowed when Access-Control-Allow-Origin equals it or is
`*`. Both controls read the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, get, ways
from readiness.reading import directives, shown, tokens
from readiness.request import Hop, HttpAnswer, HttpRequest

Judge = Callable[[Subject, tuple[HttpRequest, ...], tuple[HttpAnswer, ...]], Verdict]


def hostile_origins(allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Six origins a sloppy comparison lets through, made from the first allowed one."""
    scheme, _, host = allowed[0].partition("://")
    other = "http" if scheme == "https" else "https"
    variants = (
        "https://readiness-probe.invalid",
        "null",
        f"{scheme}://{host.partition(':')[0]}.evil.test",
        f"{scheme}://evil{host}",
        f"{scheme}://sub.{host}",
        f"{other}://{host}",
    )
    return tuple(v for v in variants if v not in allowed)


def _path(subject: Subject) -> str:
    cors, http = subject.target.cors, subject.target.http
    declared = (
        cors.path if cors else None,
        *(http.public[:1] + http.protected[:1] if http else ()),
    )
    return next((p for p in declared if p), "/")


def _allowed(subject: Subject) -> tuple[str, ...]:
    return subject.target.cors.allowed_origins if subject.target.cors else ()


def _cases(judge: Judge, subject: Subject, hop: Hop) -> Iterator[Case]:
    path, allowed = _path(subject), _allowed(subject)
    hostile = hostile_origins(allowed)
    requests = (
        get(hop, path),
        *(get(hop, path, ("origin", origin)) for origin in (*allowed, *hostile)),
        *(_preflight(hop, path, origin) for origin in (*allowed[:1], *hostile)),
    )
    yield Case(requests, partial(judge, subject, requests))


def _preflight(hop: Hop, path: str, origin: str) -> HttpRequest:
    headers = (("origin", origin), ("access-control-request-method", "GET"))
    return HttpRequest(hop, hop.prefix + path, "OPTIONS", headers)


def _origin(request: HttpRequest) -> str:
    return dict(request.headers).get("origin", "")


def _grant(answer: HttpAnswer) -> str:
    return answer.header("access-control-allow-origin") or ""


def _control_arm(path: str, answer: HttpAnswer) -> Verdict | None:
    if answer.status < 500 and answer.status != 404:
        return None
    return unknown(
        "ControlArmFailed", f"GET {path} is answered {answer.status}, so its CORS headers prove nothing",
        fix="declare a route that is served in cors.path",
    )  # fmt: skip


def _judge_list(
    subject: Subject, requests: tuple[HttpRequest, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    path, allowed = _path(subject), _allowed(subject)
    pairs = list(zip(requests, answers, strict=True))[1:]
    wrong = _control_arm(path, answers[0]) or _elsewhere(subject, path, answers)
    if wrong is None:
        wrong = next((w for r, a in pairs if (w := _open(path, allowed, r, a))), None)
    if wrong is None:
        wrong = next((w for r, a in pairs if (w := _refused(subject, path, r, a))), None)
    return wrong or _unvaried(path, pairs) or passed(
        "OriginsRestricted", f"{path} allows {', '.join(allowed)} and no other origin"
    )  # fmt: skip


def _elsewhere(subject: Subject, path: str, answers: tuple[HttpAnswer, ...]) -> Verdict | None:
    """A route that was only assumed, and that other origins are not meant to read."""
    declared = subject.target.cors is not None and subject.target.cors.path is not None
    if declared or any(_grant(answer) for answer in answers):
        return None
    return unknown(
        "NoCORSRoute", f"{path} allows no origin at all, and no route is declared to test with",
        fix=f"declare spec.targets[{subject.target.name}].cors.path: a route that the allowed origins read",
    )  # fmt: skip


def _open(
    path: str, allowed: tuple[str, ...], request: HttpRequest, answer: HttpAnswer
) -> Verdict | None:
    origin, grant = _origin(request), _grant(answer)
    if origin in allowed or grant not in ("*", origin):
        return None
    return failed(
        "OriginNotRestricted", f"{request.method} {path} lets origin {shown(origin)} read the answer",
        expected=f"Access-Control-Allow-Origin for {', '.join(allowed)} only",
        observed=f"Access-Control-Allow-Origin: {shown(grant)}",
        fix="compare the Origin header with the list as a whole text; no wildcard, pattern, prefix or suffix",
    )  # fmt: skip


def _refused(
    subject: Subject, path: str, request: HttpRequest, answer: HttpAnswer
) -> Verdict | None:
    origin, grant = _origin(request), _grant(answer)
    if origin not in _allowed(subject):
        return None
    if grant != origin or (request.method == "OPTIONS" and not 200 <= answer.status < 300):
        seen = (
            f"Access-Control-Allow-Origin: {shown(grant)}"
            if grant
            else "no Access-Control-Allow-Origin"
        )
        return failed(
            "AllowedOriginRefused", f"{request.method} {path} does not allow origin {origin}",
            expected=f"Access-Control-Allow-Origin: {origin}", observed=f"{answer.status}, {seen}",
            fix="add the origin to the application's list, or remove it from cors.allowedOrigins",
        )  # fmt: skip
    credentials = (answer.header("access-control-allow-credentials") or "").strip()
    if subject.target.cors and subject.target.cors.credentials and credentials != "true":
        return failed(
            "CredentialsRefused", f"{request.method} {path} does not let origin {origin} send cookies",
            expected="Access-Control-Allow-Credentials: true", observed=shown(credentials) or "no such header",
            fix="allow credentials for the listed origins, or set cors.credentials to false",
        )  # fmt: skip
    return None


def _unvaried(path: str, pairs: list[tuple[HttpRequest, HttpAnswer]]) -> Verdict | None:
    """A cache mixes up answers that depend on Origin and do not say so. What may not be stored
    cannot be mixed up, and preflights are never cached."""
    gets = [(r, a) for r, a in pairs if r.method == "GET"]
    if len({_grant(a) for _, a in gets}) == 1:
        return None
    for request, answer in gets:
        if "no-store" in directives(answer.values("cache-control")):
            continue
        if not {"origin", "*"} & set(tokens(answer.values("vary"))):
            return failed(
                "VaryMissing", f"GET {path} answers by Origin without saying so (origin {shown(_origin(request))})",
                expected="Vary: Origin, also where the origin is refused",
                observed=f"Vary: {shown(', '.join(answer.values('vary'))) or 'absent'}",
                fix="add Vary: Origin to every answer of routes with CORS, at the application or the gateway",
            )  # fmt: skip
    return None


def _judge_credentials(
    subject: Subject, requests: tuple[HttpRequest, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    path, allowed = _path(subject), _allowed(subject)
    wrong = _control_arm(path, answers[0])
    if wrong is not None:
        return wrong
    for request, answer in zip(requests, answers, strict=True):
        origin, grant = _origin(request), _grant(answer)
        credentials = (answer.header("access-control-allow-credentials") or "").strip()
        reflected = origin and origin not in allowed and grant == origin
        if credentials == "true" and (reflected or grant in ("*", "null")):
            return failed(
                "CredentialsForAnyOrigin",
                f"{request.method} {path} allows credentials to {'any origin' if grant == '*' else f'origin {shown(origin)}'}",
                expected="Access-Control-Allow-Credentials for listed origins only",
                observed=f"Access-Control-Allow-Origin: {shown(grant)} with Access-Control-Allow-Credentials: true",
                fix="send Access-Control-Allow-Credentials only together with a listed origin",
            )  # fmt: skip
    return passed("CredentialsRestricted", f"{path} allows credentials to no unlisted origin")


_LIST: Final = Probe(ways, partial(_cases, _judge_list), across)
_CREDENTIALS: Final = Probe(ways, partial(_cases, _judge_credentials), across)

PLUGINS: Final = (
    Control(
        id="COR-001",
        title="CORS for listed origins only",
        severity=Severity.P0,
        criterion="each of cors.allowedOrigins is echoed exactly, six look-alikes are not allowed, and answers that depend "
        "on Origin carry Vary: Origin, for GET and preflight, on a pod and at the edge",
        fix="compare Origin with an exact list, and add Vary: Origin",
        ask=_LIST.ask,
        judge=_LIST.judge,
        safety=Safety.BENIGN,
        needs=("cors",),
        max_age=MAX_AGE,
        checklists=("002/3.a1", "002/3.a8", "002/3.t2"),
    ),
    Control(
        id="COR-003",
        title="No credentials for any origin",
        severity=Severity.P0,
        criterion="Access-Control-Allow-Credentials never stands with `*`, `null` or a reflected unlisted origin",
        fix="send Access-Control-Allow-Credentials only together with a listed origin",
        ask=_CREDENTIALS.ask,
        judge=_CREDENTIALS.judge,
        safety=Safety.BENIGN,
        needs=("cors",),
        max_age=MAX_AGE,
        checklists=("002/3.a1", "002/3.a8", "002/3.t2"),
    ),
)

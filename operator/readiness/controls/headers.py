"""HDR-001, HDR-003 and HDR-005: caching of sensitive answers, transport, sniffing and banners.

Users' answers count (the edge, where it can be asked) and replicas must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.pages import page_requests, unreadable
from readiness.probing import MAX_AGE, Case, Probe, edge, for_users, get, replicas
from readiness.reading import directives, is_html, is_redirect, shown, tokens
from readiness.request import Hop, HopKind, HttpAnswer

MIN_HSTS_SECONDS: Final = 15_552_000
MAX_PATTERN_VALUE: Final = 256
_BANNERS: Final = ("x-powered-by", "x-aspnet-version", "x-aspnetmvc-version")
_VERSION: Final = re.compile(r"[/( ]v?\d|\d\.\d")
_REFERRER: Final = frozenset((
    "no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin",
    "same-origin", "strict-origin", "strict-origin-when-cross-origin",
))  # fmt: skip


def _sensitive_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    """Asked twice: what a cache stored the first time shows the second time."""
    for path in subject.target.http.sensitive if subject.target.http else ():
        yield Case((get(hop, path), get(hop, path, nth=1)), partial(_judge_sensitive, path))


def _judge_sensitive(path: str, answers: tuple[HttpAnswer, ...]) -> Verdict:
    status = answers[0].status
    if not (200 <= status < 300 or status in (401, 403)):
        return unknown(
            "NoSuchRoute" if status in (404, 405, 410) else "ControlArmFailed",
            f"GET {path} is answered {status}; caching is judged on 2xx, 401 and 403",
            fix="declare routes in http.sensitive that answer GET",
        )  # fmt: skip
    for answer in answers:
        control = directives(answer.values("cache-control"))
        ages = [control.get(n, "") for n in ("max-age", "s-maxage")]
        if "no-store" not in control or "public" in control or any(a.strip("0") for a in ages):
            return failed(
                "Cacheable", f"the answer {status} of GET {path} may be stored by caches",
                expected="Cache-Control with no-store and without public, max-age or s-maxage",
                observed=f"Cache-Control: {shown(', '.join(answer.values('cache-control'))) or 'absent'}",
                fix=f"send Cache-Control: no-store on every answer of {path}, refusals included",
            )  # fmt: skip
        marks = [f"{n}: {shown(v)}" for n in ("x-cache", "cf-cache-status", "x-cache-status")
                 for v in answer.values(n) if "hit" in v.lower().replace("-", " ").split()]  # fmt: skip
        if marks or answer.header("age") is not None:
            return failed(
                "ServedFromCache", f"GET {path} is answered from a shared cache",
                expected="no Age and no cache hit", observed=marks[0] if marks else "an Age header",
                fix=f"exclude {path} from the cache or CDN in front of the application",
            )  # fmt: skip
    return passed("NotCached", "sensitive answers carry no-store and come from no cache")


def _transport_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    names, requests = zip(*page_requests(subject, hop), strict=True)
    yield Case(requests, partial(_judge_transport, subject, hop, names))


def _judge_transport(
    subject: Subject, hop: Hop, names: tuple[str, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    if not hop.tls:
        return unknown(
            "NotDeclared", "externalURL is plain HTTP, where browsers ignore Strict-Transport-Security",
            fix=f"declare an https address in spec.targets[{subject.target.name}].externalURL",
        )  # fmt: skip
    declared = subject.target.headers.hsts if subject.target.headers else None
    least = int(seconds(declared)) if declared else MIN_HSTS_SECONDS
    for name, answer in zip(names, answers, strict=True):
        if answer.status >= 500:
            return unknown("ControlArmFailed", f"{name} is answered {answer.status}, so its headers prove nothing",
                           fix="see why the application answers 5xx")  # fmt: skip
        value = answer.header("strict-transport-security") or ""
        age = directives([value]).get("max-age", "")
        if not (age.isascii() and age.isdigit() and int(age[:12]) >= least):
            return failed(
                "HSTSMissing" if not value else "HSTSTooShort", f"{name} does not pin browsers to HTTPS",
                expected=f"Strict-Transport-Security with max-age of at least {least}",
                observed=shown(value) or "no such header",
                fix=f"send Strict-Transport-Security: max-age={max(least, 31_536_000)} on every HTTPS answer",
            )  # fmt: skip
    return passed(
        "HSTS", f"every HTTPS answer carries Strict-Transport-Security of at least {least} s"
    )


def _hygiene_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    names, requests = zip(*page_requests(subject, hop), strict=True)
    yield Case(requests, partial(_judge_hygiene, subject, names))


def _judge_hygiene(
    subject: Subject, names: tuple[str, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    pages = tuple(zip(names, answers, strict=True))
    arm = unreadable(pages, redirects=True)
    if arm is not None:
        return arm
    judged = [(n, a) for n, a in pages if a.status < 500]
    for look in (_sniffing, _referrer, _banner, _declared):
        wrong = next((w for n, a in judged if (w := look(subject, n, a))), None)
        if wrong is not None:
            return wrong
    return passed(
        "HeadersClean", "nosniff and Referrer-Policy are sent, and nothing names a version"
    )


def _sniffing(_: Subject, name: str, answer: HttpAnswer) -> Verdict | None:
    seen = tokens(answer.values("x-content-type-options"))
    if is_redirect(answer) or seen[:1] == ("nosniff",):
        return None
    return failed(
        "NosniffMissing", f"{name} ({answer.status}) lets browsers guess the content type",
        expected="X-Content-Type-Options: nosniff", observed=shown(", ".join(seen)) or "no such header",
        fix="send X-Content-Type-Options: nosniff on every answer, errors included (nginx: add_header … always)",
    )  # fmt: skip


def _referrer(_: Subject, name: str, answer: HttpAnswer) -> Verdict | None:
    """Browsers take the last value they know."""
    seen = tokens(answer.values("referrer-policy"))
    known = [v for v in seen if v in _REFERRER or v == "unsafe-url"]
    if is_redirect(answer) or not is_html(answer) or (known and known[-1] in _REFERRER):
        return None
    return failed(
        "ReferrerPolicyMissing", f"{name} ({answer.status}) does not restrict the Referer header",
        expected="Referrer-Policy, and not unsafe-url", observed=shown(", ".join(seen)) or "no such header",
        fix="send Referrer-Policy: strict-origin-when-cross-origin on every HTML answer",
    )  # fmt: skip


def _banner(subject: Subject, name: str, answer: HttpAnswer) -> Verdict | None:
    declared = subject.target.headers.forbidden if subject.target.headers else ()
    for header in (*_BANNERS, *(h.lower() for h in declared), "server"):
        value = answer.header(header)
        if value is None or (header == "server" and "server" not in map(str.lower, declared) and not _VERSION.search(value)):  # fmt: skip
            continue
        return failed(
            "ForbiddenHeader", f"{name} ({answer.status}) carries a header that must not be sent: {header}",
            expected=f"no {header}" if header != "server" else "Server without a version, or none",
            observed=f"{header}: {shown(value)}", fix=f"remove {header} in the server or at the gateway",
        )  # fmt: skip
    return None


def _declared(subject: Subject, name: str, answer: HttpAnswer) -> Verdict | None:
    for wanted in subject.target.headers.required if subject.target.headers else ():
        value = answer.header(wanted.name.lower())
        if value is None or not _matches(wanted.pattern, value):
            return failed(
                "RequiredHeader", f"{name} ({answer.status}) lacks what headers.required promises: {wanted.name}",
                expected=f"{wanted.name}{f' matching {shown(wanted.pattern)}' if wanted.pattern else ''}",
                observed=shown(value) if value is not None else "no such header",
                fix=f"send {wanted.name} on every answer, errors included",
            )  # fmt: skip
    return None


def _matches(pattern: str | None, value: str) -> bool:
    """Patterns are simple (the API sees to it); a short value keeps them fast as well."""
    limited = value[:MAX_PATTERN_VALUE]
    return pattern is None or re.fullmatch(pattern, limited, re.IGNORECASE) is not None


_SENSITIVE: Final = Probe(replicas, _sensitive_cases, for_users)
_TRANSPORT: Final = Probe(edge, _transport_cases, for_users, kinds=(HopKind.EDGE,))
_HYGIENE: Final = Probe(replicas, _hygiene_cases, for_users)

PLUGINS: Final = (
    Control(
        id="HDR-001",
        title="No caching of sensitive answers",
        severity=Severity.P1,
        criterion="every path in http.sensitive answers with no-store and without public, max-age or s-maxage, on 2xx, 401 "
        "and 403, and a second request comes from no cache",
        fix="send Cache-Control: no-store on the route, refusals included",
        ask=_SENSITIVE.ask,
        judge=_SENSITIVE.judge,
        safety=Safety.BENIGN,
        needs=("http.sensitive",),
        max_age=MAX_AGE,
        checklists=("000/8.1", "000/8.2", "000/8.3", "000/8.4"),
    ),
    Control(
        id="HDR-003",
        title="Strict-Transport-Security",
        severity=Severity.P0,
        criterion=f"HTTPS answers of externalURL carry Strict-Transport-Security with max-age of at least {MIN_HSTS_SECONDS} "
        "(or headers.hsts)",
        fix="send Strict-Transport-Security: max-age=31536000 on every HTTPS answer",
        ask=_TRANSPORT.ask,
        judge=_TRANSPORT.judge,
        safety=Safety.BENIGN,
        needs=("externalURL",),
        max_age=MAX_AGE,
        checklists=("002/3.a4", "003/5.3"),
    ),
    Control(
        id="HDR-005",
        title="nosniff, Referrer-Policy and no version banners",
        severity=Severity.P0,
        criterion="public paths and a page that does not exist carry X-Content-Type-Options: nosniff, HTML also a "
        "Referrer-Policy; no X-Powered-By and no Server with a version; headers.required and headers.forbidden hold",
        fix="set the headers in one place that also serves errors, and turn banners off",
        ask=_HYGIENE.ask,
        judge=_HYGIENE.judge,
        safety=Safety.BENIGN,
        needs=("http.public",),
        max_age=MAX_AGE,
        checklists=("002/3.a2", "002/3.a6", "002/3.t1", "002/3.t3", "003/5.3"),
    ),
)

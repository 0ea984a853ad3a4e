"""OBS: metrics that Prometheus can scrape inside, and that nobody can read outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.exposition import Exposition, format_of, read
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, edge, get, innermost, missing
from readiness.reading import leads_to_login, like_missing, shown
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest
from readiness.workload import app_container, containers, port_number

_FORMATS: Final = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
ACCEPT: Final = ("accept", _FORMATS)
BODY_CAP: Final = 2 * 1024 * 1024
MAX_SECONDS: Final = 2.0
_BUILT_IN: Final = ("process_", "python_", "go_", "jvm_", "nodejs_", "promhttp_", "scrape_")


def _path(subject: Subject) -> str:
    return subject.target.metrics.path if subject.target.metrics else "/metrics"


def _port(subject: Subject, hop: Hop) -> int | None:
    """The port to scrape: the probed one, or the pod's that is declared; None when it has none."""
    declared = subject.target.metrics.port if subject.target.metrics else None
    if declared is None or subject.workload is None:
        return hop.port
    app = app_container(subject.workload, subject.target.container)
    found = (port_number(c, declared) for c in (app, *containers(subject.workload)) if c)
    return next((p for p in found if p is not None), None)


def _inside(subject: Subject) -> tuple[Hop, ...]:
    """One pod, at the metrics port. Another way only where that port is the probed one."""
    declared = subject.target.metrics.port if subject.target.metrics else None
    hops = innermost(subject)
    return hops if declared is None or (hops and hops[0].kind is HopKind.POD) else ()


def _scrape_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    port = _port(subject, hop)
    if port is None:
        yield Case((), lambda _: unknown(
            "PortNotFound", f"no container has the port {subject.target.metrics.port if subject.target.metrics else ''}",
            fix="correct metrics.port",
        ))  # fmt: skip
        return
    other = hop if port == hop.port else replace(hop, port=port, tls=False)
    path = hop.prefix + _path(subject)
    yield Case(
        (HttpRequest(other, path, "GET", (ACCEPT,), cap=BODY_CAP),), partial(_judge_scrape, subject)
    )


def _judge_scrape(subject: Subject, answers: tuple[HttpAnswer, ...]) -> Verdict:
    answer, path = answers[0], _path(subject)
    kind = format_of(answer.header("content-type") or "")
    if answer.status != 200 or not kind:
        return failed(
            "NotExposed", f"GET {path} is no exposition that Prometheus accepts",
            expected="200 with content type text/plain; version=0.0.4 or application/openmetrics-text",
            observed=f"{answer.status}, content type {shown(answer.header('content-type') or '') or 'absent'}",
            fix="serve the client library's handler there, with its content type, or correct metrics.path and metrics.port",
        )  # fmt: skip
    try:
        body = answer.body.decode("utf-8", "ignore" if answer.truncated else "strict")
    except UnicodeDecodeError:
        seen = Exposition(error="not UTF-8")
    else:
        seen = read(body, kind, truncated=answer.truncated)
    if seen.error:
        return failed(
            "ExpositionInvalid", f"GET {path} does not parse: Prometheus drops the whole scrape",
            expected=f"valid {kind}", observed=seen.error,
            fix="let a client library write the exposition; check what appends to it (proxies, custom collectors)",
            evidence=f"line {seen.line}" if seen.line else "",
        )  # fmt: skip
    return _judge_content(subject, answer, seen)


def _judge_content(subject: Subject, answer: HttpAnswer, seen: Exposition) -> Verdict:
    path, metrics = _path(subject), subject.target.metrics
    most, own = (metrics.max_series, metrics.own) if metrics else (10000, ())
    if seen.series > most:
        return failed(
            "TooManySeries", f"GET {path} of one pod exposes more series than it may",
            expected=f"at most {most} series", observed=f"more than {most}",
            fix="drop labels without a bound (ids, paths, addresses), or raise metrics.maxSeries on purpose",
        )  # fmt: skip
    absent = [n for n in own if not {n, f"{n}_total", f"{n}_count", f"{n}_bucket"} & seen.names]
    foreign = any(not name.startswith(_BUILT_IN) for name in seen.names)
    if answer.truncated:
        return unknown(
            "TooLargeToCount", f"GET {path} is larger than the operator reads, so its series cannot be counted",
            fix="expose less than 2 MiB per pod",
        )  # fmt: skip
    if absent or not (own or foreign):
        return failed(
            "NoOwnMetric", f"GET {path} shows nothing of the application itself",
            expected=f"metrics {', '.join(own)}" if own else "a metric beyond those of process and runtime",
            observed=f"none named {shown(', '.join(absent))}" if absent else "process and runtime metrics only",
            fix="count requests and errors and measure their duration in the application; name them in metrics.own",
        )  # fmt: skip
    if answer.elapsed > MAX_SECONDS:
        return failed(
            "SlowScrape", f"GET {path} takes longer than 2s",
            expected="an answer within 2s", observed="slower than 2s",
            fix="compute nothing expensive while scraping",
        )  # fmt: skip
    return passed("Scrapeable", f"GET {path} is a valid exposition with metrics of the application")


def _public_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    requests = (*missing(subject, hop), get(hop, _path(subject)))
    yield Case(requests, partial(_judge_public, subject, requests))


def _judge_public(
    subject: Subject, requests: tuple[HttpRequest, ...], answers: tuple[HttpAnswer, ...]
) -> Verdict:
    *absent, answer = answers
    path, hop = _path(subject), requests[-1].hop
    if any(a.status >= 500 for a in absent):
        return unknown(
            "ControlArmFailed", f"{hop.host} answers 5xx to a route that does not exist, so nothing can be compared",
            fix="see why the edge answers 5xx",
        )  # fmt: skip
    routes = [(r.path, a) for r, a in zip(requests, absent, strict=False)]
    closed = answer.status in (401, 403, 404, 405, 410) or leads_to_login(answer, None)
    if closed or like_missing(answer, requests[-1].path, routes):
        return passed("MetricsInternal", f"{path} is not served at {hop.host}")
    if not 200 <= answer.status < 300:
        return unknown("NotRefused", f"GET {path} at {hop.host} is answered {answer.status}, which proves no refusal",
                       fix=f"answer 404 to {path} at the edge")  # fmt: skip
    return failed(
        "MetricsPublic", f"GET {path} at {hop.host} is served to anyone",
        expected="401, 403, 404, or the answer of a route that does not exist", observed=str(answer.status),
        fix=f"do not route {path} at the edge, or serve metrics on a port of their own (metrics.port)",
    )  # fmt: skip


_SCRAPE: Final = Probe(_inside, _scrape_cases, across)
_PUBLIC: Final = Probe(edge, _public_cases, across, kinds=(HopKind.EDGE,))

PLUGINS: Final = (
    Control(
        id="OBS-001",
        title="Metrics can be scraped",
        severity=Severity.P0,
        criterion="GET metrics.path of a pod answers 200 within 2 s with a content type that Prometheus 3 accepts, parses "
        "without error, stays within metrics.maxSeries and shows metrics.own (or any beyond process and runtime)",
        fix="expose the client library's handler and count what the application does",
        ask=_SCRAPE.ask,
        judge=_SCRAPE.judge,
        safety=Safety.BENIGN,
        needs=("metrics",),
        max_age=MAX_AGE,
        checklists=("002/9.a1", "002/9.t1", "002/9.t2"),
    ),
    Control(
        id="OBS-012",
        title="Metrics are not public",
        severity=Severity.P0,
        criterion="metrics.path at externalURL answers 401, 403 or 404, or like a route that does not exist",
        fix="do not route the metrics path at the edge",
        ask=_PUBLIC.ask,
        judge=_PUBLIC.judge,
        safety=Safety.BENIGN,
        needs=("metrics", "externalURL"),
        max_age=MAX_AGE,
        checklists=("002/9.a1", "002/9.t1", "002/9.t2"),
    ),
)

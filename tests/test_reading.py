"""Real-world answers, read: pages, health, redirects, policies and expositions."""

from __future__ import annotations

import pytest

from readiness import csp
from readiness.controls.dependencies import leak_of
from readiness.controls.health import epoch_of
from readiness.exposition import OPENMETRICS, TEXT, format_of, read
from readiness.reading import (
    directives,
    is_html,
    is_json,
    json_of,
    leads_to_login,
    like_missing,
    shown,
    stays_on,
)
from readiness.request import HttpAnswer, Outcome

HELMET = (
    "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';"
    "img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline'"
)
GOOGLE = "script-src 'nonce-r4nd0m' 'strict-dynamic' https: 'unsafe-inline'; object-src 'none'; base-uri 'none'"


def answer(status: int = 200, body: str = "", **headers: str) -> HttpAnswer:
    pairs = tuple((k.replace("_", "-"), v) for k, v in headers.items())
    return HttpAnswer(Outcome.RESPONSE, status, pairs, body.encode())


@pytest.mark.parametrize(
    ("values", "weak"),
    [
        ([HELMET], ()),
        ([GOOGLE], ()),
        (["default-src 'none'"], ()),
        (["upgrade-insecure-requests"], ("'unsafe-eval'", "'unsafe-inline'", "any host")),
        (["default-src 'self' https:"], ("any host",)),
        (["script-src 'self' *.cdn.example"], ()),
        (["script-src *:443"], ("any host",)),
        (["script-src data:"], ("any host",)),
        (["script-src 'self' 'unsafe-inline' 'sha256-abc='"], ()),
        (["script-src 'self' 'unsafe-inline'"], ("'unsafe-inline'",)),
        (["SCRIPT-SRC 'SELF' 'UNSAFE-EVAL'"], ("'unsafe-eval'",)),
        (["script-src 'self' 'wasm-unsafe-eval'"], ()),
        (["script-src 'self'; script-src *"], ()),
        (["script-src-elem 'self'; script-src 'self' 'unsafe-inline'"], ("'unsafe-inline'",)),
        (["script-src *", "script-src 'self'"], ()),
        (["script-src 'unsafe-inline'", "script-src * 'unsafe-inline'"], ("'unsafe-inline'",)),
        (["frame-ancestors 'none', script-src 'self'"], ()),
    ],
)
def test_content_security_policies(values: list[str], weak: tuple[str, ...]) -> None:
    assert csp.weaknesses(csp.policies_of(values)) == weak


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ([HELMET], "self"),
        (["default-src 'none'"], ""),
        (["frame-ancestors"], "none"),
        (["frame-ancestors 'self' https://a.example"], "some"),
        (["frame-ancestors https:"], "any"),
        (["frame-ancestors *", "frame-ancestors 'self'"], "self"),
    ],
)
def test_frame_ancestors(values: list[str], who: str) -> None:
    assert csp.framing(csp.policies_of(values)) == who


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["no-store"], {"no-store": ""}),
        (["Private, Max-Age=60"], {"private": "", "max-age": "60"}),
        (["no-store", "public"], {"no-store": "", "public": ""}),
        (['max-age="31536000"; includeSubDomains'], {"max-age": "31536000", "includesubdomains": ""}),
        (["no-cache, no-store, max-age=0, must-revalidate"], {"no-cache": "", "no-store": "", "max-age": "0", "must-revalidate": ""}),
    ],
)  # fmt: skip
def test_directives(values: list[str], found: dict[str, str]) -> None:
    assert directives(values) == found


@pytest.mark.parametrize(
    ("value", "epoch"),
    [
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T00:00:00.5+00:00", 1767225600.5),
        ("2026-01-01T02:00:00.123456789+02:00", 1767225600.123456789),
        ("2026-01-01 00:00:00z", 1767225600.0),
        (1767225600, 1767225600.0),
        (1767225600123, 1767225600.123),
        ("1767225600", 1767225600.0),
        ("2026-01-01T00:00:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("Thu, 01 Jan 2026 00:00:00 GMT", None),
        (5, None),
        (True, None),
        (None, None),
        ([1], None),
        (10**400, None),
    ],
)
def test_timestamps(value: object, epoch: float | None) -> None:
    assert epoch_of(value) == (None if epoch is None else pytest.approx(epoch))


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("up", False),
        ("2026-01-01T12:30:45Z", False),
        ("https://docs.example.com/x", False),
        ("status: 12 ms", False),
        ("7.2.4", False),
        ("redis:responseTime", False),
        ("mongodb+srv://db.example/shop", True),
        ("jdbc:postgresql://db/shop", True),
        ("https://user:secret@api.example", True),
        ("redis-0.redis.shop.svc.cluster.local:6379", True),
        ("10.0.0.5:5432 refused", True),
        ("redis:6379", True),
    ],
)
def test_leaks(text: str, leaks: bool) -> None:
    assert bool(leak_of(text)) is leaks


def test_leak_search_is_fast_on_hostile_text() -> None:
    for text in ("a." * 30000, "a://" + ":" * 60000, "a-" * 30000, "1." * 30000):
        assert leak_of(text) in ("", "a connection URI", "a host with its port")


@pytest.mark.parametrize(
    ("seen", "html", "json"),
    [
        (answer(body="<!DOCTYPE html>", content_type="text/html; charset=utf-8"), True, False),
        (answer(body="  <!doctype HTML><p>"), True, False),
        (answer(body='{"status":"UP"}', content_type="application/vnd.spring-boot.actuator.v3+json"), False, True),
        (answer(body="<html>", content_type="text/plain"), False, False),
        (answer(body='{"detail":"Not Found"}', content_type="application/json"), False, True),
    ],
)  # fmt: skip
def test_kinds_of_answers(seen: HttpAnswer, html: bool, json: bool) -> None:
    assert (is_html(seen), is_json(seen)) == (html, json)


def test_a_body_that_is_no_json() -> None:
    assert json_of(answer(body="[" * 60000)) is None
    assert json_of(HttpAnswer(Outcome.RESPONSE, 200, (), b"\xff\xfe")) is None


@pytest.mark.parametrize(
    ("location", "login"),
    [
        ("/login?next=/x", True),
        ("/accounts/login/", True),
        ("https://id.example/oauth2/v1/authorize?x", True),
        ("https://id.example/realms/a/protocol/openid-connect/auth", True),
        ("/enter", True),
        ("/authors", False),
        ("/blogging-in", False),
        ("/orders/", False),
    ],
)
def test_redirects_to_a_login(location: str, login: bool) -> None:
    assert leads_to_login(answer(302, location=location), "/enter") is login


def test_a_redirect_to_the_same_place_shows_nothing() -> None:
    assert stays_on(answer(301, location="https://x/a/"), "/a")
    assert not stays_on(answer(301, location="/b"), "/a")


MISSING = {
    "express": (404, "<pre>Cannot GET {path}</pre>"),
    "fastapi": (404, '{{"detail":"Not Found"}}'),
    "django": (
        404,
        "<h1>Not Found</h1><p>The requested resource was not found on this server.</p>",
    ),
    "spring": (404, '{{"timestamp":"2026-01-01T00:00:0{n}Z","status":404,"path":"{path}"}}'),
    "shell": (200, '<html><script nonce="n{n}x">go()</script><div id=app></div></html>'),
}


@pytest.mark.parametrize("server", MISSING)
def test_routes_that_do_not_exist_look_alike(server: str) -> None:
    status, body = MISSING[server]
    made = [
        (p, answer(status, body.format(path=p, n=n)))
        for n, p in enumerate(("/r-aa", "/r-bb", "/.env"))
    ]
    assert like_missing(made[2][1], "/.env", made[:2])
    assert not like_missing(
        answer(200, "DB_PASSWORD=x\nDEBUG=1\nHOST=a\nUSER=b\nPORT=c"), "/.env", made[:2]
    )
    assert not like_missing(
        answer(status, body.format(path="/.env", n=1) + " a b c d e f"), "/.env", made[:2]
    )
    assert not like_missing(answer(status, "html"), "/.env", made[:2])


def test_empty_pages_are_alike_only_with_each_other() -> None:
    empty = [("/a", answer()), ("/b", answer())]
    assert like_missing(answer(), "/c", empty)
    assert not like_missing(answer(body="ok"), "/c", empty)


def test_shown_values_are_short_and_hide_nonces() -> None:
    assert "abc" not in shown("script-src 'nonce-abc'")
    assert len(shown("x" * 500)) == 120
    assert "\n" not in shown("a\r\nb\x1b[0m")


@pytest.mark.parametrize(
    ("line", "kind", "good"),
    [
        ('a{b="c"} 1', TEXT, True),
        ('a{b="c",} 1', TEXT, True),
        ("a{} 1", TEXT, True),
        ('{"utf.8",b="c"} 1', TEXT, True),
        (r'a{b="\"\\\n"} 1.5e-3 1395066363000', TEXT, True),
        ("a NaN", TEXT, True),
        ("a -Inf", TEXT, True),
        ("a 0x1F", TEXT, True),
        ("# a comment", TEXT, True),
        ("", TEXT, True),
        ("# TYPE a stateset", OPENMETRICS, True),
        ('a_total 1 # {t="x"} 2 3', OPENMETRICS, True),
        ("a", TEXT, False),
        ("a 1 2 3", TEXT, False),
        ("a 1,5", TEXT, False),
        ("1a 1", TEXT, False),
        ("a{b=c} 1", TEXT, False),
        ('a{b="c" 1', TEXT, False),
        ('a{b="c",b="d"} 1', TEXT, False),
        ("a{,} 1", TEXT, False),
        ("a 1\r", TEXT, False),
        ("<html>", TEXT, False),
        ('a_total 1 # {t="x"} 2', TEXT, False),
        ("# TYPE a info", TEXT, False),
        ("# a comment", OPENMETRICS, False),
        ("", OPENMETRICS, False),
        ("a 1\n# EOF\nb 1", OPENMETRICS, False),
    ],
)  # fmt: skip
def test_expositions(line: str, kind: str, good: bool) -> None:
    text = f"ok 1\n{line}\n" + ("# EOF\n" if kind == OPENMETRICS else "")
    assert (read(text, kind).error == "") is good


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("text/plain; version=0.0.4; charset=utf-8", TEXT),
        ("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", TEXT),
        ("text/plain", TEXT),
        (
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            OPENMETRICS,
        ),
        ("text/plain, version=0.0.4", ""),
        ("application/json", ""),
        ("text/html; charset=utf-8", ""),
        ("", ""),
    ],
)
def test_content_types(value: str, kind: str) -> None:
    assert format_of(value) == kind


def test_prometheus_client_is_read_without_error() -> None:
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

    registry = CollectorRegistry()
    Counter("shop_orders", "Orders.", ["kind"], registry=registry).labels('a"b\\c\nd').inc()
    Histogram("shop_seconds", "Time.", registry=registry).observe(0.2, {"trace_id": "x"})
    for text, kind in ((generate_latest(registry), TEXT), (openmetrics(registry), OPENMETRICS)):
        seen = read(text.decode(), kind)
        assert (seen.error, "shop_orders_total" in seen.names) == ("", True)
        assert seen.series > 15

"""Headers that are absent, weak, or there for some answers only (HDR-001…005)."""

from specimen.defects.plants import Defect, Memory, Plant, at, header, reworded
from specimen.http import Request, Response

CSP, FRAME = "Content-Security-Policy", "X-Frame-Options"


def html(request: Request, response: Response) -> bool:
    return any(k == "Content-Type" and v.startswith("text/html") for k, v in response.headers)


def errors(request: Request, response: Response) -> bool:
    return response.status == 404


def refused(request: Request, response: Response) -> bool:
    return request.path == "/api/session" and response.status == 401


def everywhere(request: Request, response: Response) -> bool:
    return True


def report_only(request: Request, response: Response, memory: Memory) -> Response:
    value = next((v for k, v in response.headers if k == CSP), "")
    without = header(CSP)(request, response, memory)
    return header(CSP + "-Report-Only", value)(request, without, memory)


def one_nonce(request: Request, response: Response, memory: Memory) -> Response:
    """The first policy with its nonce, again and again."""
    value = next(v for k, v in response.headers if k == CSP)
    return header(CSP, memory.setdefault("csp", value))(request, response, memory)


def stored(name: str, value: str) -> Plant:
    """From the second time on, an answer out of a cache."""

    def plant(request: Request, response: Response, memory: Memory) -> Response:
        key = f"{request.path} {request.tls}"
        if key not in memory:
            memory[key] = "seen"
            return response
        return header(name, value)(request, response, memory)

    return plant


def scripts(sources: str) -> Plant:
    """Another script-src."""
    return at(
        html, header(CSP, f"default-src 'self'; script-src {sources}; frame-ancestors 'none'")
    )


def framed(policy: str, *frame: str) -> Plant:
    """Another frame-ancestors (empty: none) and X-Frame-Options."""
    return at(
        html,
        reworded(CSP, "; frame-ancestors 'none'", policy and f"; frame-ancestors {policy}"),
        header(FRAME, *frame),
    )


DENY = {"headers": {"frame": "DENY"}}
DEFECTS = (
    Defect("HDR-001/missing", "2xx answers carry no-store", {"HDR-001": "Cacheable"}, at("/login", header("Cache-Control"))),
    Defect("HDR-001/missing-on-401", "refusals carry no-store", {"HDR-001": "Cacheable"}, at(refused, header("Cache-Control"))),
    Defect("HDR-001/no-cache", "no-store, for which no-cache is none", {"HDR-001": "Cacheable"}, at("/login", header("Cache-Control", "no-cache, private"))),
    Defect("HDR-001/public", "no-store stands without public", {"HDR-001": "Cacheable"}, at("/login", header("Cache-Control", "no-store, public"))),
    Defect("HDR-001/max-age", "no-store stands without max-age", {"HDR-001": "Cacheable"}, at("/login", header("Cache-Control", "no-store, max-age=60"))),
    Defect("HDR-001/s-maxage", "no-store stands without s-maxage", {"HDR-001": "Cacheable"}, at("/login", header("Cache-Control", "no-store, s-maxage=60"))),
    Defect("HDR-001/age", "a second request comes from no cache", {"HDR-001": "ServedFromCache"}, at("/login", stored("Age", "2"))),
    Defect("HDR-001/cache-hit", "a second request comes from no cache", {"HDR-001": "ServedFromCache"}, at("/login", stored("X-Cache", "HIT"))),
    Defect("HDR-002/missing", "HTML carries a Content-Security-Policy", {"HDR-002": "CSPMissing"}, at(html, header(CSP))),
    Defect("HDR-002/missing-on-404", "so does the page for no route", {"HDR-002": "CSPMissing"}, at(errors, header(CSP))),
    Defect("HDR-002/missing-on-one", "so does every page", {"HDR-002": "CSPMissing"}, at("/page", header(CSP))),
    Defect("HDR-002/report-only", "it is enforced", {"HDR-002": "CSPReportOnly"}, at(html, report_only)),
    Defect("HDR-002/no-script-src", "it restricts scripts", {"HDR-002": "CSPWeak"}, at(html, header(CSP, "img-src 'self'; frame-ancestors 'none'"))),
    Defect("HDR-002/any-host", "script-src has no *", {"HDR-002": "CSPWeak"}, scripts("'self' *")),
    Defect("HDR-002/any-https", "script-src has no bare scheme", {"HDR-002": "CSPWeak"}, scripts("'self' https:")),
    Defect("HDR-002/data", "script-src has no data:", {"HDR-002": "CSPWeak"}, scripts("'self' data:")),
    Defect("HDR-002/unsafe-inline", "no unsafe-inline without nonce or hash", {"HDR-002": "CSPWeak"}, scripts("'self' 'unsafe-inline'")),
    Defect("HDR-002/unsafe-eval", "no unsafe-eval", {"HDR-002": "CSPWeak"}, scripts("'self' 'unsafe-eval'")),
    Defect("HDR-002/nonce-reused", "nonces are fresh", {"HDR-002": "NonceReused"}, at(html, one_nonce)),
    Defect("HDR-002/differs", "it is the declared one, where one is declared", {"HDR-002": "CSPDiffers"},
           at(html, reworded(CSP, "object-src 'none'", "object-src 'self'")),
           declares={"headers": {"csp": "default-src 'self'; script-src 'self' 'nonce-x'; object-src 'none'; base-uri 'self'; "
                                 "form-action 'self'; frame-ancestors 'none'"}}),
    Defect("HDR-003/missing", "HTTPS answers carry Strict-Transport-Security", {"HDR-003": "HSTSMissing"}, at(everywhere, header("Strict-Transport-Security"))),
    Defect("HDR-003/missing-on-404", "so does the page for no route", {"HDR-003": "HSTSMissing"}, at(errors, header("Strict-Transport-Security"))),
    Defect("HDR-003/short", "max-age is at least 180 days", {"HDR-003": "HSTSTooShort"},
           at(lambda request, _: request.tls, header("Strict-Transport-Security", "max-age=86400"))),
    Defect("HDR-003/below-declared", "max-age is at least headers.hsts", {"HDR-003": "HSTSTooShort"},
           at(lambda request, _: request.tls, header("Strict-Transport-Security", "max-age=15552000")),
           declares={"headers": {"hsts": "8760h"}}),
    Defect("HDR-004/missing", "HTML may not be framed", {"HDR-004": "FramingAllowed"}, framed("")),
    Defect("HDR-004/missing-on-404", "nor may the page for no route", {"HDR-004": "FramingAllowed"},
           at(errors, framed(""))),
    Defect("HDR-004/any-ancestor", "frame-ancestors lists hosts", {"HDR-004": "FramingAllowed"}, framed("*")),
    Defect("HDR-004/ancestors-win", "frame-ancestors wins over X-Frame-Options", {"HDR-004": "FramingAllowed"}, framed("*", "DENY")),
    Defect("HDR-004/allow-from", "X-Frame-Options is DENY or SAMEORIGIN", {"HDR-004": "FramingAllowed"}, framed("", "ALLOW-FROM https://partner.example")),
    Defect("HDR-004/two-values", "X-Frame-Options says one thing", {"HDR-004": "FramingAllowed"}, framed("", "DENY, SAMEORIGIN")),
    Defect("HDR-004/same-origin", "nobody frames it, where DENY is declared", {"HDR-004": "FramingAllowed"}, framed("'self'"), declares=DENY),
    Defect("HDR-005/sniffing", "answers carry nosniff", {"HDR-005": "NosniffMissing"}, at(everywhere, header("X-Content-Type-Options"))),
    Defect("HDR-005/sniffing-on-404", "so does the answer for no route", {"HDR-005": "NosniffMissing"}, at(errors, header("X-Content-Type-Options"))),
    Defect("HDR-005/no-referrer-policy", "HTML carries a Referrer-Policy", {"HDR-005": "ReferrerPolicyMissing"}, at(html, header("Referrer-Policy"))),
    Defect("HDR-005/unsafe-url", "the Referrer-Policy is not unsafe-url", {"HDR-005": "ReferrerPolicyMissing"}, at(html, header("Referrer-Policy", "unsafe-url"))),
    Defect("HDR-005/powered-by", "no X-Powered-By", {"HDR-005": "ForbiddenHeader"}, at(everywhere, header("X-Powered-By", "Shop"))),
    Defect("HDR-005/server-version", "no Server with a version", {"HDR-005": "ForbiddenHeader"}, at(everywhere, header("Server", "shop/1.2.3"))),
    Defect("HDR-005/banner-on-404", "nor on the answer for no route", {"HDR-005": "ForbiddenHeader"}, at(errors, header("Server", "shop/1.2.3"))),
    Defect("HDR-005/forbidden", "headers.forbidden holds", {"HDR-005": "ForbiddenHeader"}, at(everywhere, header("X-Debug", "1"))),
    Defect("HDR-005/required", "headers.required holds", {"HDR-005": "RequiredHeader"}, at(errors, header("Cross-Origin-Opener-Policy"))),
    Defect("HDR-005/required-differs", "headers.required matches its pattern", {"HDR-005": "RequiredHeader"},
           at("/page", header("Cross-Origin-Opener-Policy", "unsafe-none"))),
)  # fmt: skip

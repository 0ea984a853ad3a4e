"""The routes, and the headers that every answer carries: set in one place, so that errors carry them too."""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from specimen.config import Config
from specimen.http import Request, Response
from specimen.log import Log, log
from specimen.metrics import CONTENT_TYPE, Metrics
from specimen.upstream import Manners, answers, call, reachable

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><script nonce="{nonce}">document.title += " · shop"</script></body></html>
"""
CSP = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
POLITE = Manners()
CALLS = {"/ask": ("GET", "llm"), "/pay": ("POST", "pay")}
"""Which upstream a route calls, with the route's own method."""
NO_STORE = ("Cache-Control", "no-store")


class Shop:
    """The application: `await shop(request)` answers. `exposed` is false for what only the cluster may read."""

    def __init__(self, config: Config, tell: Log = log, manners: Manners = POLITE) -> None:
        self._config = config
        self._tell = tell
        self._manners = manners
        self._started = time.monotonic()
        self._metrics = Metrics()
        self._routes: dict[str, Callable[[Request], Response]] = {
            "/": lambda r: page("Shop"),
            "/page": lambda r: page("A page"),
            "/login": lambda r: page("Log in", NO_STORE),
            "/slow": slow,
            "/fail": fail,
            "/api/catalog": lambda r: as_json({"items": ["apples", "pears"]}),
            "/api/orders": self._orders,
            "/api/session": self._session,
        }
        self._takers: dict[str, Callable[[Request], Response]] = {"/api/feedback": feedback}

    async def __call__(self, request: Request) -> Response:
        """The answer, complete."""
        began = time.monotonic()
        response = self._hardened(request, await self._caught(request))
        self._metrics.observe(request.method, response.status, time.monotonic() - began)
        return response

    async def _caught(self, request: Request) -> Response:
        """The one place where an error of any route becomes an answer and a line of the log."""
        try:
            return await self._answer(request)
        except Exception as error:
            self._tell("error", repr(error), path=request.path, method=request.method, status=500)
            return problem(request, 500, "Internal server error")

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS" and request.path.startswith("/api/"):
            return Response(204)
        if request.path == "/health":
            return await self._health(request)
        if request.path == "/metrics" and not request.tls:  # the edge does not serve it
            return Response(
                200, (("Content-Type", CONTENT_TYPE),), self._metrics.exposition().encode()
            )
        if request.path in CALLS and request.method == CALLS[request.path][0]:
            return await self._call(request)
        if (request.method, request.path) == ("POST", "/notes"):
            return await self._note(request)
        return self._routed(request)

    def _routed(self, request: Request) -> Response:
        """What is read, and what takes a body."""
        read, taker = self._routes.get(request.path), self._takers.get(request.path)
        if read is not None and request.method in ("GET", "HEAD"):
            return read(request)
        if taker is not None and request.method == "POST":
            return taker(request)
        if read is None and taker is None:
            return problem(request, 404, "Not found")
        return not_allowed(request, "GET, HEAD" if read else "POST")

    async def _health(self, request: Request) -> Response:
        """Shallow: this process only, which is what Kubernetes' probes need. Deep: its dependencies, too."""
        said: dict[str, Any] = {
            "status": "ok",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "uptime": round(time.monotonic() - self._started, 3),
        }
        if request.query.get("deep") == "true":
            states = await self._states()
            said["components"] = {n: {"status": "ok" if up else "down"} for n, up in states.items()}
            said["status"] = "ok" if all(states.values()) else "degraded"
        return as_json(said, 200 if said["status"] == "ok" else 503, NO_STORE)

    async def _states(self) -> dict[str, bool]:
        """Each dependency, asked at the same time as the others."""
        looks = {
            n.partition("=")[0]: reachable(self._manners, n) for n in self._config.dependencies
        }
        looks |= {n: answers(self._manners, url) for n, url in self._config.upstreams.items()}
        return dict(zip(looks, await asyncio.gather(*looks.values()), strict=True))

    async def _call(self, request: Request) -> Response:
        """What an upstream said, in a word: the caller learns when it said nothing."""
        method, name = CALLS[request.path]
        url = self._config.upstreams.get(name)
        if url is None:
            return problem(request, 404, "Not found")
        status = await call(self._manners, method, url)
        return as_json({"upstream": name, "status": status}, status, NO_STORE)

    async def _note(self, request: Request) -> Response:
        """Who is told that it is kept can rely on it: every store has said so."""
        kept = [await reachable(self._manners, name) for name in self._config.dependencies]
        if all(kept):
            return as_json({"kept": True}, 201, NO_STORE)
        refused = problem(request, 503, "Not kept, try again later")
        return replace(refused, headers=(*refused.headers, ("Retry-After", "5")))

    def _orders(self, request: Request) -> Response:
        return as_json({"orders": []}, 200, NO_STORE) if self._known(request) else unauthorized()

    def _session(self, request: Request) -> Response:
        return (
            as_json({"user": "service"}, 200, NO_STORE) if self._known(request) else unauthorized()
        )

    def _known(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        expected = self._config.api_token.encode()
        return (
            scheme.lower() == "bearer"
            and bool(expected)
            and hmac.compare_digest(token.encode(), expected)
        )

    def _hardened(self, request: Request, response: Response) -> Response:
        """What every answer carries, whatever route or error it comes from."""
        headers = [
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("X-Frame-Options", "DENY"),
        ]
        if request.tls:
            headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
        if request.path.startswith("/api/"):
            headers += self._cors(request)
        return replace(response, headers=(*response.headers, *headers))

    def _cors(self, request: Request) -> list[tuple[str, str]]:
        """The origin is compared with the list as a whole text."""
        origin, allowed = request.headers.get("origin", ""), self._config.origins
        headers = [("Vary", "Origin")]
        if "*" in allowed:
            return [("Access-Control-Allow-Origin", "*")]
        if origin in allowed:
            headers += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
            ]
            if request.method == "OPTIONS":
                headers += [("Access-Control-Allow-Methods", "GET"), ("Access-Control-Allow-Headers", "Authorization"),
                            ("Access-Control-Max-Age", "600")]  # fmt: skip
        return headers


def page(title: str, *headers: tuple[str, str], status: int = 200) -> Response:
    """An HTML document with a policy that lets only its own script run."""
    nonce = secrets.token_urlsafe(16)
    said = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", CSP.format(nonce=nonce)),
    )
    return Response(status, (*said, *headers), PAGE.format(title=title, nonce=nonce).encode())


def as_json(said: Any, status: int = 200, *headers: tuple[str, str]) -> Response:
    """A JSON document."""
    return Response(
        status, (("Content-Type", "application/json"), *headers), json.dumps(said).encode()
    )


def problem(request: Request, status: int, title: str) -> Response:
    """An error as the client can read it: a page for browsers, JSON for programs."""
    if "text/html" in request.headers.get("accept", ""):
        return page(title, status=status)
    return as_json({"error": title}, status)


def not_allowed(request: Request, allowed: str) -> Response:
    """What to do with this path instead."""
    refused = problem(request, 405, "Method not allowed")
    return replace(refused, headers=(*refused.headers, ("Allow", allowed)))


def feedback(request: Request) -> Response:
    """What anyone may tell, as a JSON object."""
    try:
        told = json.loads(request.body)
    except (ValueError, RecursionError):
        told = None
    return as_json({"thanks": True}, 202) if isinstance(told, dict) else problem(request, 400, "Not a JSON object")  # fmt: skip


def unauthorized() -> Response:
    """Who has no valid token learns how to send one, and nothing else."""
    return as_json(
        {"error": "Unauthorized"}, 401, NO_STORE, ("WWW-Authenticate", 'Bearer realm="shop"')
    )


def slow(request: Request) -> Response:
    """An answer that takes its time: the first byte at once, then one a second. Drains are measured with it."""
    text = request.query.get("seconds", "1")
    seconds = min(int(text), 60) if text.isdigit() else 1

    async def parts() -> AsyncIterator[bytes]:
        yield b"started\n"
        for _ in range(seconds):
            await asyncio.sleep(1)
            yield b".\n"
        yield b"done\n"

    return Response(200, (("Content-Type", "text/plain; charset=utf-8"), NO_STORE), stream=parts)


def fail(request: Request) -> Response:
    """An error that no route catches, to see what becomes of one."""
    raise RuntimeError("this route always fails")

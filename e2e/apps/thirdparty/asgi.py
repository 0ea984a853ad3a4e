"""A tiny ASGI application, as uvicorn runs it: JSON only, a login elsewhere, any origin welcome."""

import json
import time
from datetime import UTC, datetime

STARTED = time.monotonic()
PUBLIC = [(b"x-content-type-options", b"nosniff"), (b"access-control-allow-origin", b"*")]


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    status, headers, body = answer(scope["path"], scope["query_string"].decode(), scope["method"])
    sent = [*headers, *PUBLIC, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def answer(path, query, method):
    if method == "OPTIONS":
        return 204, [(b"access-control-allow-methods", b"*")], b""
    if path == "/health":
        said = {
            "status": "pass",
            "timestamp": datetime.now(UTC).isoformat(),
            "uptime": time.monotonic() - STARTED,
        }
        if "deep" in query:
            said["components"] = {"database": {"status": "pass"}}
        return as_json(200, said)
    if path == "/metrics":
        text = "# TYPE catalogue_requests counter\ncatalogue_requests_total 17\n"  # OpenMetrics must end with # EOF
        return (
            200,
            [(b"content-type", b"application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text.encode(),
        )
    return FIXED.get(path) or as_json(404, {"detail": "Not Found"})


def as_json(status, said, *headers):
    return status, [(b"content-type", b"application/json"), *headers], json.dumps(said).encode()


FIXED = {
    "/": as_json(200, {"service": "catalogue"}),
    "/api/orders": (302, [(b"location", b"/auth/login?next=/api/orders")], b""),
    "/api/session": as_json(
        401, {"detail": "Not authenticated"}, (b"cache-control", b"private, no-store, max-age=0")
    ),
}

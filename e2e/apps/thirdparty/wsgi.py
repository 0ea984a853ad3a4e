"""A tiny WSGI application, as gunicorn runs it with two workers: uptime and counters are each worker's own."""

import json
import time

STARTED = time.time()
COUNTED = {"requests": 0}


def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    COUNTED["requests"] += 1
    status, headers, body = answer(path, query, environ)
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def answer(path, query, environ):
    if path == "/health":
        said = {"status": "healthy", "timestamp": time.time(), "uptime": time.time() - STARTED}
        if "deep" in query:
            said["checks"] = [
                {"name": "database", "url": "postgresql://db.internal/orders", "status": "up"}
            ]
        return as_json("200 OK", said)
    if path == "/api/orders":
        if "HTTP_AUTHORIZATION" in environ:
            return as_json("403 Forbidden", {"error": "unknown token"})
        return as_json("401 Unauthorized", {"error": "no token"}, ("WWW-Authenticate", "Bearer"))
    if path == "/metrics":
        text = (
            f"# TYPE orders_requests_total counter\norders_requests_total {COUNTED['requests']}\n"
        )
        return "200 OK", [("Content-Type", "text/plain; version=0.0.4")], text.encode()
    return FIXED.get(path, ("404 Not Found", [("Content-Type", "text/plain")], b"Not Found"))


def as_json(status, said, *headers):
    return status, [("Content-Type", "application/json"), *headers], json.dumps(said).encode()


FIXED = {
    "/": (
        "200 OK",
        [("Content-Type", "text/html; charset=utf-8")],
        b"<!doctype html><title>Orders</title>",
    ),
    "/api/session": as_json(
        "401 Unauthorized", {"error": "no session"}, ("Cache-Control", "no-store")
    ),
}

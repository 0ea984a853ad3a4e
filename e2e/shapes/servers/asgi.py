"""The smallest ASGI application with a slow answer; how it stops is its server's business."""

import asyncio
from urllib.parse import parse_qs

HALF = b"x" * 511 + b"\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(2 * len(HALF)).encode())]


async def application(scope, receive, send):
    if scope["type"] != "http":
        return  # lifespan: nothing to prepare
    wait = parse_qs(scope["query_string"]).get(b"seconds", [b"0"])[0]
    slow = scope["path"] == "/slow"
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": HALF, "more_body": True})
    await asyncio.sleep(float(wait) if slow else 0)
    await send({"type": "http.response.body", "body": HALF})

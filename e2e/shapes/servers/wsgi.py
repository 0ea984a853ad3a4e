"""The smallest WSGI application with a slow answer; how it stops is its server's business."""

import time
from urllib.parse import parse_qs

HALF = b"x" * 511 + b"\n"


def application(environ, start_response):
    wait = parse_qs(environ["QUERY_STRING"]).get("seconds", ["0"])[0]
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(2 * len(HALF)))]
    start_response("200 OK", headers)
    yield HALF
    time.sleep(float(wait) if environ["PATH_INFO"] == "/slow" else 0)
    yield HALF

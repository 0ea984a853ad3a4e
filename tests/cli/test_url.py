"""`readiness check --url` against a real server on loopback: what is asked, settled and concluded."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

SAFE = {
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=()",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
}


@pytest.fixture
def site():
    """`site(headers)` → URL of a server that answers `/` with them and everything else with 404."""
    servers = []

    def start(headers: dict[str, str]) -> str:
        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version = "web", ""

            def do_GET(self):
                asked.append((self.path, self.headers["User-Agent"]))
                body = b"<!doctype html><title>x</title>" if self.path == "/" else b"no such page"
                self.send_response(200 if self.path == "/" else 404)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        asked: list[tuple[str, str]] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked = asked
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def results(ended):
    return {row["id"]: row["result"] for row in json.loads(ended.out)["findings"]}


def test_a_safe_site(readiness, site):
    ended = readiness("check", "--url", site(SAFE), "-o", "json", "--skip", "HDR-003")
    found = results(ended)
    assert {"HDR-002", "HDR-004", "CFG-009"} <= found.keys()
    assert "Fail" not in found.values(), ended.out
    assert "look 1: " in ended.err


def test_a_defect_stands_after_three_looks(readiness, site):
    headers = {k: v for k, v in SAFE.items() if k != "X-Content-Type-Options"}
    ended = readiness("check", "--url", site(headers), "-o", "json")
    assert ended.code == 1
    assert "Fail" in results(ended).values()
    assert "look 3: " in ended.err


def test_nobody_there_cannot_be_told(readiness):
    ended = readiness("check", "--url", "http://127.0.0.1:1", "-o", "json")
    assert ended.code == 3
    assert set(results(ended).values()) == {"Unknown"}
    fixes = {row["fix"] for row in json.loads(ended.out)["findings"]}
    assert fixes == {"correct the port of the URL, or start what should listen there"}

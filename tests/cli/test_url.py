"""`readiness check --url` against a real server on loopback: what is asked, settled and concluded."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .conftest import Ended, process

SAFE = {
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=()",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
}


@pytest.fixture(scope="module")
def site():
    """`site(headers)` → URL of a server that answers `/` with them and everything else with 404."""
    servers = []

    def start(headers: dict[str, str]) -> str:
        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version = "web", ""

            def do_GET(self):
                body = b"<!doctype html><title>x</title>" if self.path == "/" else b"no such page"
                self.send_response(200 if self.path == "/" else 404)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def checks(site) -> dict[str, Ended]:
    """Every check, side by side: each waits some seconds between its looks."""
    lacking = {k: v for k, v in SAFE.items() if k != "X-Content-Type-Options"}
    given = {
        "safe": (site(SAFE), "--skip", "HDR-003"),
        "lacking": (site(lacking),),
        "nobody": ("http://127.0.0.1:1",),
    }
    running = {
        name: process("-m", "readiness", "check", "-o", "json", "--url", *words)
        for name, words in given.items()
    }
    found = {name: (*child.communicate(timeout=60), child) for name, child in running.items()}
    return {name: Ended(child.returncode, out, err) for name, (out, err, child) in found.items()}


def results(ended: Ended) -> dict[str, str]:
    assert "Traceback" not in ended.err
    return {row["id"]: row["result"] for row in json.loads(ended.out)["findings"]}


def test_a_safe_site(checks):
    ended = checks["safe"]
    found = results(ended)
    assert {"HDR-002", "HDR-004", "CFG-009"} <= found.keys()
    assert "Fail" not in found.values(), ended.out
    assert "look 1: " in ended.err


def test_a_defect_stands_after_three_looks(checks):
    ended = checks["lacking"]
    assert ended.code == 1
    assert "Fail" in results(ended).values()
    assert "look 3: " in ended.err


def test_nobody_there_cannot_be_told(checks):
    ended = checks["nobody"]
    assert ended.code == 3
    assert set(results(ended).values()) == {"Unknown"}
    fixes = {row["fix"] for row in json.loads(ended.out)["findings"]}
    assert fixes == {"correct the port of the URL, or start what should listen there"}

"""Fixtures of the tests that the operator holds: one seat per session, a namespace per test."""

from __future__ import annotations

import itertools
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from chaosproxy import ChaosProxy
from holdrig import Audit, Namespace, Operator, Seat

logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # clients that are killed
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def seats(api_server):
    """Makes seats: a namespace with the service account and the rights that the chart gives."""

    def take() -> Seat:
        return Seat.take(api_server, f"seat-{next(_numbers)}")

    return take


@pytest.fixture(scope="session")
def seat(seats) -> Seat:
    """The seat that most tests share, one after the other."""
    return seats()


@pytest.fixture
def audit(api_server) -> Audit:
    """The audit log from now on."""
    return Audit(api_server.audit_log)


@pytest.fixture
def space(api_server) -> Iterator[Namespace]:
    """A namespace of its own, without policies at the end."""
    found = Namespace(api_server, f"hold-{next(_numbers)}")
    yield found
    found.clear()


@pytest.fixture
def proxy(seat, api_server) -> Iterator[ChaosProxy]:
    """A proxy through which an operator may be led."""
    with ChaosProxy(api_server.running.api_url, seat.tls()) as found:
        yield found


@pytest.fixture
def operators() -> Iterator[list[Operator]]:
    """Whatever a test puts in here is killed at its end, and leaves no Lease to wait for."""
    found: list[Operator] = []
    yield found
    for operator in found:
        operator.kill()
        operator.free()
        print(f"--- the end of {operator.log.name}:\n{operator.text()[-6000:]}")  # shown on failure


@pytest.fixture
def launch(seat, tmp_path, operators):
    """Starts an operator and waits until it works."""

    def start(kubeconfig: Path | None = None, *, wait: bool = True, **settings: object) -> Operator:
        log = tmp_path / f"operator-{len(operators)}.log"
        operator = Operator(kubeconfig or seat.kubeconfig(), seat.name, log, settings, seat.free)
        operators.append(operator.start())
        if wait:
            operator.await_ready()
        return operator

    return start


@pytest.fixture
def served() -> Iterator[tuple[str, int, list[str]]]:
    """An application on an address that is no loopback: (address, port, paths that were asked for)."""
    asked: list[str] = []

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("198.51.100.1", 9))  # chooses an address, sends nothing
            address = route.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no address but loopback, which is never probed")
    server = ThreadingHTTPServer((address, 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address, server.server_address[1], asked
    server.shutdown()
    server.server_close()

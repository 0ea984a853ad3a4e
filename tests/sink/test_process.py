"""The program as its pods run it: started with arguments, switched, ended by SIGTERM within a second."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free(count: int) -> list[int]:
    """Ports that nobody had a moment ago."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


@contextmanager
def program(*args: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "readiness", "drill-sink", *map(str, args)]
    environ = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    running = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def ask(port: int, path: str, order: dict[str, object] | None = None) -> dict[str, object]:
    """The answer, asked again until somebody listens."""
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    for _ in range(150):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")


@pytest.mark.parametrize("store", [True, False], ids=["with its store", "before its store"])
def test_serves_and_ends_at_once_when_told(store: bool):
    port, control, gate, behind = free(4)
    with program("--port", port, "--control", control, "--gate", f"{gate}=127.0.0.1:{behind}") as running:  # fmt: skip
        server = socket.create_server(("127.0.0.1", behind)) if store else None
        assert ask(port, "/x")["path"] == "/x"
        assert ask(control, "/mode", {"mode": "tarpit"}).keys() == {"now"}
        hanging = socket.create_connection(("127.0.0.1", port))
        hanging.sendall(b"GET /y HTTP/1.1\r\nHost: x\r\n\r\n")
        assert str(gate) in str(ask(control, "/records")["gates"])
        told = time.perf_counter()
        running.send_signal(signal.SIGTERM)

        assert running.wait(10) == 0
        assert time.perf_counter() - told < 1
        assert running.stderr is not None
        assert running.stderr.read() == ""
        hanging.close()
        if server is not None:
            server.close()


def test_a_port_that_is_taken_ends_it_with_an_error():
    port, control = free(2)
    with (
        socket.create_server(("127.0.0.1", port)),
        program("--port", port, "--control", control) as it,
    ):
        assert it.wait(30) == 1
        assert "address already in use" in (it.stderr.read() if it.stderr else "").lower()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--control", "8070"],
        ["--port", "8070", "--control", "8070"],
        ["--port", "0", "--control", "8070"],
        ["--gate", "6379", "--control", "8070"],
        ["--gate", "6379=16379", "--control", "8070"],
        ["--gate", "x=127.0.0.1:1", "--control", "8070"],
    ],
)
def test_words_that_make_no_sink(words, monkeypatch, capsys):
    from readiness.__main__ import main

    try:
        code = main(["drill-sink", *words])
    except SystemExit as ended:
        code = ended.code
    assert code == 2


def test_it_carries_nothing_that_it_does_not_need():
    """It runs beside every store and in every drill: with the engines it took twice the memory."""
    code = "import sys, readiness.sink.control; print(*sys.modules)"
    environ = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    out = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)  # fmt: skip

    loaded = set(out.stdout.split())
    assert not loaded & {"httpx", "pydantic", "kopf", "kubernetes", "aiohttp"}

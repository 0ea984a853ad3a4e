"""`readiness drill-isolated` beside a real listener: open, closed, and closed while it waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

WITHIN = 1.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What stands for the API server."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as found:
        yield found


def wait(
    address: tuple[str, int], word: Path, within: float, *more: str
) -> subprocess.Popen[bytes]:
    host, port = address
    env = {**os.environ, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
    command = [
        "-m",
        "readiness",
        "drill-isolated",
        "--within",
        f"{within:g}",
        "--word",
        str(word),
        *more,
    ]
    return subprocess.Popen([sys.executable, *command], env=env)


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--required",), 1)])
def test_a_network_that_isolates_nothing_is_told_and_not_waited_for_longer(
    listener: socket.socket, tmp_path: Path, more: tuple[str, ...], code: int
) -> None:
    waiting = wait(listener.getsockname(), tmp_path / "word", WITHIN, *more)

    assert waiting.wait(60) == code
    assert (tmp_path / "word").read_text() == "open"


@pytest.mark.parametrize("before", [True, False], ids=["isolated", "isolated later"])
def test_a_clone_starts_once_it_is_isolated(
    listener: socket.socket, tmp_path: Path, before: bool
) -> None:
    address = listener.getsockname()
    if before:
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    waiting = wait(address, tmp_path / "word", 60.0)
    if not before:
        listener.accept()[0].close()  # it has found the way open
        time.sleep(0.2)
        assert waiting.poll() is None
        listener.close()

    assert waiting.wait(30) == 0
    assert not (tmp_path / "word").exists()

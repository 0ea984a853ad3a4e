"""What only a process shows: imports, pipes, signals, terminals, a bare environment."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from .conftest import BAD, GOOD, MANIFESTS, ROOT, process

HEAVY = ("kopf", "kubernetes", "httpx", "aiohttp", "asyncio", "prometheus_client")
SLOW = (
    "pydantic", "importlib.metadata", "importlib.resources", "typing_extensions", "difflib",
    "fractions", "readiness.dataservices.kinds", "readiness.drills.clone",
)  # fmt: skip
POLICY = str(ROOT / "tests" / "api" / "full.yaml")
PROBE = """
import sys
from readiness.__main__ import main
sys.argv = ["readiness"]
code = main({words!r})
print("LOADED", code, *(m for m in {heavy!r} if m in sys.modules))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["version"], 0),
        (["controls"], 0),
        (["explain", "SHD-008"], 0),
        (["check", GOOD], 0),
        (["check", BAD, "-o", "sarif"], 1),
        (["crd"], 0),
    ],
)
def test_commands_without_a_cluster_load_no_client(words, code):
    out, err = process("-c", PROBE.format(words=words, heavy=HEAVY)).communicate()
    assert out.splitlines()[-1] == f"LOADED {code}", err


@pytest.mark.parametrize(
    ("words", "models"),
    [
        (["check", str(MANIFESTS)], False),
        (["check", BAD, "--profile", "web", "-o", "json"], False),
        (["explain", "SHD-008"], False),
        (["controls"], False),
        (["check", POLICY], True),
    ],
)
def test_plain_manifests_are_judged_without_the_models(words, models):
    """They and pydantic take longer to import than everything else together; what builds things is not needed."""
    out, err = process("-c", PROBE.format(words=words, heavy=SLOW)).communicate()
    loaded = out.splitlines()[-1].split()[2:]
    assert "pydantic" in loaded if models else loaded == [], (loaded, err)


def test_works_without_home_and_network():
    network = (
        ["unshare", "-rn"]
        if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode
        == 0
        else []
    )
    command = [*network, sys.executable, "-m", "readiness", "check", GOOD]
    environ = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_has_seen_enough_is_no_error():
    with process("-m", "readiness", "check", BAD, "-v", "-o", "json") as running:
        running.stdout.close()
        assert running.wait(30) == 141
        assert running.stderr.read() == ""


def test_ctrl_c_is_clean():
    def interruptible():
        """What a shell starts in the background ignores SIGINT, and so would its children."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    words = ("-m", "readiness", "check", "-")
    with process(*words, stdin=subprocess.PIPE, preexec_fn=interruptible) as running:
        time.sleep(1.5)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert running.stderr.read() == "interrupted\n"


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_on_a_terminal(environ, coloured):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "readiness", "check", BAD]
    base = {
        "PYTHONPATH": str(ROOT / "operator"),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "COLUMNS": "80",
    }
    running = subprocess.Popen(command, env=base | environ, stdout=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 65536):
            seen += block
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert running.wait() == 1
    assert (b"\x1b[31m" in seen) is coloured


def test_without_a_cluster_nothing_can_be_told():
    for words in (["status"], ["gate", "x"], ["wait", "x", "--timeout", "1s"], ["report", "x"]):
        out, err = (
            running := process("-m", "readiness", *words, env={"HOME": "/nonexistent"})
        ).communicate()
        assert (running.returncode, out) == (3, "")
        assert "no kubeconfig" in err
        assert "Traceback" not in err

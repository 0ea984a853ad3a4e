"""One run of the command line: in this process for tables, as a process for what only that shows."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from readiness.__main__ import main

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).parent / "manifests"
GOOD, BAD = str(MANIFESTS / "good.yaml"), str(MANIFESTS / "bad.yaml")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def readiness(capsys, monkeypatch):
    """`readiness("check", "-", stdin="…")` → exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["readiness"])
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str, stdin: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ended(code, out, err)

    return run


def process(*words: str, **options) -> subprocess.Popen[str]:
    """The command as a process of its own, with nothing of ours in its environment."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH") or str(ROOT / "operator"),
    }
    return subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=environ | options.pop("env", {}), text=True,
        stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip

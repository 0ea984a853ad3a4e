"""What the closing lines say: skipped is not the same as not run."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))

import suites


def test_what_could_not_run_is_told_apart_and_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    tally = suites.Tally(Counter(passed=7, failed=0, skipped=20))
    missing = "no program mongod ($MONGOD), and no container engine for the image mongo:8"
    tally.note([f"SKIPPED [19] e2e/test_mongodb.py:242: needs_mongod: {missing}", "SKIPPED [1] e2e/x.py:3: no zones"])  # fmt: skip

    assert tally.close() == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"!!! NOT RUN: 19 tests: needs_mongod: {missing}" in lines
    assert "=== skipped: 1" in lines
    assert lines[-1] == "7 passed, 0 failed, 1 skipped, 19 not run"


def test_without_them_the_last_line_is_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    suites.Tally(Counter(passed=7, failed=1, skipped=0)).close()

    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 1 failed, 0 skipped"


def test_a_run_without_end_is_ended_with_its_closing_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging = tmp_path / "test_hanging.py"
    hanging.write_text("import time\ndef test_first(): pass\ndef test_hangs(): time.sleep(600)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(hanging)]
    monkeypatch.setitem(suites.SUITES, "unit", [command])
    monkeypatch.setattr(suites, "LIMIT_MINUTES", 5 / 60)
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background job
    started = time.monotonic()

    try:
        assert suites.main(["unit", "api"]) == 1
    finally:
        signal.signal(signal.SIGINT, ignored)
    told = capsys.readouterr().out.splitlines()
    assert time.monotonic() - started < 60
    assert "unit   ENDED" in "\n".join(told)
    assert "api    ENDED" in "\n".join(told)
    assert told[-1] == "1 passed, 2 failed, 0 skipped"

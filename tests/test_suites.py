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


@pytest.mark.parametrize(
    ("cores", "wanted", "count"),
    [(1, "", 2), (2, "", 3), (3, "", 4), (16, "", 4), (2, "0", 0), (2, "6", 6)],
)
def test_so_many_processes_share_a_suite(cores: int, wanted: str, count: int) -> None:
    assert suites.workers(cores, wanted) == count


def test_what_waits_is_shared_and_a_debugger_gets_it_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("READINESS_TEST_WORKERS", "2")
    assert suites.spread("unit") == suites.spread("api") == ["-n", "2", "--dist", "loadfile"]
    assert suites.spread("e2e") == []
    monkeypatch.setenv("READINESS_TEST_WORKERS", "0")
    assert suites.spread("api") == []


SHARED = {
    "test_good.py": "def test_good(): pass\n",
    "test_skips.py": "import pytest\n@pytest.mark.skip(reason='needs_mongod: none here')\ndef test_skips(): pass\n",
    "test_once.py": (
        "from pathlib import Path\nMARK = Path(__file__).with_name('ran')\n"
        "def test_once(): assert MARK.exists() or MARK.touch()\n"
    ),
    "test_hangs.py": "import time\ndef test_hangs(): time.sleep(600)\n",
}


def test_what_several_processes_ran_is_counted_and_tried_again_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in SHARED.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra\ntimeout = 2\n")
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path)]
    monkeypatch.setitem(suites.SUITES, "api", [command])
    monkeypatch.setenv("READINESS_TEST_WORKERS", "2")

    assert suites.main(["api"]) == 1
    told = capsys.readouterr().out.splitlines()
    repeated = told[told.index("=== second try: 2") + 1 :][:2]
    assert sorted(line.split("::")[-1].split()[0] for line in repeated) == [
        "test_hangs",
        "test_once",
    ]
    assert told[-1] == "2 passed, 1 failed, 0 skipped, 1 not run"


BREAKS = """
from pathlib import Path
MARK = Path(__file__).with_name("ran")
assert MARK.exists() or MARK.touch()
def test_a(): pass
"""


def test_a_run_that_broke_off_is_not_made_good_by_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_breaks.py").write_text(BREAKS)
    (tmp_path / "test_never_run.py").write_text("def test_b(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path)]
    monkeypatch.setitem(suites.SUITES, "e2e", [command])

    assert suites.main(["e2e"]) == 1
    assert "=== second try: nothing" in capsys.readouterr().out.splitlines()

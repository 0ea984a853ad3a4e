"""The commands around `check`: lists, explanations, CRDs, help, and mistakes in the words typed."""

from __future__ import annotations

import json
import sys

import pytest

from readiness import rules
from readiness.__main__ import COMMANDS, main, program


def test_controls_as_json_is_a_list(readiness):
    known = rules.load()
    found = json.loads(readiness("controls", "-o", "json").out)
    assert [row["id"] for row in found] == sorted({*known.controls, *known.gates})
    for row in found:
        assert row.keys() >= {"id", "title", "family", "severity", "safety", "profiles"}
    assert {"baseline"} <= set(next(r for r in found if r["id"] == "SHD-008")["profiles"])


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 0), (["--profile", "baseline"], 0), (["--profile", "x"], 2), (["-o", "yaml"], 0)],
)
def test_controls(readiness, words, code):
    assert readiness("controls", *words).code == code


def test_every_control_can_be_explained(readiness):
    known = rules.load()
    for id_ in (*known.controls, *known.gates):
        ended = readiness("explain", id_)
        assert ended.code == 0
        for word in (id_, known.find(id_).title, "Severity", "Holds when", "To meet it"):
            assert word in ended.out
        assert all(len(line) <= 80 for line in ended.out.splitlines())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, ""),
        (["help"], 0, ""),
        (["--version"], 0, ""),
        (["chekc"], 2, "did you mean check?"),
        (["frobnicate"], 2, "expected one of check, explain"),
        (["explain", "SHD-00"], 2, "did you mean SHD-0"),
        (["explain", "zzz"], 2, "`readiness controls` lists them"),
        (["explain"], 2, "required"),
        (["gate"], 2, "required"),
        (["wait", "x", "--timeout", "soon"], 2, "expected a duration like 90s"),
        (["status", "x", "-A"], 2, "not both"),
        (["crd", "--check", "/none"], 2, "no such directory"),
        (["crd", "--write", "/none"], 2, "cannot be written"),
    ],
)
def test_words(readiness, words, code, said):
    ended = readiness(*words)
    assert ended.code == code
    assert said in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(readiness, command):
    ended = readiness(command, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"usage: readiness {command}")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/readiness", "readiness"),
        ("/bin/kubectl-readiness", "kubectl readiness"),
        ("x/__main__.py", "readiness"),
    ],
)
def test_the_name_adapts_to_kubectl(path, name, monkeypatch, capsys):
    assert program(path) == name
    monkeypatch.setattr(sys, "argv", [path])
    main(["help"])
    assert capsys.readouterr().out.startswith(f"usage: {name} ")


def test_crd_writes_and_compares(readiness, tmp_path):
    assert readiness("crd", "--check", str(tmp_path)).code == 1
    assert readiness("crd", "--write", str(tmp_path)).code == 0
    assert readiness("crd", "--check", str(tmp_path)).code == 0
    next(tmp_path.iterdir()).write_text("changed")
    assert readiness("crd", "--check", str(tmp_path)).code == 1


def test_settings_mistakes_stop_the_operator_before_it_starts(readiness, monkeypatch):
    monkeypatch.setenv("READINESS_WORKERS", "many")
    ended = readiness("run")
    assert ended.code == 2
    assert "READINESS_WORKERS" in ended.err

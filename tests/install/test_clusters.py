"""Which cluster is chosen, and that nobody's own cluster is touched unasked. Programs are small scripts on PATH."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "e2e"))

import clusters  # noqa: E402 (e2e is a directory of programs)
from localcluster.progress import ClusterError  # noqa: E402

IMAGE = "kindest/node:v1"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH, and a state directory without clusters."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "bin"


def add(programs: Path, name: str, script: str = "exit 0") -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


CHOICES = [
    ({}, ("local", ""), "no container engine answers"),
    ({"docker": "exit 1"}, ("local", ""), "no container engine answers"),
    ({"docker": "exit 0"}, ("local", ""), "the program kind is not installed"),
    ({"docker": "exit 0", "kind": "exit 0"}, ("kind", "docker"), "kind with docker"),
    ({"docker": "exit 1", "podman": "exit 0", "kind": "exit 0"}, ("kind", "podman"), "kind with podman"),
    ({"docker": '[ "$1" = info ]', "kind": "exit 0"}, ("local", ""), "could not pull kindest/node:v1"),
    ({"docker": '[ "$1" != image ]', "kind": "exit 0"}, ("kind", "docker"), "pulling kindest/node:v1"),
]  # fmt: skip


@pytest.mark.parametrize(("installed", "chosen", "said"), CHOICES)
def test_default(
    programs: Path,
    capsys: pytest.CaptureFixture[str],
    installed: dict[str, str],
    chosen: tuple[str, str],
    said: str,
) -> None:
    for name, script in installed.items():
        add(programs, name, script)
    assert clusters.choose({"KIND_NODE_IMAGE": IMAGE}) == chosen
    assert said in capsys.readouterr().err


def test_asked_for_kind_says_what_is_missing(programs: Path) -> None:
    add(programs, "docker")
    with pytest.raises(ClusterError, match="CLUSTER=kind: docker answers but the program kind"):
        clusters.choose({"CLUSTER": "kind"})


def test_unknown_word(programs: Path) -> None:
    with pytest.raises(ClusterError, match="CLUSTER=minikube: expected current, kind or local"):
        clusters.choose({"CLUSTER": "minikube"})


@pytest.mark.parametrize("given", [{}, {"CONFIRM_CONTEXT": "staging"}])
def test_current_needs_the_context_confirmed(
    programs: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    add(programs, "kubectl", f'echo "$@" >> {programs}/calls; echo production')
    monkeypatch.setattr("sys.stdin", (programs / "kubectl").open())  # not a terminal
    with pytest.raises(ClusterError, match="'production' is not confirmed") as refused:
        clusters.up({"CLUSTER": "current", **given})
    assert refused.value.code == 2
    assert (programs / "calls").read_text() == "config current-context\n"
    sys.stdin.close()


def test_current_confirmed(programs: Path) -> None:
    add(programs, "kubectl", "echo production")
    found = clusters.up({"CLUSTER": "current", "CONFIRM_CONTEXT": "production"})
    assert (found.kind, found.name, found.kubeconfig) == ("current", "production", None)
    with pytest.raises(ClusterError, match="push it to a registry"):
        found.load("readiness-operator:1", None)

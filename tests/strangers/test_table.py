"""The applications of strangers: enough of them, of every kind and origin, each seen in a real rollout."""

import sys
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parents[2] / "e2e"
sys.path[:0] = [str(E2E)]

import strangers  # noqa: E402 (the path must be set first)

SEEN = {name for name, _ in strangers.truth()}


def test_they_are_many_and_of_every_kind_and_origin() -> None:
    origins = {app.package.rpartition("(")[2].rstrip(")") for app in strangers.APPS.values()}

    assert len(strangers.APPS) >= 12
    assert origins == {"Debian 13", "PyPI", "npm", "Go"}
    assert {app.kind for app in strangers.APPS.values()} == {"web server", "registry", "dashboard", "queue", "API"}  # fmt: skip


def test_every_one_was_seen_in_a_rollout() -> None:
    assert strangers.APPS.keys() == SEEN


def test_the_packages_of_pypi_and_npm_are_the_pinned_ones() -> None:
    pins = (strangers.HERE / "python/requirements.txt").read_text()
    lock = (strangers.HERE / "node/package.json").read_text()
    for app in strangers.APPS.values():
        name, version, *_ = app.package.split()
        if app.package.endswith("(PyPI)"):
            assert f"{name}=={version} " in pins
        if app.package.endswith("(npm)"):
            assert f'"{name}": "{version}"' in lock


def test_the_namespace_denies_and_counts() -> None:
    made = strangers.space("space")
    policies = {each["metadata"]["name"]: each["spec"] for each in made if each["kind"] == "NetworkPolicy"}  # fmt: skip

    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [each["kind"] for each in made].count("ResourceQuota") == 1


HEAD = ("httpbin", "2 200", "49 200", "0, 0", "9", "0", "50 hung", "20 refused", "9 ended")
CASES = {
    "fine": ((), {"SHD-001": "yes", "SHD-003": "yes", "SHD-004": "yes", "SHD-006": "yes", "SHD-010": "no"}),
    "cut": ((1, "1 200, 1 cut"), {"SHD-001": "no", "SHD-004": "no"}),
    "killed": ((3, "137, 137"), {"SHD-001": "no"}),
    "code 1": ((3, "1, 1"), {"SHD-001": "no"}),
    "one or the other": ((3, "1, 0"), {"SHD-001": "unknown"}),
    "late": ((4, "18"), {"SHD-001": "no"}),
    "idle": ((5, "15"), {"SHD-006": "no"}),
    "idle, about the limit": ((5, "3"), {"SHD-006": "unknown"}),
    "served on": ((7, "9 200, 1 refused"), {"SHD-003": "no"}),
    "served on old connections": ((8, "9 200, 1 ended"), {"SHD-003": "no"}),
    "told to go elsewhere": ((8, "1 200+close, 8 ended"), {"SHD-003": "yes"}),
    "served while routed": ((6, "50 200"), {"SHD-010": "yes"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_follows_from_what_was_seen(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, expected = CASES[case]
    row = list(HEAD)
    if change:
        row[change[0]] = change[1]
    (tmp_path / "truth.tsv").write_text("# head\n" + "\t".join(row) + "\n")
    monkeypatch.setattr(strangers, "HERE", tmp_path)

    found = {control: truth.holds for (_, control), truth in strangers.truth().items()}

    assert expected.items() <= found.items()


def test_what_drills_said_contradicts_no_rollout_and_decides_most() -> None:
    found = strangers.drilled()

    assert strangers.wrong(found) == {}
    assert {id_: s for id_, s in strangers.decided(found).items() if s < strangers.MOST} == {}


FOUND = strangers.Drilled("Fail", "Served", "9 answers")


def test_a_wrong_verdict_is_told_and_an_open_one_is_not() -> None:
    assert list(strangers.wrong({("nginx", "SHD-003"): FOUND})) == [("nginx", "SHD-003")]
    assert strangers.wrong({("verdaccio", "SHD-003"): FOUND}) == {}
    assert strangers.wrong({("nginx", "SHD-003"): FOUND._replace(result="Unknown")}) == {}


def test_applications_that_were_drilled_again_replace_only_their_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "HERE", tmp_path)
    (tmp_path / "drilled.tsv").write_text("")
    old, new = FOUND, FOUND._replace(result="Pass")
    strangers.keep(
        {("tomcat", "SHD-001"): old, ("nginx", "SHD-001"): old, ("nginx", "SHD-003"): old}
    )
    strangers.keep({("nginx", "SHD-001"): new})

    assert strangers.drilled() == {("nginx", "SHD-001"): new, ("tomcat", "SHD-001"): old}

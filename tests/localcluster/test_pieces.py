"""Small pure parts: certificates' arguments, build keys, storage decisions, CLI usage."""

import os
from pathlib import Path
from typing import Any

import pytest

from localcluster import build, cli, images, pki, storage
from localcluster.progress import ClusterError
from localcluster.run import recorded_pid


@pytest.mark.parametrize(
    ("user", "groups", "subject"),
    [
        ("admin", ["system:masters"], "/O=system:masters/CN=admin"),
        ("a/b", [], "/CN=a\\/b"),
    ],
)
def test_subjects(user: str, groups: list[str], subject: str) -> None:
    assert pki.subject_of(user, groups) == subject


def test_certificates_have_what_strict_clients_ask_for() -> None:
    assert "keyCertSign" in pki.AUTHORITY
    text = pki.extensions_of(["DNS:localhost", "IP:127.0.0.1"])
    assert "authorityKeyIdentifier" in text
    assert text.endswith("subjectAltName = DNS:localhost,IP:127.0.0.1\n")
    assert "subjectAltName" not in pki.extensions_of([])


def test_every_signature_has_a_serial_of_its_own() -> None:
    made = [pki.sign_args(Path("d"), Path("r"), Path("c"), Path("e")) for _ in range(2)]
    serials = {args[args.index("-set_serial") + 1] for args in made}
    assert len(serials) == 2


def test_build_keys_change_with_everything_that_decides_a_binary() -> None:
    kube = build.PROGRAMS["kube"]
    keys = {
        build.key_of(*args)
        for args in (
            (kube, "go1.24.0", "amd64"),
            (kube, "go1.24.1", "amd64"),
            (kube, "go1.24.0", "arm64"),
            (build.PROGRAMS["pause"], "go1.24.0", "amd64"),
        )
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26, 8)), ("1.24", (1, 24, 0)), ("devel", ()), ("go1.24rc1", (1, 24, 0))],
)
def test_go_versions(text: str, version: tuple[int, ...]) -> None:
    assert build.version_of(text) == version


def claim(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": "0000abcd-1",
            "name": "data",
            "namespace": "a",
            "annotations": annotations,
        },
        "spec": {
            "storageClassName": "local",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


LATE = {"metadata": {"name": "local"}, "volumeBindingMode": "WaitForFirstConsumer"}
AT_ONCE = {"metadata": {"name": "local"}, "volumeBindingMode": "Immediate"}
CHOSEN = {storage.SELECTED_NODE: "node2"}


@pytest.mark.parametrize(
    ("found", "storage_class", "node"),
    [
        (claim(), None, None),
        (claim(), LATE, None),
        (claim(**CHOSEN), LATE, "node2"),
        (claim(**CHOSEN), AT_ONCE, "node2"),
        ({**claim(**CHOSEN), "spec": {"volumeName": "v"}}, LATE, None),
    ],
)
def test_where_a_claim_gets_its_volume(
    found: dict[str, Any], storage_class: Any, node: str | None
) -> None:
    assert storage.node_for(found, storage_class, ["node1", "node2"]) == node


def test_an_immediate_claim_gets_some_node() -> None:
    assert storage.node_for(claim(), AT_ONCE, ["node1", "node2"]) in ("node1", "node2")


def test_volumes_are_bound_to_claim_and_node() -> None:
    volume = storage.volume_for(claim(), LATE, "node2", Path("/state"))
    assert volume["spec"]["local"] == {"path": "/state/node2/volumes/pvc-0000abcd-1"}
    assert volume["spec"]["claimRef"]["uid"] == "0000abcd-1"
    assert "node2" in str(volume["spec"]["nodeAffinity"])


@pytest.mark.parametrize(
    ("phase", "policy", "expected"),
    [("Released", "Delete", True), ("Released", "Retain", False), ("Bound", "Delete", False)],
)
def test_which_volumes_are_deleted(phase: str, policy: str, expected: bool) -> None:
    volume = storage.volume_for(claim(), {**LATE, "reclaimPolicy": policy}, "node1", Path("/s"))
    assert storage.is_deletable({**volume, "status": {"phase": phase}}) is expected
    foreign = {**volume, "metadata": {"name": "x"}, "status": {"phase": phase}}
    assert not storage.is_deletable(foreign)


@pytest.mark.parametrize("content", ["", "garbage", "other-boot\n1 (init) S 0 0"])
def test_unreadable_or_foreign_records_name_no_process(tmp_path: Path, content: str) -> None:
    record = tmp_path / "etcd"
    record.write_text(content)
    assert recorded_pid(record) is None


@pytest.mark.parametrize("text", ["x", "/tmp=relative", "/does/not/exist=/x"])
def test_bad_layers_are_refused(text: str) -> None:
    with pytest.raises(ClusterError):
        images.parse_layer(text)


@pytest.mark.parametrize("argv", [["up", "--bare", "--nodes", "3"], ["node", "cut"], []])
def test_wrong_usage_exits_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2


def test_failures_are_printed_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cli.main(["status", "--name", "none"]) == 2
    assert "there is no cluster 'none'" in capsys.readouterr().err


def test_down_without_a_cluster_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cli.main(["down", "--name", "none"]) == 0
    assert cli.main(["down", "--all"]) == 0


def test_archives_that_nobody_uses_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_BYTES", 25)
    now = 1_000_000.0
    for hours, name in enumerate(("a", "b", "c", "d")):
        (tmp_path / f"{name}.tar").write_bytes(b"x" * 10)
        os.utime(tmp_path / f"{name}.tar", (now, now - hours * 3600 - 60))

    images.prune(tmp_path, now - 9000)  # all are young
    assert len(list(tmp_path.iterdir())) == 4
    images.prune(tmp_path, now)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "b.tar"]

"""Backups by SFTP before a real sshd: saved, listed, restored by restic alone; and whom nobody knows is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from readiness.backups.destination import Repository, options_of
from readiness.backups.outcome import Reason, Result

from . import sshd
from .test_saving import PASSWORD, Place

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sshd.Server]:
    home = tmp_path / "server"
    home.mkdir()
    with sshd.serving(home) as found:
        yield found


@pytest.fixture
def place(server: sshd.Server, tmp_path: Path) -> Place:
    found = Place(tmp_path, server.url("backups/shop/checkout/cache"), server.secret)
    (tmp_path / "credentials").mkdir()
    for name in server.secret:  # here the files are our own, and ssh wants those for itself
        (tmp_path / "credentials" / name).touch(0o600)
    found.write()
    return found


def test_what_was_dumped_lies_on_the_server_and_is_restored(place: Place, server: sshd.Server):
    outcome = place.run()

    assert (outcome.result, outcome.reason) == (Result.SUCCEEDED, Reason.SAVED), outcome.message
    assert (server.home / "files/backups/shop/checkout/cache/config").is_file()
    options = options_of(
        Repository(place.url), str(place.home / "credentials"), str(place.home / "ssh.log")
    )
    place.secret = {}
    assert len(json.loads(place.restic(*options, "snapshots", "--json"))) == 1
    place.restic(*options, "restore", outcome.snapshot, "--target", str(place.home / "restored"))
    for each in ("dump.rdb", "manifest.json"):
        assert (place.home / "restored" / each).read_bytes() == (place.home / "backup" / each).read_bytes()  # fmt: skip


def test_another_run_of_an_absolute_directory_goes_on(place: Place):
    place.url = place.url.replace("/backups/", "//mnt/files/deep/er/")
    assert place.run().reason is Reason.SAVED
    place.write()
    assert len(place.run("checkout-cache-1a2b-backup-29385254").snapshots) == 2


def strange_host(place: Place, server: sshd.Server) -> None:
    kind, key, *_ = (server.home / "client.pub").read_text().split()
    place.secret = place.secret | {"known_hosts": f"[localhost]:{server.port} {kind} {key}\n"}


def no_host(place: Place, server: sshd.Server) -> None:
    place.secret = place.secret | {"known_hosts": "elsewhere.example.com ssh-ed25519 AAAA\n"}


def revoked(place: Place, server: sshd.Server) -> None:
    (server.home / "authorized").write_text("")


def no_key(place: Place, server: sshd.Server) -> None:
    place.secret = place.secret | {"ssh-privatekey": ""}


def nobody(place: Place, server: sshd.Server) -> None:
    place.url = place.url.replace(f":{server.port}/", ":9/")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (strange_host, Reason.UNTRUSTED),
        (no_host, Reason.UNTRUSTED),
        (revoked, Reason.DENIED),
        (no_key, Reason.CREDENTIALS),
        (nobody, Reason.UNREACHABLE),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_stands_in_the_way_is_named(place: Place, server: sshd.Server, spoil, reason: Reason):
    spoil(place, server)
    for _ in range(5):  # restic ends before or after it has repeated what ssh said
        outcome = place.run()
        assert (outcome.result, outcome.reason) == (Result.FAILED, reason), outcome.message
    assert not any((server.home / "files").iterdir())
    assert PASSWORD not in outcome.message

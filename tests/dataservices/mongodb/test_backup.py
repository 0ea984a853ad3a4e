"""What a backup's pod runs for a MongoDB, verbatim, with the vendor's tools: one secondary dumped, loaded, counted and sampled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mongoprograms
import pytest
from mongoprograms import PASSWORD, SERVERS

from readiness.api.dataservice import DataService
from readiness.dataservices.foreign import build_external
from readiness.dataservices.mongodb import MONGODB
from readiness.dataservices.parts import build_secret

from .dumping import ITEMS, ORDER, TALLIES, World, reason_of, standing

pytestmark = pytest.mark.slow
PRIMARY: tuple[str, ...] = ()
SECONDARY = ("--secondary",)
BEHIND = ("--secondary", "--behind=60")


@pytest.fixture(scope="module", params=SERVERS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:  # fmt: skip
    with standing(request.param, tmp_path_factory.mktemp("mongodb")) as found:
        yield found


@pytest.fixture(scope="module")
def dumped(world: World) -> bytes:
    """A dump of a set of three, as it was verified."""
    log = world.rig.home / "front.log"
    with mongoprograms.fronted(world.backend, log, BEHIND, PRIMARY, SECONDARY) as ports:
        done = world.dump(ports)
        assert done.returncode == 0, done.stderr
        assert f"dumping 127.0.0.1:{ports[2]}" in done.stderr
    done = world.verify()
    assert done.returncode == 0, done.stderr
    return (world.left / "dump.archive").read_bytes()


def test_what_a_secondary_holds_is_counted_and_sampled(world: World, dumped: bytes):
    source, verified = world.found()

    assert (source.member, source.server) != ("", "")
    assert source.began <= source.ended
    assert verified.tool.startswith("mongod ")
    assert tuple(sorted(verified.tallies, key=lambda each: each.name)) == TALLIES
    of = [each.of for each in verified.samples]
    assert {name: of.count(name) for name in set(of)} == {"orders.items": 102, "orders.lines": 94, "orders.sessions": 30, "stock.odd": 11}  # fmt: skip
    assert len({(each.of, each.key) for each in verified.samples}) == len(of)
    assert len({each.digest for each in verified.samples}) == len(of)
    assert len(verified.indexes) == 64
    assert not (world.left / "loaded").exists()


def test_the_same_dump_is_told_the_same_way(world: World, dumped: bytes):
    before = world.found()[1]

    assert world.verify().returncode == 0
    assert world.found()[1] == before


def test_without_a_close_secondary_the_primary_is_dumped(world: World):
    with mongoprograms.fronted(world.backend, world.rig.home / "front.log", BEHIND, PRIMARY) as ports:  # fmt: skip
        done = world.dump(ports)

    assert done.returncode == 0, done.stderr
    assert f"dumping 127.0.0.1:{ports[1]}" in done.stderr


@pytest.mark.parametrize(
    ("members", "password", "reason"),
    [((), "", "NoMember"), ((PRIMARY,), "another", "DumpFailed")],
    ids=["nobody answers", "another password"],
)
def test_what_cannot_be_dumped_is_named(world: World, members: tuple[tuple[str, ...], ...], password: str, reason: str):  # fmt: skip
    with mongoprograms.fronted(world.backend, world.rig.home / "front.log", *members) as ports:
        _, pod = next(world.containers(ports or [1]))
        secret = Path(pod.home / "passwords/password")
        right = secret.read_text()
        secret.write_text(password or right)
        done = pod.run(*pod.container["command"], timeout=300)

    assert reason_of(done) == reason


@pytest.mark.parametrize(
    ("password", "code", "says"),
    [(PASSWORD, 0, "dumping 127.0.0.1:"), ("another", 1, "the user of Secret theirs needs the role backup of the database admin")],
    ids=["its login", "another password"],
)  # fmt: skip
def test_one_that_others_run_is_dumped_by_the_login_that_is_declared(world: World, password: str, code: int, says: str):  # fmt: skip
    store = {"mongodb": {"hosts": ["db"], "secretRef": {"name": "theirs"}}}
    service = DataService.model_validate({"name": "orders", "external": store})
    login, ours = {"username": "backup\n", "password": password}, world.rig.manifests
    jobs = build_external(MONGODB, replace(ORDER, service=service))
    world.rig.manifests = [build_secret("theirs", login), *jobs]
    try:
        with mongoprograms.fronted(world.backend, world.rig.home / "front.log", PRIMARY) as ports:
            done = world.dump(ports)
    finally:
        world.rig.manifests = ours

    assert done.returncode == code, done.stderr
    assert says in done.stderr


def test_a_volume_that_is_full_is_named(world: World, dumped: bytes):
    """As a limit of the machine: the volume is one of 40 KiB, a quarter of what is to be dumped."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k,mode=777", "tmpfs", world.left], check=True)  # fmt: skip
    try:
        with mongoprograms.fronted(world.backend, world.rig.home / "front.log", PRIMARY) as ports:
            done = world.dump(ports)
    finally:
        subprocess.run(["umount", world.left], check=True)

    assert reason_of(done) == "DumpFailed"
    assert "the volume is full: see backup.scratch" in done.stderr.splitlines()[-1]


def test_the_password_is_no_argument_and_in_no_environment(world: World):
    """A mongodump that tells what it was given."""
    real = world.rig.root / "usr/bin/mongodump"
    kept = real.with_suffix(".kept")
    real.rename(kept)
    try:
        real.write_text('#!/bin/sh\n{ echo "$@"; env; echo stdin; cat; } > /backup/given\n: > /backup/dump.archive\n')  # fmt: skip
        real.chmod(0o755)
        with mongoprograms.fronted(world.backend, world.rig.home / "front.log", PRIMARY) as ports:
            assert reason_of(world.dump(ports)) == "DumpFailed"
    finally:
        kept.rename(real)
    open_, _, told = (world.left / "given").read_text().partition("stdin\n")

    assert mongoprograms.PASSWORD not in open_
    assert "--oplog" in open_
    assert told == f'password: "{mongoprograms.PASSWORD}"\n'


@pytest.mark.parametrize("damage", ["half", "without its end", "flipped", "empty", "another's"])
def test_a_dump_that_is_damaged_is_refused_with_a_reason(world: World, dumped: bytes, damage: str):
    at = dumped.index(b"item %d " % (ITEMS // 2))
    broken = {
        "half": dumped[: len(dumped) // 2], "without its end": dumped[:-4], "empty": b"", "another's": b"PK\x03\x04" + dumped,
        "flipped": dumped[:at] + bytes([dumped[at] ^ 1]) + dumped[at + 1 :],
    }[damage]  # fmt: skip
    (world.left / "dump.archive").write_bytes(broken)
    (world.left / "verify.json").unlink(missing_ok=True)

    assert reason_of(world.verify()) == "DumpCorrupt"
    assert not (world.left / "verify.json").exists()

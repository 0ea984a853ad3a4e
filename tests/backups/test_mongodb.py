"""A MongoDB's dump saved, drilled and restored: real restic, the vendor's own tools; what is not whole fails.

On the stand-in for mongod no oplog is replayed, and there are neither users nor views: see `mongoprograms`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mongoprograms
import programs
import pytest
from dataservices.mongodb import dumping
from dataservices.mongodb.dumping import TALLIES, standing
from mongoprograms import SERVERS
from pymongo import MongoClient

from readiness.backups.codec import load_verified
from readiness.backups.manifest import BackupManifest, Source, Tally, Verified
from readiness.backups.outcome import Reason, Result
from readiness.backups.runbook import Way, build_runbook

from . import throwaway
from .stored import PASSWORD, PATIENCE, SOURCES, Saved, World, failed

pytestmark = pytest.mark.slow
MANY = 100_000
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
SCRIPT = (throwaway.SCRIPTS / "mongodb.sh").read_text()
Client = MongoClient[dict[str, Any]]


@dataclass
class Dumped:
    """What a backup's containers left, and dumps of the same server after something had changed."""

    kind: str
    programs: Path
    archive: bytes
    verified: Verified
    changed: dict[str, bytes] = field(default_factory=dict)


CHANGES: dict[str, tuple[Callable[[Client], object], Callable[[Client], object]]] = {
    "an index": (
        lambda client: client["orders"]["items"].drop_index("number_1"),
        lambda client: client["orders"]["items"].create_index("number", unique=True),
    ),
    "content": (
        lambda client: client["orders"]["lines"].update_one({"_id": "line-0"}, {"$set": {"of": 8}}),
        lambda client: client["orders"]["lines"].update_one({"_id": "line-0"}, {"$set": {"of": 0}}),
    ),
    "a document": (
        lambda client: client["orders"]["sessions"].delete_one({"_id": 7}),
        lambda client: None,
    ),
    "a collection": (lambda client: client["stock"]["odd"].drop(), lambda client: None),
}  # fmt: skip
"""Something that is otherwise, and how it is put back where that is wanted."""


@pytest.fixture(scope="module", params=SERVERS)
def dumped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dumped:
    home = tmp_path_factory.mktemp("dumped")
    with standing(request.param, home) as world, mongoprograms.fronted(world.backend, home / "front.log", ["--secondary"]) as (port,):  # fmt: skip
        (world.programs / "restic").symlink_to(programs.restic())
        archive = dump_of(world, port)
        world.left.mkdir(parents=True)
        (world.left / "dump.archive").write_bytes(archive)
        (world.left / "dump.archive").chmod(0o666)
        done = world.verify()
        assert done.returncode == 0, done.stderr
        verified = load_verified((world.left / "verify.json").read_bytes())
        found = Dumped(request.param, world.programs, archive, verified)
        with Client("127.0.0.1", world.backend) as client:
            for name, (change, undo) in CHANGES.items():
                change(client)
                found.changed[name] = dump_of(world, port)
                undo(client)
    return found


def dump_of(world: dumping.World, port: int) -> bytes:
    """As the first container does it."""
    words = (f"--uri=mongodb://backup:{mongoprograms.PASSWORD}@127.0.0.1:{port}/?authSource=admin", "--oplog", "--archive", "--quiet")  # fmt: skip
    done = subprocess.run([world.programs / "mongodump", *words], check=True, capture_output=True)
    return done.stdout


@pytest.fixture
def world(tmp_path: Path, dumped: Dumped) -> World:
    manifest = BackupManifest(
        "mongodb", "shop", "checkout", "cache", "run-0", "20261121T0213Z",
        Source("orders-1", "8.0.4", 1763115181, 1763115190), dumped.verified, (),
    )  # fmt: skip
    saved = Saved(tmp_path, manifest)
    saved.directory.mkdir()
    saved.dump.write_bytes(dumped.archive)
    found = World(tmp_path, saved, dumped.programs, programs.free_port(), SCRIPT, user="")
    found.restic("init")
    return found


def test_what_is_whole_passes_and_tells_how_long_it_took(world: World):
    snapshot = world.save(world.saved.sealed())

    told = world.drill()

    assert (told.result, told.reason) == (Result.SUCCEEDED, Reason.RESTORED), told.message
    assert told.snapshot == snapshot
    assert told.message.endswith("holds all of 562")
    assert 0 < told.rto <= told.seconds


def cut(archive: bytes) -> bytes:
    """A dump tool was killed, and nobody asked for its exit code."""
    return archive[: len(archive) // 2]


def cut_short(archive: bytes) -> bytes:
    """All documents are there, and not the word that it ends here."""
    return archive[:-4]


def flip(archive: bytes) -> bytes:
    """One bit of a document, before the dump was sealed: only the archive's own checksum knows."""
    at = archive.index(b"item 200 ")
    return archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]


@pytest.mark.parametrize("damage", [cut, cut_short, flip], ids=lambda value: value.__name__)
def test_a_dump_that_was_damaged_before_it_was_saved_fails(world: World, damage: Callable[[bytes], bytes]):  # fmt: skip
    world.saved.dump.write_bytes(damage(world.saved.dump.read_bytes()))
    world.save(world.saved.sealed())

    failed(world.drill(), Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded")  # fmt: skip


def test_a_dump_that_was_damaged_after_it_was_sealed_fails(world: World):
    manifest = world.saved.sealed()
    world.saved.dump.write_bytes(flip(world.saved.dump.read_bytes()))
    world.save(manifest)

    failed(world.drill(), Reason.DAMAGED, "file dump.archive: expected the content that was saved, found other content")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("an index", "indexes: expected those that were saved, found others"),
        ("content", "content of orders.lines: expected 94 equal samples, found 93"),
        ("a document", "orders.sessions: expected 30 that last, found 29; content of orders.sessions: expected 30 equal samples, found 29"),
        ("a collection", "stock.odd: expected 12 that last, found 0"),
    ],
)  # fmt: skip
def test_a_dump_that_lacks_something_of_what_was_saved_fails(world: World, dumped: Dumped, name: str, says: str):  # fmt: skip
    world.saved.dump.write_bytes(dumped.changed[name])
    world.save(world.saved.sealed())

    failed(world.drill(), Reason.DIFFERS, says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tallies": (), "samples": ()}, "manifest: expected something that can be counted, found an empty snapshot"),
        ({"samples": ()}, "manifest: expected samples of content, found none"),
        ({"tallies": (*TALLIES[:-1], Tally("stock.odd", 13))}, "stock.odd: expected 13 that last, found 12"),
        ({"tallies": (*TALLIES, Tally("stock.more", 4))}, "stock.more: expected 4 that last, found 0"),
        ({"users": 77}, "users: expected 77, found "),
    ],
    ids=["empty", "not sampled", "another count", "another collection", "users"],
)  # fmt: skip
def test_a_manifest_of_something_else_fails(world: World, change: dict[str, object], says: str):
    world.save(world.saved.sealed(**change))

    failed(world.drill(), Reason.DIFFERS, says)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        (
            "--nsExclude=stock.*",
            "stock.odd: expected 12 that last, found 0",
        ),  # it replays nothing then
        ("--oplogReplay --noIndexRestore", "indexes: expected those that were saved, found others"),
    ],
)
def test_a_tool_that_leaves_something_out_is_noticed(world: World, flag: str, says: str):
    world.save(world.saved.sealed())
    world.script = SCRIPT.replace("--oplogReplay", flag)

    failed(world.drill(), Reason.DIFFERS, says)


def test_a_server_that_never_serves_ends_the_drill(world: World):
    world.save(world.saved.sealed())
    world.script = SCRIPT.replace('--dbpath "$PWD/data/db"', "--dbpath /dev/null/nowhere")

    failed(world.drill(), Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded")  # fmt: skip


@pytest.fixture
def instance(world: World) -> Iterator[int]:
    """A new server without users."""
    with mongoprograms.serving(world.programs, world.home / "new") as port:
        yield port


def test_a_new_instance_holds_what_was_saved(world: World, instance: int, dumped: Dumped):
    world.save(world.saved.sealed())

    done = world.restore(f"127.0.0.1:{instance}", "--yes")

    assert done.returncode == 0, done.stderr
    assert f"into  127.0.0.1:{instance}, which holds nothing" in done.stderr
    assert "orders.items 400" in done.stdout
    with Client("127.0.0.1", instance) as client:
        assert {
            f"{name}.{each}": client[name][each].count_documents({})
            for name in ("orders", "stock")
            for each in client[name].list_collection_names()
        } == {each.name: each.count for each in TALLIES}
        assert set(client["orders"]["items"].index_information()) == {"_id_", "number_1", "name_1_at_-1"}  # fmt: skip


def test_an_instance_that_holds_data_is_refused(world: World, instance: int):
    world.save(world.saved.sealed())
    with Client("127.0.0.1", instance) as client:
        client["live"]["things"].insert_one({"_id": 1})
        done = world.restore(f"127.0.0.1:{instance}", "--yes")

        assert (done.returncode, "holds data: only an empty instance is filled" in done.stderr) == (1, True)  # fmt: skip
        assert client.list_database_names() == ["live"]


def test_nobody_who_answers_is_told(world: World):
    world.save(world.saved.sealed())

    done = world.restore("127.0.0.1:1", "--yes")

    assert (done.returncode, "127.0.0.1:1 cannot be asked" in done.stderr) == (1, True)


def test_every_command_of_the_runbook_does_what_it_says(world: World, instance: int):
    """The stand-in lets in whoever comes, so there the last one goes without a user."""
    world.save(world.saved.sealed())
    home = world.home / "typed"
    home.mkdir()
    (home / "password").write_text(PASSWORD)
    (home / "readiness").write_text(f'#!/bin/sh\nPYTHONPATH={SOURCES} exec {sys.executable} -m readiness "$@"\n')  # fmt: skip
    (home / "readiness").chmod(0o755)
    page = build_runbook(Way("mongodb", "shop", "checkout", "cache", world.url, "backup-password"))
    script = "set -eu\n" + "\n".join(BLOCK.findall(page)).replace(" --user admin --user-password-file admin", "")  # fmt: skip
    environ = {
        "PATH": f"{home}:{world.programs}:/usr/bin:/bin", "HOME": str(home), "PORT": str(programs.free_port()), "NEW": f"127.0.0.1:{instance}",
        "RESTIC_CACHE_DIR": str(home / "cache"), "TMPDIR": str(home),
    }  # fmt: skip
    with throwaway.running(["sh", "-c", script], home, environ) as typed:
        told, words = typed.communicate(timeout=300)

    assert typed.returncode == 0, words
    for each in TALLIES:
        assert f"{each.name} {each.count}" in told
    sums = re.findall(r"\b[0-9a-f]{64}\b", told)
    assert (len(sums), sums[0]) == (2, sums[-1])
    with Client("127.0.0.1", instance) as client:
        assert client["orders"]["items"].count_documents({}) == 400


def test_a_hundred_thousand_documents_come_back_equal(tmp_path: Path, dumped: Dumped, record_property: Callable[[str, object], None]):  # fmt: skip
    """Dumped, verified, saved, drilled and restored as it is done in a cluster, one after the other, with how long each took."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        seconds[what] = round(time.monotonic() - began, 1)

    with standing(dumped.kind, tmp_path / "source", MANY) as source:
        with mongoprograms.fronted(source.backend, tmp_path / "front.log", ["--secondary"]) as ports:  # fmt: skip
            with timed("dump"):
                assert source.dump(ports).returncode == 0
            with timed("bare mongodump"):
                bare = (
                    "--host=127.0.0.1",
                    f"--port={source.backend}",
                    f"--archive={tmp_path}/bare",
                )
                subprocess.run([dumped.programs / "mongodump", "--quiet", *bare], check=True)
        with timed("verify"):
            assert source.verify().returncode == 0
        manifest = BackupManifest("mongodb", "shop", "checkout", "cache", "run-0", "s", *source.found(), ())  # fmt: skip
        world = World(tmp_path, Saved(tmp_path, manifest), dumped.programs, programs.free_port(), SCRIPT, user="", patience=6 * PATIENCE)  # fmt: skip
        shutil.copytree(source.left, world.saved.directory)
        with timed("save"):
            command = world.command("backup", "run")
            done = world.type([*command, "--run=run-0", f"--directory={world.saved.directory}"])
            assert done.returncode == 0, done.stderr + done.stdout
        with timed("bare restic"):
            world.restic("init", "--repo", str(tmp_path / "other"))
            world.restic("backup", "--repo", str(tmp_path / "other"), "bare", at=tmp_path)
        told = world.drill()
        assert told.reason is Reason.RESTORED, told.message
        with mongoprograms.serving(dumped.programs, tmp_path / "new") as port:
            with timed("restore"):
                assert world.restore(f"127.0.0.1:{port}", "--yes").returncode == 0
            with Client("127.0.0.1", source.backend) as was, Client("127.0.0.1", port) as found:
                for name in ("items", "lines", "sessions"):
                    pairs = zip(*(c["orders"][name].find().sort("_id", 1) for c in (was, found)), strict=True)  # fmt: skip
                    assert all(one == other for one, other in pairs), name
    size = world.saved.dump.stat().st_size
    figures = {
        "documents": MANY,
        "MiB": size >> 20,
        **seconds,
        "rto": told.rto,
        "drill": told.seconds,
    }
    print(figures)
    for name, value in figures.items():
        record_property(name, value)

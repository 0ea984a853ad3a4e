"""`readiness restore-drill` on real restic repositories and real Redis servers: it passes on what is whole and on nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import programs
import pytest
from redis import Redis

from readiness.backups.manifest import Tally
from readiness.backups.outcome import Reason, Result

from . import throwaway
from .stored import SCRIPT, World, failed

pytestmark = pytest.mark.slow


def test_what_is_whole_passes_and_tells_how_long_it_took(world: World):
    snapshot = world.save(world.saved.sealed())
    time.sleep(1.2)  # a key that had an end is gone by now, as in real life

    told = world.drill()

    assert (told.result, told.reason) == (Result.SUCCEEDED, Reason.RESTORED), told.message
    assert told.snapshot == snapshot
    assert told.size == world.saved.dump.stat().st_size
    assert 0 < told.rto <= told.seconds
    assert told.mismatches == 0


def cut(world: World) -> None:
    """A dump tool was killed, and nobody asked for its exit code."""
    path = world.saved.dump
    path.write_bytes(path.read_bytes()[:-200])
    world.save(world.saved.sealed())


def flip(world: World) -> None:
    """One bit, before the dump was sealed: only the server's own checksum knows."""
    path = world.saved.dump
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    world.save(world.saved.sealed())


def flip_sealed(world: World) -> None:
    """One bit, after the dump was sealed: the manifest knows."""
    manifest = world.saved.sealed()
    path = world.saved.dump
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    world.save(manifest)


def flip_stored(world: World) -> None:
    """One bit in the repository."""
    world.save(world.saved.sealed())
    pack = max((p for p in (world.home / "repository/data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)  # fmt: skip
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)


def lose_keys(world: World) -> None:
    tallies = world.saved.manifest.verified.tallies
    world.save(world.saved.sealed(tallies=(replace(tallies[0], count=tallies[0].count + 1), *tallies[1:])))  # fmt: skip


def lose_database(world: World) -> None:
    world.save(world.saved.sealed(tallies=(*world.saved.manifest.verified.tallies, Tally("db7", 4))))  # fmt: skip


def change_content(world: World) -> None:
    """As many keys, other values."""
    first, *others = world.saved.manifest.verified.samples
    world.save(world.saved.sealed(samples=(replace(first, digest="0" * 40), *others)))


def ignore(world: World) -> None:
    """The server runs with append-only mode, and begins empty without a word."""
    world.save(world.saved.sealed())
    world.script = SCRIPT.replace('--appendonly "$(cat "order-$number")"', "--appendonly yes")
    assert world.script != SCRIPT


def save_nothing(world: World) -> None:
    world.save(world.saved.sealed(tallies=(), samples=()))


def save_no_dump(world: World) -> None:
    world.save(world.saved.sealed(), names=("manifest.json",))


def save_no_manifest(world: World) -> None:
    world.save(world.saved.sealed(), names=("dump.rdb",))


def save_half(world: World) -> None:
    world.save(world.saved.sealed(), complete=False)


def save_of_another(world: World) -> None:
    world.save(replace(world.saved.sealed(), service="sessions"))


def mistype(world: World) -> None:
    world.save(world.saved.sealed())
    world.password = "another"


def go_elsewhere(world: World) -> None:
    world.save(world.saved.sealed())
    world.host = "10.77.0.1"


def go_by_name(world: World) -> None:
    world.save(world.saved.sealed())
    world.host = "localhost"


@pytest.mark.parametrize(
    ("spoil", "reason", "says"),
    [
        (cut, Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded"),
        (flip, Reason.NOT_LOADED, "the server ended instead of being ready with the dump loaded"),
        (flip_sealed, Reason.DAMAGED, "file dump.rdb: expected the content that was saved, found other content"),
        (flip_stored, Reason.DAMAGED, "cannot be restored: the repository is damaged"),
        (lose_keys, Reason.DIFFERS, "db0: expected 48 that last, found 47"),
        (lose_database, Reason.DIFFERS, "db7: expected 4 that last, found 0"),
        (change_content, Reason.DIFFERS, "content of db0: expected 7 equal samples, found 6"),
        (ignore, Reason.NOT_LOADED, "the server ignores the dump then"),
        (save_nothing, Reason.DIFFERS, "manifest: expected something that can be counted, found an empty snapshot"),
        (save_no_dump, Reason.DAMAGED, "file dump.rdb: expected"),
        (save_no_manifest, Reason.DAMAGED, "has no manifest.json"),
        (save_half, Reason.NO_SNAPSHOT, "no complete snapshot of cache"),
        (lambda world: None, Reason.NO_SNAPSHOT, "no complete snapshot of cache"),
        (save_of_another, Reason.DAMAGED, "manifest: expected redis shop checkout cache, found redis shop checkout sessions"),
        (mistype, Reason.WRONG_PASSWORD, "passwordSecretRef"),
        (go_elsewhere, Reason.NOT_THROW_AWAY, "10.77.0.1 is not"),
        (go_by_name, Reason.NOT_THROW_AWAY, "localhost is not"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_what_is_not_whole_fails(
    world: World, spoil: Callable[[World], None], reason: Reason, says: str
):
    spoil(world)

    failed(world.drill(), reason, says)


def test_a_server_that_runs_already_is_not_touched(world: World):
    world.save(world.saved.sealed())
    world.shared.mkdir()
    (world.shared / "order-1").write_text("no\n")
    (world.shared / "data").mkdir()
    with throwaway.serving(SCRIPT, world.shared, world.port, world.programs):
        programs.until_open(world.port)
        client = Redis("127.0.0.1", world.port)
        client.set("live", "data")
        (world.shared / "data").rename(world.shared / "elsewhere")
        told = world.told(world.start())

        assert told.reason is Reason.NOT_THROW_AWAY
        assert client.get("live") == b"data"


def test_the_newest_complete_snapshot_is_taken(world: World):
    good = world.save(world.saved.sealed(), age=3600)
    world.save(world.saved.sealed(tallies=()), age=7200)
    world.save(world.saved.sealed(), complete=False)
    before = time.gmtime().tm_mday

    told = world.drill()

    if before > 7:  # in the first week of a month an older one is taken
        assert (told.reason, told.snapshot) == (Reason.RESTORED, good)


def test_a_drill_that_is_stopped_says_so_and_leaves_nothing(world: World):
    world.save(world.saved.sealed())
    world.shared.mkdir()
    with throwaway.serving("sleep 600", world.shared, world.port, world.programs):
        process = world.start()
        while not (world.shared / "order-1").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        told = world.told(process)

    assert (told.result, told.reason) == (Result.FAILED, Reason.INTERRUPTED)


def test_a_repository_that_may_only_be_read_is_drilled_without_a_lock(world: World):
    (world.home / "s3/backups").mkdir(parents=True)
    port = programs.free_port()
    server = programs.S3(world.home / "s3", port)
    world.url, world.secret = f"s3:{server.endpoint}/backups/cache", programs.KEYS
    with server.serving():
        world.restic("init")
        world.save(world.saved.sealed())
    locks = [path.name for path in (world.home / "s3").rglob("locks/*")]
    with programs.S3(world.home / "s3", port, ("--readonly",)).serving():
        told = world.drill()

    assert told.reason is Reason.RESTORED, told.message
    assert [path.name for path in (world.home / "s3").rglob("locks/*")] == locks

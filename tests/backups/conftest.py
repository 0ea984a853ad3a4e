"""What tests of restores share: a real redis-server, an RDB that it wrote, and a repository."""

from __future__ import annotations

from pathlib import Path

import programs
import pytest
from redis import Redis

from readiness.backups.manifest import BackupManifest, Source, Tally, Verified

from . import throwaway
from .stored import SCRIPT, Saved, World, fill, sample_of


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    throwaway.install_redis(folder)
    (folder / "restic").symlink_to(programs.restic())
    return folder


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory, redis: Path) -> tuple[bytes, Verified]:
    """An RDB with keys of every type, binary ones, with and without an end; and what its server said of it."""
    home, port = tmp_path_factory.mktemp("dumped"), programs.free_port()
    (home / "data").mkdir()
    (home / "order-1").write_text("no\n")
    with throwaway.serving(SCRIPT, home, port, redis):
        programs.until_open(port)
        fill(Redis("127.0.0.1", port))
        with Redis("127.0.0.1", port) as client:
            client.save()
            keyspace = client.info("keyspace")
            tallies = tuple(Tally(n, held["keys"], held["expires"]) for n, held in keyspace.items())
            samples = tuple(sample_of(client, "db0", key) for key in (b"text", b"\x00\xff", b"hash", b"set", b"sorted", b"list", b"stream"))  # fmt: skip
            client.execute_command("SELECT", 3)
            samples += (sample_of(client, "db3", b"elsewhere"),)
    return (home / "data/dump.rdb").read_bytes(), Verified("redis-server", tallies, samples)


@pytest.fixture
def world(tmp_path: Path, redis: Path, dumped: tuple[bytes, Verified]) -> World:
    rdb, verified = dumped
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/dump.rdb").write_bytes(rdb)
    manifest = BackupManifest(
        "redis", "shop", "checkout", "cache", "run-0", "20261121T0213Z",
        Source("cache-1", "8.0.2", 1763115181, 1763115190), verified, (),
    )  # fmt: skip
    found = World(tmp_path, Saved(tmp_path, manifest), redis, programs.free_port())
    found.restic("init")
    return found

"""A plain volume the whole way: packed, inspected, saved with restic, drilled, and restored without us."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import programs
import pytest

from readiness.backups.codec import load_outcome
from readiness.backups.outcome import Outcome, Reason, Result

pytestmark = pytest.mark.slow
SOURCES = Path(__file__).parents[2] / "operator"
STORE = ("--namespace=shop", "--policy=checkout", "--service=uploads")


class World:
    """A volume, its repository, and the containers of its Jobs one after the other."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("source/blobs", "backup", "restore", "bin"):
            (home / name).mkdir(parents=True)
        (home / "bin/restic").symlink_to(programs.restic())
        (home / "password").write_text("canary")
        (home / "source/blobs/one").write_bytes(os.urandom(1 << 20))
        with closing(sqlite3.connect(home / "source/app.db")) as opened:
            opened.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
            opened.executemany("INSERT INTO orders VALUES (?)", [(n,) for n in range(1000)])
            opened.commit()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {"PYTHONPATH": str(SOURCES), "PATH": f"{self.home / 'bin'}:/usr/bin:/bin"}
        return subprocess.run([sys.executable, "-m", "readiness", *words], env=environ, capture_output=True, text=True, check=False)  # fmt: skip

    def repository(self) -> tuple[str, ...]:
        return (
            f"--repository={self.home / 'repository'}",
            f"--password-file={self.home / 'password'}",
            f"--cache={self.home / 'cache'}",
        )

    def save(self, run: str) -> Outcome:
        for words in (("pack", f"--source={self.home / 'source'}"), ("inspect",)):
            done = self.run("backup", *words, f"--directory={self.home / 'backup'}")
            assert done.returncode == 0, done.stderr
        words = ("backup", "run", "--kind=volume", f"--run={run}", f"--directory={self.home / 'backup'}")  # fmt: skip
        return load_outcome(self.run(*words, *STORE, *self.repository()).stdout)

    def drill(self) -> Outcome:
        words = ("restore-drill", "--kind=volume", "--run=drill-1", f"--directory={self.home / 'restore'}")  # fmt: skip
        done = self.run(*words, f"--port={programs.free_port()}", *STORE, *self.repository())
        return load_outcome(done.stdout)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_saved_is_drilled_and_restored_without_us(world: World):
    saved = world.save("uploads-backup-29385253")
    assert (saved.result, saved.reason) == (Result.SUCCEEDED, Reason.SAVED), saved.message
    drilled = world.drill()
    assert (drilled.result, drilled.reason) == (Result.SUCCEEDED, Reason.RESTORED), drilled.message
    assert not any((world.home / "restore").glob("*/*")), "and nothing of it is left"

    environ = {"RESTIC_PASSWORD": "canary", "RESTIC_REPOSITORY": str(world.home / "repository"), "HOME": str(world.home)}  # fmt: skip
    subprocess.run([programs.restic(), "restore", saved.snapshot, "--target", world.home / "by-hand"], env=environ, check=True, capture_output=True)  # fmt: skip
    (world.home / "volume").mkdir()
    subprocess.run(["tar", "-xpf", world.home / "by-hand/volume.tar", "-C", world.home / "volume"], check=True)  # fmt: skip
    with closing(sqlite3.connect(world.home / "volume/app.db")) as opened:
        assert opened.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
    assert (world.home / "volume/blobs/one").read_bytes() == (world.home / "source/blobs/one").read_bytes()  # fmt: skip


def test_what_stays_the_same_is_not_saved_twice(world: World):
    (world.home / "source/blobs/big").write_bytes(os.urandom(16 << 20))
    first = world.save("uploads-backup-29385253")
    (world.home / "source/blobs/two").write_bytes(b"small")
    second = world.save("uploads-backup-29386693")

    assert first.added > 16 << 20
    assert second.added < first.added / 2


def test_a_volume_that_has_lost_most_of_its_files_is_suspicious(world: World):
    world.save("uploads-backup-29385253")
    for path in (world.home / "source/blobs").iterdir():
        path.unlink()

    assert world.save("uploads-backup-29386693").reason is Reason.SUSPICIOUS

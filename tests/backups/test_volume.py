"""The files of a volume packed while others write, read back, restored: with real SQLite in every state that it leaves."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import readiness.engines.volume
from readiness.backups.codec import load_source, load_verified
from readiness.backups.manifest import BackupManifest, Source, Verified
from readiness.backups.restored import judge_restored
from readiness.engines.volume import VolumeError, counted_of, inspect, pack, unpack
from readiness.packing import pack_volume, verify_volume


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Files of several sorts, and three databases: one plain, one with a log ahead, one with no file beside it."""
    found = tmp_path / "source"
    (found / "blobs/deep").mkdir(parents=True)
    (found / "lost+found").mkdir(mode=0o000)
    (found / "empty").touch()
    (found / "blobs/one").write_bytes(os.urandom(3 << 20))
    (found / "blobs/deep/wörd\udcff").write_bytes(b"\x00\xff")
    (found / "blobs/link").symlink_to("one")
    (found / "note-wal").write_text("no database beside me")
    for name, mode in (("plain.db", "delete"), ("ahead.db", "wal"), ("closed.db", "wal")):
        fill(found / name, mode, 50)
    return found


def fill(path: Path, mode: str, rows: int) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute(f"PRAGMA journal_mode={mode}")
        opened.execute('CREATE TABLE IF NOT EXISTS "odd ""name" (id INTEGER PRIMARY KEY, text)')
        opened.executemany('INSERT INTO "odd ""name" (text) VALUES (?)', [("x" * 400,)] * rows)
        opened.commit()


def packed(volume: Path) -> Path:
    archive = volume.parent / "volume.tar"
    pack(volume, archive, lambda _: None)
    return archive


def compared(saved: Verified, found: Verified) -> list[str]:
    source = Source("volume", "files", 1, 2)
    manifest = BackupManifest("volume", "ns", "pol", "vol", "run", "set", source, saved, ())
    return [str(each) for each in judge_restored(manifest, found)]


def test_what_is_unpacked_is_what_was_there(volume: Path, tmp_path: Path):
    archive = packed(volume)
    saved = inspect(archive)
    unpack(archive, tmp_path / "restored")

    assert compared(saved, counted_of(tmp_path / "restored", tmp_path / "part")) == []
    counts = {each.name: each.count for each in saved.tallies}
    assert counts["files"] == 7
    assert [counts[f'{name}.db:odd "name'] for name in ("plain", "ahead", "closed")] == [50] * 3
    for name in ("blobs/one", "blobs/deep/wörd\udcff", "empty", "note-wal"):
        assert (tmp_path / "restored" / name).read_bytes() == (volume / name).read_bytes()
    assert (tmp_path / "restored/blobs/link").readlink() == Path("one")
    assert {each.name for each in tmp_path.iterdir()} == {"source", "restored", "volume.tar", "part"}  # fmt: skip


def test_two_packs_of_the_same_are_the_same(volume: Path):
    first = packed(volume).read_bytes()

    assert packed(volume).read_bytes() == first, "or nothing would be deduplicated"


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_is_whole_while_somebody_writes(volume: Path, mode: str):
    """Every transaction moves rows between two tables: a torn copy would have another sum."""
    path, stop = volume / "busy.db", threading.Event()
    with closing(sqlite3.connect(path)) as opened:
        opened.execute(f"PRAGMA journal_mode={mode}")
        opened.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, held INTEGER, pad)")
        opened.executemany("INSERT INTO account (held, pad) VALUES (?, ?)", [(100, "x" * 900)] * 500)  # fmt: skip
        opened.commit()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as opened:
            turn = 0
            while not stop.is_set():
                turn += 1
                opened.execute("UPDATE account SET held = held - 1 WHERE id = ?", (turn % 250 + 1,))
                opened.execute("UPDATE account SET held = held + 1 WHERE id = ?", (turn % 250 + 251,))  # fmt: skip
                opened.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            archive = packed(volume)
            assert inspect(archive).tallies
            unpack(archive, volume.parent / f"restored-{number}")
            with closing(sqlite3.connect(volume.parent / f"restored-{number}/busy.db")) as copy:
                assert copy.execute("SELECT sum(held) FROM account").fetchone() == (50_000,)
    finally:
        stop.set()
        writer.join()


@pytest.fixture
def crashed(volume: Path) -> Iterator[Path]:
    """As a machine leaves it that went down: a log ahead of its database, and nobody who has it open."""
    with closing(sqlite3.connect(volume / "ahead.db")) as opened:
        opened.execute('INSERT INTO "odd ""name" (text) VALUES (?)', ("late",))
        opened.commit()
        for end in ("", "-wal"):
            (volume / f"crashed.db{end}").write_bytes((volume / f"ahead.db{end}").read_bytes())
    volume.chmod(0o555)
    yield volume
    volume.chmod(0o755)


def test_a_log_that_nobody_has_read_is_part_of_it(crashed: Path):
    counts = {each.name: each.count for each in inspect(packed(crashed)).tallies}

    assert counts['crashed.db:odd "name'] == 51
    assert counts["files"] == 8


def test_a_database_that_is_held_is_not_copied_torn(volume: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readiness.engines.volume, "PATIENCE_SECONDS", 0.5)
    with closing(sqlite3.connect(volume / "plain.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(VolumeError, match="somebody has held a lock") as told:
            packed(volume)
    assert told.value.reason == "VolumeUnreadable"


def flip(archive: Path, within: bytes) -> None:
    content = bytearray(archive.read_bytes())
    content[content.index(within) + 40] ^= 0x55
    archive.write_bytes(content)


def test_other_content_is_noticed(volume: Path):
    archive = packed(volume)
    saved = inspect(archive)
    flip(archive, (volume / "blobs/one").read_bytes()[:64])

    assert compared(saved, inspect(archive)) == ["content of files: expected 1 equal samples, found 0"]  # fmt: skip


def test_a_damaged_database_is_no_dump(volume: Path):
    content = bytearray((volume / "plain.db").read_bytes())
    content[4096 : 4096 + 64] = b"\xff" * 64
    (volume / "plain.db").write_bytes(content)

    with pytest.raises(VolumeError) as told:
        inspect(packed(volume))
    assert told.value.reason in ("DumpCorrupt", "VolumeUnreadable")
    assert "plain.db" in str(told.value) or "malformed" in str(told.value)


def test_a_truncated_archive_is_no_dump(volume: Path):
    archive = packed(volume)
    os.truncate(archive, archive.stat().st_size // 2)

    with pytest.raises(VolumeError) as told:
        inspect(archive)
    assert told.value.reason == "DumpCorrupt"


def test_the_wrong_volume_is_no_dump(tmp_path: Path):
    (tmp_path / "source/lost+found").mkdir(parents=True)

    with pytest.raises(VolumeError) as told:
        inspect(packed(tmp_path / "source"))
    assert told.value.reason == "VolumeEmpty"


def test_the_two_containers_leave_what_the_third_saves(volume: Path, tmp_path: Path):
    (tmp_path / "backup").mkdir()
    pack_volume(volume, tmp_path / "backup", lambda: 1763115181.0, lambda _: None)
    verify_volume(tmp_path / "backup")

    assert load_source((tmp_path / "backup/source.json").read_bytes()).began == 1763115181
    assert load_verified((tmp_path / "backup/verify.json").read_bytes()).tallies[0].count == 7
    assert json.loads((tmp_path / "backup/verify.json").read_text())["tool"].startswith("sqlite 3")


def test_what_is_mounted_read_only_is_saved_in_every_state(crashed: Path, tmp_path: Path):
    """As a Job mounts it: nothing can be made beside a database, recovered or rolled back."""
    (tmp_path / "backup").mkdir()
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/new" 2> /dev/null && exec "$@"'
    words = ["backup", "pack", f"--source={crashed}", f"--directory={tmp_path / 'backup'}"]
    sources = str(Path(readiness.__file__).parents[1])
    with closing(sqlite3.connect(crashed / "ahead.db")) as living:
        living.execute('DELETE FROM "odd ""name" WHERE id < 11')
        living.commit()
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, crashed, sys.executable, "-m", "readiness", *words],
            env={"PYTHONPATH": sources, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    counts = {each.name: each.count for each in inspect(tmp_path / "backup/volume.tar").tallies}
    rows = {name: counts[f'{name}.db:odd "name'] for name in ("plain", "closed", "crashed", "ahead")}  # fmt: skip
    assert rows == {"plain": 50, "closed": 50, "crashed": 51, "ahead": 41}

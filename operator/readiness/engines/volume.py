"""The files of a plain volume in one archive: packed while somebody writes, read back, counted.

A SQLite database is copied by SQLite itself, so it is whole, and its file is told by its first bytes. Other files are copied as
they are, each until it has not changed meanwhile. What nobody can read is an error: half a volume is no backup.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from readiness.backups.manifest import Sample, Tally, Verified

FILES: Final = "files"
MAGIC: Final = b"SQLite format 3\0"
BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; the copy is whole without."""
LOST: Final = "lost+found"
TRIES: Final = 3
TALLIES: Final = 100
"""Tables that are counted one by one; the content of all files is compared in any case."""
PATIENCE_SECONDS: Final = 60.0
_CHUNK: Final = 1 << 20

Say = Callable[[str], None]


class VolumeError(Exception):
    """The volume could not be saved, or what was saved is not whole."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def pack(source: Path, archive: Path, say: Say) -> None:
    """Everything below a directory. Raises VolumeError; what vanishes meanwhile is not there."""
    part = archive.with_suffix(".part")
    try:
        with tarfile.open(archive, "w") as packed:
            for path in _paths(source):
                _add(packed, path, str(path.relative_to(source)), part, say)
    except (OSError, sqlite3.Error) as error:
        words = f"{getattr(error, 'filename', None) or 'a database'} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise VolumeError("VolumeUnreadable", words) from None
    finally:
        part.unlink(missing_ok=True)


def inspect(archive: Path) -> Verified:
    """What an archive holds. Raises VolumeError where a database in it is not whole, or there is nothing."""
    part = archive.with_suffix(".part")
    try:
        with tarfile.open(archive) as packed:
            return counted(_members(packed), part)
    except (OSError, tarfile.TarError) as error:
        raise VolumeError("DumpCorrupt", f"{archive.name} cannot be read back: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, to: Path) -> None:
    """The files as they were, below a new directory and nowhere else. Raises VolumeError."""
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(to, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise VolumeError("DumpCorrupt", f"{archive.name} cannot be unpacked: {error}") from None


def counted_of(tree: Path, part: Path) -> Verified:
    """What a restored directory holds, counted as its archive was. Raises VolumeError."""
    return counted(_opened(tree), part)


def counted(entries: Iterable[tuple[str, IO[bytes]]], part: Path) -> Verified:
    """Files, rows of tables, and one digest of every name and content."""
    count, whole, tallies = 0, hashlib.sha256(), list[Tally]()
    for name, content in entries:
        digest, is_database = _copied(content, part)
        whole.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
        count += 1
        if is_database:
            tallies += _tables(name, part)
    if not count:
        raise VolumeError("VolumeEmpty", "there is no file: is it the right volume?")
    tallies.sort(key=lambda each: each.name)
    found = (Tally(FILES, count), *tallies[:TALLIES])
    return Verified(
        f"sqlite {sqlite3.sqlite_version}", found, (Sample(FILES, "", whole.hexdigest()),)
    )


def _paths(source: Path) -> Iterator[Path]:
    """In an order of their own; a directory before what is in it."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, folders, files in os.walk(source, onerror=fail):
        if Path(folder) == source and LOST in folders:
            folders.remove(LOST)
        folders.sort()
        yield from (Path(folder, each) for each in sorted({*folders, *files}))


def _add(packed: tarfile.TarFile, path: Path, name: str, part: Path, say: Say) -> None:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            if not _is_beside(path):
                _add_file(packed, path, name, part, say)
        elif stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            packed.add(path, name, recursive=False)
        else:
            say(f"{name} is no file and is left out")
    except FileNotFoundError:
        say(f"{name} went meanwhile")


def _add_file(packed: tarfile.TarFile, path: Path, name: str, part: Path, say: Say) -> None:
    """The size of a member stands before it: what is packed is a copy that nobody changes."""
    entry = packed.gettarinfo(path, name)
    if _is_database(path):
        _copy_database(path, part)
    else:
        _copy_file(path, part, name, say)
    entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", part.stat().st_size
    with part.open("rb") as content:
        packed.addfile(entry, content)


def _copy_file(path: Path, part: Path, name: str, say: Say) -> None:
    for _ in range(TRIES):
        before = path.stat()
        shutil.copyfile(path, part)
        after = path.stat()
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return
    say(f"{name} changes all the time and is saved as it was last read")


def _copy_database(path: Path, part: Path) -> None:
    """By its own backup, while others write. What nobody has open may need a recovery, which only a copy can be given."""
    try:
        _backup(f"file:{quote(str(path))}?mode=ro", part)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise  # somebody holds a lock: a copy of the file would be torn
        copy = part.with_suffix(".db")
        try:
            for end in ("", "-wal", "-journal"):
                if (beside := path.with_name(path.name + end)).exists():
                    shutil.copyfile(beside, f"{copy}{end}")
            _backup(f"file:{quote(str(copy))}", part)
        finally:
            for end in ("", *BESIDE):
                Path(f"{copy}{end}").unlink(missing_ok=True)


def _backup(uri: str, part: Path) -> None:
    """In one step, so that nobody who writes makes it begin anew. sqlite3 would wait for ever for whoever holds a lock."""
    part.unlink(missing_ok=True)
    deadline = time.monotonic() + PATIENCE_SECONDS

    def wait(status: int, _left: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise TimeoutError(f"somebody has held a lock for {PATIENCE_SECONDS:.0f} seconds")

    source = sqlite3.connect(uri, uri=True)
    with closing(source), closing(sqlite3.connect(part)) as copy:
        source.backup(copy, progress=wait)


def _is_database(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _is_beside(path: Path) -> bool:
    ends = (path.with_name(path.name.removesuffix(e)) for e in BESIDE if path.name.endswith(e))
    return any(each.is_file() and _is_database(each) for each in ends)


def _members(packed: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in packed:
        if entry.isreg() and (content := packed.extractfile(entry)) is not None:
            with content:
                yield entry.name, content


def _opened(tree: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for path in _paths(tree):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as content:
                yield str(path.relative_to(tree)), content


def _copied(content: IO[bytes], part: Path) -> tuple[str, bool]:
    """The digest of what is read; a database is copied, to be opened."""
    digest, first = hashlib.sha256(), content.read(_CHUNK)
    is_database = first.startswith(MAGIC)
    with part.open("wb") as copy:
        while first:
            digest.update(first)
            if is_database:
                copy.write(first)
            first = content.read(_CHUNK)
    return digest.hexdigest(), is_database


def _tables(name: str, part: Path) -> Iterator[Tally]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(part))}?mode=ro&immutable=1", uri=True)) as opened:  # fmt: skip
            (said,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise VolumeError("DumpCorrupt", f"the database {name} is damaged")
            tables = opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()  # fmt: skip
            for (table,) in tables:
                quoted = table.replace('"', '""')
                (rows,) = opened.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608 -- a name of its own schema
                yield Tally(f"{name}:{table}", rows)
    except sqlite3.Error as error:
        raise VolumeError("DumpCorrupt", f"the database {name} cannot be opened: {error}") from None

"""A plain volume, unpacked into an empty directory: there is no server, its databases are opened by SQLite."""

from __future__ import annotations

from typing import Final

from readiness.backups.manifest import DUMPS, BackupManifest, Verified
from readiness.engines.restores.place import Driver, LoadError, Place
from readiness.engines.volume import VolumeError, counted_of, unpack


def load(place: Place) -> None:
    """Unpacks it."""
    try:
        unpack(place.files / DUMPS["volume"], place.served)
    except VolumeError as error:
        raise LoadError(str(error)) from None


def count(place: Place, _manifest: BackupManifest) -> Verified:
    """Files, rows of tables and the digest of all content."""
    try:
        return counted_of(place.served, place.directory / "part")
    except VolumeError as error:
        raise LoadError(str(error)) from None


DRIVER: Final = Driver(load, count)

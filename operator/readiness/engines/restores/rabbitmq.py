"""A RabbitMQ that boots with definitions: its script lets the vendor's own tool say afterwards what the server holds."""

from __future__ import annotations

from typing import Final

from readiness.backups.definitions import verified_of
from readiness.backups.manifest import DUMPS, BackupManifest, Verified
from readiness.engines.restores.place import Driver, LoadError, Place

FOUND: Final = "found.json"


def load(place: Place) -> None:
    """Boots the server with the definitions."""
    place.served.mkdir(mode=0o770)
    name = DUMPS["rabbitmq"]
    (place.files / name).rename(place.served / name)
    place.order(1, "load")
    place.wait(1, "booted with the definitions", lambda: place.loaded(1))


def count(place: Place, manifest: BackupManifest) -> Verified:
    """What the server exports."""
    try:
        return verified_of((place.directory / FOUND).read_bytes(), manifest.verified.tool)
    except (OSError, ValueError):
        raise LoadError("the server does not export what it holds") from None


DRIVER: Final = Driver(load, count)

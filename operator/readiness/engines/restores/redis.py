"""A Redis that loads an RDB: as a real restore does it, without append-only mode first and with it afterwards.

With append-only mode on, a Redis ignores the RDB beside it and begins empty, without a word: that is what the second
start is for, and why what the server says of itself is looked at before its keys are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as NotReachedError

from readiness.backups.manifest import DUMPS, BackupManifest, Sample, Tally, Verified
from readiness.engines.restores.place import Driver, LoadError, Place

SECONDS: Final = 60.0
WITHOUT, WITH = "no", "yes"
"""Words of an order: whether append-only mode is on."""
_DATABASE: Final = re.compile(r"db([0-9]+)$")


def load(place: Place) -> None:
    """Serves the dump, until it has loaded."""
    place.served.mkdir(mode=0o770)
    (place.files / DUMPS["redis"]).rename(place.served / "dump.rdb")
    place.order(1, WITHOUT)
    place.wait(1, "ready with the dump loaded", lambda: _is_ready(place))
    with _client(place) as client:
        if _facts(client).get("aof_enabled"):
            raise LoadError(
                "append-only mode is on while the dump is to be loaded: the server ignores the dump then"
            )


def count(place: Place, manifest: BackupManifest) -> Verified:
    """Keys of every database, and the samples that the manifest has."""
    try:
        with _client(place) as client:
            version = str(_info(client, "server")["redis_version"])
            tallies = tuple(_tallies(_info(client, "keyspace")))
            samples = tuple(_samples(client, manifest))
    except RedisError as error:
        raise LoadError(f"the server could not be asked: {type(error).__name__}") from None
    return Verified(f"redis-server {version}", tallies, samples)


def again(place: Place) -> None:
    """Switches append-only mode on, as one does before clients come back, and starts from what that has written."""
    try:
        with _client(place) as client:
            client.config_set("appendonly", WITH)
            place.wait(1, "ready with an append-only file", lambda: _is_written(client))
            _stop(client)
    except RedisError as error:
        raise LoadError(f"append-only mode cannot be switched on: {type(error).__name__}") from None
    place.wait_for_end(1)
    place.order(2, WITH)
    place.wait(2, "ready with the append-only file loaded", lambda: _is_ready(place))


DRIVER: Final = Driver(load, count, again)


def _client(place: Place, database: int = 0) -> Redis:
    return Redis(place.host, place.port, database, socket_timeout=SECONDS, protocol=2)


def _info(client: Redis, section: str) -> dict[str, Any]:
    return dict(client.info(section))


def _facts(client: Redis) -> dict[str, Any]:
    return _info(client, "persistence")


def _is_ready(place: Place) -> bool:
    try:
        with _client(place) as client:
            return not _facts(client)["loading"]
    except (NotReachedError, BusyLoadingError):
        return False


def _is_written(client: Redis) -> bool:
    facts = _facts(client)
    if facts["aof_last_bgrewrite_status"] != "ok":
        raise LoadError("the append-only file could not be written")
    busy = facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"]
    return bool(facts["aof_enabled"]) and not busy


def _stop(client: Redis) -> None:
    try:
        client.execute_command("SHUTDOWN", "NOSAVE")
    except NotReachedError:
        return  # it is gone, as it should be


def _tallies(keyspace: dict[str, Any]) -> Iterator[Tally]:
    for name, held in keyspace.items():
        if _DATABASE.match(name):
            yield Tally(name, int(held["keys"]), int(held["expires"]))


def _samples(client: Redis, manifest: BackupManifest) -> Iterator[Sample]:
    for each in manifest.verified.samples:
        database = _DATABASE.match(each.of)
        if not database:
            continue
        client.execute_command("SELECT", int(database[1]))
        try:
            digest = client.execute_command("DEBUG", "DIGEST-VALUE", bytes.fromhex(each.key))
        except ResponseError:
            raise LoadError(
                "the server does not tell digests of values: enable-debug-command"
            ) from None
        yield Sample(each.of, each.key, digest[0].decode())

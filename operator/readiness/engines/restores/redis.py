"""A Redis that loads an RDB: as a real restore does it, without append-only mode first and with it afterwards.

With append-only mode on, a Redis ignores the RDB beside it and begins empty, without a word: that is what the second
start is for, and why what the server says of itself is looked at before its keys are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as NotReachedError

from readiness.backups.manifest import DUMPS, BackupManifest, Sample, Tally, Verified
from readiness.backups.restored import Mismatch
from readiness.engines.repository import Rim
from readiness.engines.restores.place import SAY_EVERY, Driver, LoadError, Place, Target

SECONDS: Final = 60.0
WITHOUT, WITH = "no", "yes"
"""Words of an order: whether append-only mode is on."""
BATCH: Final = 200
CONTENTS: Final[Mapping[str, Callable[[Redis, bytes], Any]]] = {
    "hash": lambda client, key: client.execute_command("HGETALL", key),
    "set": lambda client, key: set(client.execute_command("SMEMBERS", key)),
    "zset": lambda client, key: client.execute_command("ZRANGE", key, 0, -1, "WITHSCORES"),
}
"""How values are read whose order in memory may differ between servers."""
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


def held(target: Target) -> int:
    """Keys of all databases."""
    try:
        with _primary(target, 0) as client:
            return sum(each.count for each in _tallies(_info(client, "keyspace")))
    except RedisError as error:
        raise LoadError(f"{target} cannot be asked: {type(error).__name__}") from None


def copy(place: Place, target: Target, manifest: BackupManifest) -> tuple[Mismatch, ...]:
    """Every key with its value and its end; none is written over. Then both sides are counted and samples compared."""
    found: list[Mismatch] = []
    try:
        with _client(place) as source, _primary(target, 0) as to:
            to.execute_command("FUNCTION", "RESTORE", source.execute_command("FUNCTION", "DUMP"))
        for tally in count(place, manifest).tallies:
            number = int(tally.name[len("db") :])
            with _client(place, number) as source, _primary(target, number) as to:
                _copy(source, to, tally, place.rim)
                found += _compared(source, to, tally.name, manifest)
            found += _counted(target, tally)
    except RedisError as error:
        raise LoadError(f"copying into {target} ended with {type(error).__name__}") from None
    return tuple(found)


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


def _primary(target: Target, database: int) -> Redis:
    """A connection to whoever takes writes: a replica names it."""
    client = _connected(target, target.host, target.port, database)
    role: Any = client.execute_command("ROLE")
    if role[0] != b"slave":
        return client
    client.close()
    return _connected(target, role[1].decode(), int(role[2]), database)


def _connected(target: Target, host: str, port: int, database: int) -> Redis:
    return Redis(
        host, port, database, username=target.user or None, password=target.password or None,
        socket_timeout=SECONDS, protocol=2, ssl=bool(target.authority), ssl_ca_certs=target.authority or None,
    )  # fmt: skip


def _copy(source: Redis, to: Redis, tally: Tally, rim: Rim) -> None:
    copied, said = 0, rim.clock()
    for keys in _batches(source):
        asked = source.pipeline(transaction=False)
        for key in keys:
            asked.execute_command("DUMP", key)
            asked.execute_command("PEXPIRETIME", key)
        answers = asked.execute()
        told = to.pipeline(transaction=False)
        for key, value, until in zip(keys, answers[::2], answers[1::2], strict=True):
            if value is not None:  # else its time has come
                told.execute_command("RESTORE", key, max(0, until), value, "REPLACE", "ABSTTL")
        told.execute()
        copied += len(keys)
        if rim.clock() - said >= SAY_EVERY:
            said = rim.clock()
            rim.say(f"copied {copied} of {tally.count} keys of {tally.name}")


def _batches(source: Redis) -> Iterator[list[bytes]]:
    """Every key, some of them twice where the table still grows."""
    cursor: Any = b"0"
    while True:
        cursor, keys = source.execute_command("SCAN", cursor, "COUNT", BATCH)
        yield list(keys)
        if int(cursor) == 0:
            return


def _counted(target: Target, expected: Tally) -> Iterator[Mismatch]:
    with _primary(target, 0) as client:
        there = {each.name: each for each in _tallies(_info(client, "keyspace"))}
    found = there.get(expected.name, Tally(expected.name, 0))
    if found.lasting != expected.lasting:
        yield Mismatch(expected.name, f"{expected.lasting} that last", f"{found.lasting}")


def _compared(source: Redis, to: Redis, name: str, manifest: BackupManifest) -> Iterator[Mismatch]:
    keys = [bytes.fromhex(each.key) for each in manifest.verified.samples if each.of == name]
    equal = sum(_content(source, key) == _content(to, key) for key in keys)
    if equal < len(keys):
        yield Mismatch(f"content of {name}", f"{len(keys)} equal samples", f"{equal}")


def _content(client: Redis, key: bytes) -> Any:
    """A value, whatever its order in memory."""
    kind: Any = client.execute_command("TYPE", key)
    read = CONTENTS.get(kind.decode() if isinstance(kind, bytes) else kind)
    return kind, read(client, key) if read else client.execute_command("DUMP", key)


DRIVER: Final = Driver(load, count, again, held, copy)

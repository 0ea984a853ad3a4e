"""Redis data by the megabyte, the same for the same seed, and everything that a server holds, so that two can be compared whole.

Every type in its compact and in its large encoding, keys of any bytes, keys and fields that come to an end, consumer groups,
a function, several databases. What comes to an end does so on a fixed day: whoever restores it has to keep that very moment.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

DATABASES = (0, 3, 15)
ENDS = 4_070_908_800_000
"""The first day of 2099, in milliseconds."""
ENDING = 7
"""Every so many keys, one comes to an end."""
SMALL = 60
"""Keys of a few bytes in each round, so that there are many of them, too."""
LIBRARY = "#!lua name=mixed\nredis.register_function('answer', function() return 42 end)"
ENCODINGS = frozenset(
    ("int", "embstr", "raw", "listpack", "hashtable", "quicklist", "intset", "skiplist", "stream")
)
Connect = Callable[[int], Redis]
Shape = Callable[[Pipeline, bytes, random.Random], object]


@dataclass(frozen=True)
class Contents:
    """What a server holds: `digest` is its own, of every key, value and type; it knows no groups and no moments."""

    digest: str
    keys: Mapping[int, int]
    ends: Mapping[int, tuple[int, str]]
    """By database, how many keys come to an end, and a digest of which of them when."""
    groups: str
    """A digest of what every stream knows of its readers. When one was seen last is a member's own affair: replicas hear of claims only."""
    functions: bytes


def _text(chance: random.Random) -> bytes:
    """Some 300 kB that can be compressed."""
    return b" ".join(b"%06d" % chance.randrange(10**6) for _ in range(2800)) * 15


def _members(chance: random.Random, count: int, length: int) -> dict[bytes, int]:
    return {chance.randbytes(length): chance.randrange(10**9) for _ in range(count)}


def _stream(pipe: Pipeline, key: bytes, chance: random.Random, count: int) -> None:
    for number in range(1, count + 1):
        pipe.xadd(key, {"at": number, "what": chance.randbytes(900)}, id=f"{1_700_000_000_000 + number}-1")  # fmt: skip
    pipe.xgroup_create(key, "workers", id="0")
    pipe.xreadgroup("workers", "first", {key: ">"}, count=3)
    pipe.xack(key, "workers", "1700000000001-1")


SHAPES: Mapping[str, Shape] = {
    "int": lambda pipe, key, chance: pipe.set(key, chance.randrange(1 << 60)),
    "embstr": lambda pipe, key, chance: pipe.set(key, chance.randbytes(30)),
    "raw": lambda pipe, key, chance: pipe.set(key, chance.randbytes(100_000)),
    "text": lambda pipe, key, chance: pipe.set(key, _text(chance)),
    "bits": lambda pipe, key, chance: pipe.setbit(key, chance.randrange(8000), 1),
    "log": lambda pipe, key, chance: pipe.pfadd(key, *_members(chance, 20, 8)),
    "small hash": lambda pipe, key, chance: pipe.hset(key, mapping=_members(chance, 8, 6)),
    "large hash": lambda pipe, key, chance: pipe.hset(key, mapping=_members(chance, 200, 1000)),
    "small list": lambda pipe, key, chance: pipe.rpush(key, *_members(chance, 8, 6)),
    "large list": lambda pipe, key, chance: pipe.rpush(key, *_members(chance, 300, 1000)),
    "set of numbers": lambda pipe, key, chance: pipe.sadd(key, *_members(chance, 40, 3).values()),
    "small set": lambda pipe, key, chance: pipe.sadd(key, *_members(chance, 20, 9)),
    "large set": lambda pipe, key, chance: pipe.sadd(key, *_members(chance, 150, 1000)),
    "small sorted": lambda pipe, key, chance: pipe.zadd(key, _members(chance, 20, 9)),
    "large sorted": lambda pipe, key, chance: pipe.zadd(key, _members(chance, 150, 1000)),
    "places": lambda pipe, key, chance: pipe.geoadd(key, (chance.uniform(-179, 179), chance.uniform(-80, 80), chance.randbytes(5))),
    "small stream": lambda pipe, key, chance: _stream(pipe, key, chance, 5),
    "large stream": lambda pipe, key, chance: _stream(pipe, key, chance, 60),
}  # fmt: skip


def fill(connect: Connect, size: int, seed: int = 6) -> None:
    """Until the data set takes `size` bytes of the server's memory, or a little more."""
    clients, chance, number = {each: connect(each) for each in DATABASES}, random.Random(seed), 0
    first = clients[0]
    first.function_load(LIBRARY)
    ends_fields = first.info("server")["redis_version"] >= "7.4"
    while first.info("memory")["used_memory_dataset"] < size:
        with clients[DATABASES[number % len(DATABASES)]].pipeline(transaction=False) as pipe:
            _round(pipe, chance, number, ends_fields=ends_fields)
            pipe.execute()
        number += 1
    for each in clients.values():
        each.close()


def _round(pipe: Pipeline, chance: random.Random, number: int, *, ends_fields: bool) -> None:
    """One key of each shape and a handful of small ones."""
    for nth, (name, shape) in enumerate([*SHAPES.items(), *[("few bytes", SHAPES["embstr"])] * SMALL]):  # fmt: skip
        key = b"%s:%d:%d" % (name.encode(), number, nth)
        if nth % 5 == 0:
            key += b"\x00\xff\r\n\"'\\ " + chance.randbytes(8)
        shape(pipe, key, chance)
        if (number + nth) % ENDING == 0:
            pipe.execute_command("PEXPIREAT", key, ENDS + number * 1000 + nth)
    if number % 20 == 0:
        pipe.set(b"large:%d" % number, chance.randbytes(4 << 20))
    if ends_fields:
        key = b"fields that end:%d" % number
        pipe.hset(key, mapping={"stays": 1, "ends": 2})
        pipe.execute_command("HPEXPIREAT", key, ENDS + number, "FIELDS", 1, "ends")


def contents_of(connect: Connect) -> Contents:
    """Everything that a server holds. While it makes its digest it answers nobody else."""
    keys, ends, groups = {}, {}, hashlib.sha256()
    for number in DATABASES:
        with connect(number) as client:
            keys[number] = client.dbsize()
            ends[number] = _ends_of(client)
            streams: Any = client.scan_iter(match="*stream*", count=5000, _type="stream")
            for name in sorted(streams):
                groups.update(name + repr(_groups_of(client, name)).encode())
    with connect(0) as client:
        digest = client.execute_command("DEBUG", "DIGEST").decode()
        return Contents(digest, keys, ends, groups.hexdigest(), client.function_dump())


def _groups_of(client: Redis, name: bytes) -> list[Any]:
    stream: Any = client.xinfo_stream(name, full=True)
    for group in stream["groups"]:
        for consumer in group["consumers"]:
            del consumer[b"seen-time"], consumer[b"active-time"]
    return [stream["last-generated-id"], stream["entries-added"], stream["groups"]]


def _ends_of(client: Redis) -> tuple[int, str]:
    found = sorted(_ending(client))
    return len(found), hashlib.sha256(repr(found).encode()).hexdigest()


def _ending(client: Redis) -> Iterator[tuple[bytes, int]]:
    cursor = 0
    while True:
        cursor, names = client.scan(cursor, count=5000)
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.execute_command("PEXPIRETIME", name)
            moments = pipe.execute()
        yield from ((name, at) for name, at in zip(names, moments, strict=True) if at > 0)
        if not cursor:
            return


def encodings_of(connect: Connect) -> set[str]:
    """How the server holds the keys of the first rounds."""
    found = set()
    for number in DATABASES:
        with connect(number) as client:
            for name in (
                key for key, _ in zip(client.scan_iter(count=500), range(500), strict=False)
            ):
                found.add(client.object("encoding", name).decode())
    return found

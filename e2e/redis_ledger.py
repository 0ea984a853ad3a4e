"""A client of a provided Redis, for a pod: `write` until stopped, `audit SINCE` what became of it.

It knows only the binding Secret, mounted at /binding. Every acknowledged write stands in /tmp/ledger with its time; writes
of several ledgers do not meet, because their keys begin with the pod's name.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

LEDGER = Path("/tmp/ledger")
WAIT = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}
"""The library's own ten retries would ask a sentinel that is gone for a quarter of a minute before the next one."""


def connect() -> tuple[Sentinel, Redis, str]:
    said = {each.name: each.read_text() for each in Path("/binding").iterdir() if each.is_file()}
    auth: dict[str, Any] = {"username": said["username"], "password": said["password"], **WAIT}
    nodes = [each.split(":") for each in said["sentinels"].split(",")]
    found = Sentinel([(host, int(port)) for host, port in nodes], sentinel_kwargs=auth, **auth)
    return found, found.master_for(said["master-name"]), said["master-name"]


def key(number: int | str) -> str:
    return f"{os.environ['HOSTNAME']}:{number}"


def write() -> None:
    _, client, _ = connect()
    number = 0
    with LEDGER.open("a", buffering=1) as file:
        while True:
            number += 1
            try:
                client.set(key(number), number)
            except (RedisError, OSError):
                client.connection_pool.disconnect()
                time.sleep(0.02)
            else:
                file.write(f"{number} {time.time()}\n")
            time.sleep(0.002)


def audit(since: float) -> None:
    """One line of JSON: the primary, the longest gap since then, which acknowledged writes are gone and when they were."""
    sentinel, client, group = connect()
    now = time.time()
    rows = [line.split() for line in LEDGER.read_text().splitlines() if line.count(" ") == 1]
    lost = []
    for start in range(0, len(rows), 1000):
        part = rows[start : start + 1000]
        values = client.mget([key(number) for number, _ in part])
        lost += [float(at) for (_, at), value in zip(part, values, strict=True) if value is None]
    times = [since, *(float(at) for _, at in rows if float(at) >= since)]
    gap = max((b - a for a, b in itertools.pairwise(times)), default=now - since)
    primary, _ = sentinel.discover_master(group)
    found = {"primary": primary.split(".")[0], "acknowledged": len(rows), "idle": now - times[-1], "gap": gap, "lost": lost}  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    write() if sys.argv[1] == "write" else audit(float(sys.argv[2]))

"""A client that keeps a ledger: every write that was acknowledged, and when. It finds the primary as applications do."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError, Sentinel

from .rig import Rig


class Finder(Sentinel):
    """The library's own discovery; only names are resolved by the rig's hosts file."""

    address_of: Callable[[str], str]

    def discover_master(self, service_name: str) -> tuple[str, int]:
        host, port = super().discover_master(service_name)
        return self.address_of(host), port


def finder(rig: Rig, binding: dict[str, str]) -> Finder:
    auth = {"username": "app", "password": binding["password"]}
    wait = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
    if "ca.crt" in binding:  # by its authority; here names are addresses
        wait |= {"ssl": True, "ssl_ca_data": binding["ca.crt"], "ssl_check_hostname": False}
    nodes = [(rig.address_of(each.partition(":")[0]), 26379) for each in binding["sentinels"].split(",")]  # fmt: skip
    found = Finder(nodes, sentinel_kwargs={**auth, **wait}, **auth, **wait)
    found.address_of = rig.address_of
    return found


@dataclass
class Ledger:
    """One writer. `acknowledged` holds ids in order with the time of their acknowledgement."""

    rig: Rig
    binding: dict[str, str]
    acknowledged: list[tuple[int, float]] = field(default_factory=list)
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def client(self) -> Redis:
        found = finder(self.rig, self.binding)
        return found.master_for(self.binding["master-name"], retry=None)

    def start(self) -> Ledger:
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        self.wait_for(100)
        return self

    def wait_for(self, more: int, seconds: float = 60.0) -> None:
        """Until so many more writes have been acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"no writes for {seconds} s"
            time.sleep(0.05)

    def stop(self) -> None:
        self._stop.set()
        assert self._thread
        self._thread.join(10)

    def _write(self) -> None:
        client, number, binding = self.client(), 0, self.binding
        while not self._stop.is_set():
            if binding is not self.binding:
                client, binding = self.client(), self.binding
            number += 1
            try:
                client.set(f"ledger:{number}", number)
            except (RedisError, MasterNotFoundError, OSError):
                self.refused += 1
                client.connection_pool.disconnect()
                time.sleep(0.02)
            else:
                self.acknowledged.append((number, time.monotonic()))
            time.sleep(0.001)

    def lost(self) -> int:
        """How many acknowledged writes the primary of now does not have."""
        client, missing = self.client(), 0
        for start in range(0, len(self.acknowledged), 1000):
            keys = [f"ledger:{number}" for number, _ in self.acknowledged[start : start + 1000]]
            missing += sum(value is None for value in client.mget(keys))
        return missing

    def gap(self, since: float) -> float:
        """The longest time without an acknowledgement after a moment."""
        times = [since, *(when for _, when in self.acknowledged if when >= since)]
        return max(after - before for before, after in itertools.pairwise(times))

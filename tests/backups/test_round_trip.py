"""Everything of a Redis, there and back: dumped from a replica, verified and saved as at night, restored by `readiness restore`, compared whole.

`BACKUP_MIB` says how much that is, in the memory that the data set takes; 1024 without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import programs
import pytest
from redis import Redis

from readiness.backups.outcome import Reason

from . import mixed, throwaway
from .nightly import Night, falling
from .stored import SCRIPT

pytestmark = pytest.mark.slow
MIB = int(os.environ.get("BACKUP_MIB", "1024"))
TAMPERED: dict[str, Callable[[Redis], object]] = {
    "a value": lambda client: client.hset("small hash:0:6", "more", 1),
    "a moment": lambda client: client.execute_command(
        "PEXPIREAT", "large hash:0:7", mixed.ENDS + 8
    ),
    "a group": lambda client: client.xgroup_setid("large stream:0:17", "workers", "7-0"),
    "a function": lambda client: client.function_delete("mixed"),
    "a key": lambda client: client.set("one more", 1),
}


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    with falling(tmp_path / "night") as found:
        yield found


@contextmanager
def new_server(night: Night) -> Iterator[mixed.Connect]:
    """An empty Redis beside the one that was saved."""
    home, port = night.home / "new", programs.free_port()
    (home / "data").mkdir(parents=True)
    (home / "order-1").write_text("no\n")
    throwaway.install_redis(night.tools)
    with throwaway.serving(SCRIPT, home, port, night.tools):
        programs.until_open(port)
        yield partial(Redis, "127.0.0.1", port, socket_timeout=600)


def there_and_back(night: Night, connect: mixed.Connect) -> None:
    """As at night, and as somebody does it who needs it again."""
    night.wait_for_replica()
    containers = night.containers()
    night.run(containers["dump"])
    night.run(containers["verify"])
    assert night.save().reason is Reason.SAVED
    night.dump.unlink()
    with connect(0) as client:
        port = client.connection_pool.connection_kwargs["port"]
    assert "holds snapshot" in night.restore(port)


def test_everything_comes_back_as_it_was(night: Night):
    mixed.fill(night.connect, MIB << 20)
    was = mixed.contents_of(night.connect)
    assert mixed.encodings_of(night.connect) >= mixed.ENCODINGS
    assert all(count for count, _ in was.ends.values())

    with new_server(night) as connect:
        there_and_back(night, connect)

        assert mixed.contents_of(connect) == was
        assert was == mixed.contents_of(night.connect), "the one that was saved has not changed"


def test_whatever_is_otherwise_is_seen(night: Night):
    mixed.fill(night.connect, 4 << 20)
    was = mixed.contents_of(night.connect)

    with new_server(night) as connect:
        there_and_back(night, connect)
        assert mixed.contents_of(connect) == was
        for name, change in TAMPERED.items():
            with connect(0) as client:
                change(client)
            now = mixed.contents_of(connect)
            assert now != was, name
            was = now

"""Where a throw-away server stands and how it is told what to do: orders and answers as files of a shared directory.

`order-N` lets the server's script serve, with the word that it holds; `loaded-N` says that it has loaded, where a load has
an end; `ended-N` that the server, or its load, has ended, with the exit code. It knows no kind of store.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from readiness.backups.manifest import BackupManifest, Verified
from readiness.backups.restored import Mismatch
from readiness.engines.repository import Rim

PAUSE_SECONDS: Final = 0.5
CONNECT_SECONDS: Final = 3.0
SAY_EVERY: Final = 10.0


class LoadError(Exception):
    """The server did not take what was given to it; the text says at which step."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory that server and drill share, and where the server will listen."""

    directory: Path
    host: str
    port: int
    rim: Rim

    @property
    def files(self) -> Path:
        """Where the snapshot's files lie."""
        return self.directory / "files"

    @property
    def served(self) -> Path:
        """What the server may read and write."""
        return self.directory / "data"

    def order(self, number: int, word: str) -> None:
        """Lets the server's script go on. Whole or not at all."""
        partial = self.directory / "order.partial"
        partial.write_text(f"{word}\n", encoding="ascii")
        partial.rename(self.directory / f"order-{number}")

    def loaded(self, number: int) -> bool:
        """Whether the script says that it has loaded."""
        return (self.directory / f"loaded-{number}").exists()

    def wait(self, number: int, what: str, holds: Callable[[], bool]) -> None:
        """Until it holds. Raises LoadError when the server has ended before. The Job's deadline bounds it."""
        said = self.rim.clock()
        while not holds():
            if self.ended(number):
                raise LoadError(f"the server ended instead of being {what}")
            if self.rim.clock() - said >= SAY_EVERY:
                said = self.rim.clock()
                self.rim.say(f"waiting for the server to be {what}")
            self.rim.pause(PAUSE_SECONDS)

    def wait_for_end(self, number: int) -> None:
        """Until the server has ended."""
        while not self.ended(number):
            self.rim.pause(PAUSE_SECONDS)

    def ended(self, number: int) -> bool:
        """Whether the script says that the server has."""
        return (self.directory / f"ended-{number}").exists()


@dataclass(frozen=True, slots=True)
class Target:
    """A new instance that a real restore fills. With `authority`, a file, it speaks TLS."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Driver:
    """What is done with one kind of store. All raise LoadError.

    `load` returns when the server has everything; `count` reads it as the dump was read when it was verified; `again` starts
    the server a second time the way a real restore would go on, where that is another way. `held` is how much a target
    holds; `copy` fills it from the throw-away server and returns what is otherwise there afterwards.
    """

    load: Callable[[Place], None]
    count: Callable[[Place, BackupManifest], Verified]
    again: Callable[[Place], None] | None = None
    held: Callable[[Target], int] | None = None
    copy: Callable[[Place, Target, BackupManifest], tuple[Mismatch, ...]] | None = None


def is_loopback(host: str) -> bool:
    """Whether an address is one of this pod's own, and nothing that a name might lead to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS):
            return True
    except OSError:
        return False

"""What a snapshot holds: the document that is saved beside a dump, and that a restore is held against.

Written by the run that saved, read by whoever restores; a later version of us must read it, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["redis", "mongodb", "rabbitmq", "volume"]
MANIFEST: Final = "manifest.json"
SOURCE: Final = "source.json"
VERIFY: Final = "verify.json"
DUMPS: Final[dict[str, str]] = {
    "redis": "dump.rdb",
    "mongodb": "dump.archive",
    "rabbitmq": "definitions.json",
    "volume": "volume.tar",
}
"""The file that each kind dumps to."""
LEFT_OUT: Final[dict[str, str]] = {"rabbitmq": "messages, which are protected by replication only"}
"""What of a kind is in no dump, and what protects it."""


@dataclass(frozen=True, slots=True)
class File:
    """One file beside the manifest."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are of something: keys of a database (`db0`), documents of a collection, queues.

    `volatile` of them may go by themselves, as keys with a time to live do.
    """

    name: str
    count: int
    volatile: int = 0

    @property
    def lasting(self) -> int:
        """Those that must be there after a restore."""
        return self.count - self.volatile


@dataclass(frozen=True, slots=True)
class Sample:
    """One piece of content, lasting. `of` is its tally; `key` is hexadecimal, `digest` the vendor's own."""

    of: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Source:
    """Of whom and when: what the dumping container writes. Times are epoch seconds."""

    member: str
    server: str
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What the vendor's own server found in the dump: what the verifying container writes."""

    tool: str
    tallies: tuple[Tally, ...] = ()
    samples: tuple[Sample, ...] = ()
    indexes: str = ""
    users: int = 0


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """All of it. `run` is the Job's name, `backup_set` what the runs of a policy's stores have in common."""

    kind: Kind
    namespace: str
    policy: str
    service: str
    run: str
    backup_set: str
    source: Source
    verified: Verified
    files: tuple[File, ...]
    format: Literal[1] = 1

    @property
    def size(self) -> int:
        """Bytes of all files, without the manifest's own."""
        return sum(each.size for each in self.files)

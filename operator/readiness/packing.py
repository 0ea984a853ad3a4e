"""The two processes that dump a plain volume and verify the dump: what the containers of a vendor do for a server.

The composition root of `readiness backup pack` and `readiness backup inspect`. Neither has credentials of anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from readiness.backups.codec import dump_verified
from readiness.backups.manifest import DUMPS, SOURCE, VERIFY
from readiness.engines.volume import Say, inspect, pack

ARCHIVE: Final = DUMPS["volume"]


def pack_volume(source: Path, directory: Path, clock: Callable[[], float], say: Say) -> None:
    """Leaves the archive, and of what it was made when. Raises VolumeError."""
    began = int(clock())
    pack(source, directory / ARCHIVE, say)
    made = {"member": "volume", "server": "files", "began": began, "ended": int(clock())}
    (directory / SOURCE).write_text(json.dumps(made))


def verify_volume(directory: Path) -> None:
    """Leaves what is in the archive. Raises VolumeError."""
    (directory / VERIFY).write_text(dump_verified(inspect(directory / ARCHIVE)))

"""`readiness restore-drill`: the process inside a restore drill's Job. Not for people."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from readiness.backups.manifest import DUMPS
from readiness.cli.backup import add_store, order_of, restic_of, tell
from readiness.cli.console import Console, parser
from readiness.dataservices.restore import RESTORED


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Whose snapshots, and where the throw-away server will listen."""
    found = parser(prog, text, "Restores into a server beside it that it has to let go first.")
    add_store(found)
    found.add_argument("--kind", choices=sorted(DUMPS), required=True, help="of the data service")
    found.add_argument("--run", required=True, help="name of the Job")
    found.add_argument("--directory", type=Path, default=Path(RESTORED), help="shared with the server")  # fmt: skip
    found.add_argument("--host", default="127.0.0.1", help="of the server; anything but loopback is refused")  # fmt: skip
    found.add_argument("--port", type=int, default=9, help="of the server; a volume has none")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Drills, and says how that ended."""
    from readiness.engines.repository import Rim
    from readiness.engines.restores import Place
    from readiness.restoring import StoppedError, drill

    def stop(*_: object) -> None:
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    place = Place(args.directory, args.host, args.port, Rim(time.time, time.sleep, console.say))
    outcome = drill(order_of(args, args.run), restic_of(args), place)
    tell(outcome, console)
    return 1 if outcome.result == "Failed" else 0

"""`readiness restore`: a snapshot into a new, empty instance; it shows its plan, asks, and proves what it did.

The snapshot is loaded into a throw-away server on loopback first and held against its manifest: only what passes a drill
reaches the new instance. The live one is not touched: whoever holds data is refused.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from readiness.cli.backup import add_store, order_of, restic_of
from readiness.cli.console import Console, UsageError, parser
from readiness.ports import ADMINISTRATORS

if TYPE_CHECKING:
    from readiness.backups.snapshots import Snapshot
    from readiness.engines.restores import Target

EPILOG: Final = (
    "Runs where restic and the server's own program are: in the pod that the runbook starts, or on any machine. "
    "Exit codes: 0 restored and verified, 1 not, 2 usage error, 130 not wanted."
)
NOT_WANTED: Final = 130


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Which snapshot, and where to."""
    found = parser(prog, text, EPILOG)
    add_store(found)
    found.add_argument(
        "--kind", choices=sorted(ADMINISTRATORS), required=True, help="of the data service"
    )
    found.add_argument("--snapshot", default="latest", metavar="WHICH",
        help="latest, an id, a backup set such as 20261121T0213Z, or a time: the last one not after it")  # fmt: skip
    found.add_argument("--into", required=True, metavar="HOST[:PORT]", help="the new instance, which must be empty")  # fmt: skip
    found.add_argument("--user", default="", help="of the new instance")
    found.add_argument("--user-password-file", type=Path, metavar="FILE", help="with that user's password")  # fmt: skip
    found.add_argument("--authority", type=Path, metavar="FILE", help="speak TLS, and trust this authority")  # fmt: skip
    found.add_argument("--yes", action="store_true", help="do not ask")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Shows the plan, asks, restores."""
    from readiness.engines.repository import Rim
    from readiness.engines.restic import ResticError
    from readiness.engines.restores import LoadError, Place
    from readiness.restoring import DrillError, StoppedError, find, restore, room_of

    def stop(*_: object) -> None:
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    target, restic = target_of(args), restic_of(args)
    order = order_of(args, "by-hand")
    try:
        chosen = _one(find(order, restic, args.snapshot), args.snapshot)
        console.say(_plan(args, chosen, target, room_of(args.kind, target)))
        if not args.yes and not _agrees(console):
            console.say("nothing was done")
            return NOT_WANTED
        with tempfile.TemporaryDirectory(prefix="readiness-restore-") as directory:
            port = _free_port()
            with _serving(args.kind, Path(directory), port) as pause:
                rim = Rim(time.time, pause, console.say)
                place = Place(Path(directory), "127.0.0.1", port, rim)
                manifest = restore(order, restic, chosen, place, target)
    except (ResticError, LoadError, DrillError) as error:
        console.fail("readiness restore", str(error))
        return 1
    tallies = ", ".join(f"{each.name} {each.count}" for each in manifest.verified.tallies)
    console.write(f"{target} holds snapshot {chosen.id[:8]}: {tallies}. Point clients at it when you are content.\n")  # fmt: skip
    return 0


def _one(found: tuple[Snapshot, ...], wanted: str) -> Snapshot:
    if not found:
        raise UsageError(f"no complete snapshot is {wanted!r}: see `restic snapshots`")
    if len(found) > 1:
        shown = ", ".join(each.id[:8] for each in found[:5])
        raise UsageError(f"{wanted!r} is not one snapshot but {len(found)}: {shown}")
    return found[0]


def _plan(args: argparse.Namespace, chosen: Snapshot, target: Target, holds: int) -> str:
    at = datetime.fromtimestamp(chosen.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    odd = "  (suspicious: its size or content deviates from those before it)" if chosen.suspicious else ""  # fmt: skip
    return (
        f"Restore of {args.service}, a {args.kind} of {args.namespace}/{args.policy}\n"
        f"  from  snapshot {chosen.id[:8]} of {at}, backup set {chosen.backup_set}, {chosen.size} bytes{odd}\n"
        f"  into  {target}, which holds {holds or 'nothing'}\n"
        "  1. fetch the snapshot, and compare its files with its manifest\n"
        "  2. load it into a throw-away server on loopback, and compare what that holds with the manifest\n"
        "  3. copy everything that it has not into the new instance\n"
        "  4. compare the new instance with the throw-away server, which then goes\n"
        "The live instance and the repository stay as they are."
    )


def _agrees(console: Console) -> bool:
    console.stderr.write("Go on? [y/N] ")
    console.stderr.flush()
    return console.stdin.readline().strip().lower() in {"y", "yes"}


def target_of(args: argparse.Namespace) -> Target:
    """The new instance, at the port of its kind where none is named. Raises UsageError."""
    from readiness.engines.restores import Target

    host, colon, port = args.into.rpartition(":")
    if not colon:
        host, port = args.into, str(ADMINISTRATORS[args.kind].of(tls=args.authority is not None))
    if not host or not port.isdigit():
        raise UsageError(f"--into {args.into!r}: expected HOST or HOST:PORT")
    file = args.user_password_file
    try:
        password = file.read_text().strip() if file else ""
    except OSError:
        raise UsageError(f"--user-password-file {file} cannot be read") from None
    return Target(host, int(port), args.user, password, str(args.authority or ""))


@contextmanager
def _serving(kind: str, directory: Path, port: int) -> Iterator[Callable[[float], None]]:
    """The throw-away server, as the drill's script runs it. Who pauses notices when it is gone."""
    from readiness.dataservices.restore import SCRIPTS
    from readiness.engines.restores import LoadError

    words = ("sh", "-c", SCRIPTS[kind], "restore", str(directory), str(port))
    with (directory / "server.log").open("wb") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    def pause(seconds: float) -> None:
        if server.poll() is not None:
            raise LoadError(f"the throw-away server cannot be run here: is there a {kind} on this machine?")  # fmt: skip
        time.sleep(seconds)

    try:
        yield pause
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

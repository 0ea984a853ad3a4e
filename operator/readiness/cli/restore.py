"""`readiness restore`: a snapshot into a new, empty instance; it shows its plan, asks, and proves what it did.

Without `--into` the instance is made, too (`restore_beside.py`), and a Job comes back here with one.

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

from readiness.cli import kube
from readiness.cli.backup import add_store, order_of, restic_of
from readiness.cli.console import NOT_WANTED, Console, UsageError, parser
from readiness.ports import ADMINISTRATORS

if TYPE_CHECKING:
    from readiness.backups.snapshots import Snapshot
    from readiness.engines.restores import Place, Target

LOOPBACK: Final = "127.0.0.1"
EPILOG: Final = (
    "With SERVICE it makes an instance of its own beside the live one, in the cluster, and a Job fills it. With --into it fills the "
    "empty instance that is named, from where restic and the server's own program are: on any machine. "
    "Exit codes: 0 restored and verified, 1 not, 2 usage error, 3 could not tell, 130 not wanted, or interrupted."
)


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Which snapshot, and where to."""
    found = parser(prog, text, EPILOG)
    found.add_argument("--snapshot", default="latest", metavar="WHICH",
        help="latest, an id, a backup set such as 20261121T0213Z, or a time: the last one not after it")  # fmt: skip
    found.add_argument("--yes", action="store_true", help="do not ask")
    beside = found.add_argument_group("into an instance of its own beside the live one")
    beside.add_argument("name", nargs="?", default="", metavar="SERVICE", help="a data service that a policy of the namespace declares")  # fmt: skip
    beside.add_argument("--dry-run", action="store_true", help="print the plan and what would be made, and make nothing")  # fmt: skip
    kube.add_timeout(found, "30m")
    kube.add_cluster(found)
    into = found.add_argument_group("into an instance that is there")
    into.add_argument("--into", default="", metavar="HOST[:PORT]", help="the new instance, which must be empty")  # fmt: skip
    into.add_argument("--kind", default="", choices=sorted(ADMINISTRATORS), help="of the data service")  # fmt: skip
    into.add_argument("--user", default="", help="of the new instance")
    into.add_argument("--user-password-file", type=Path, metavar="FILE", help="with that user's password")  # fmt: skip
    into.add_argument("--authority", type=Path, metavar="FILE", help="speak TLS, and trust this authority")  # fmt: skip
    into.add_argument("--directory", type=Path, help="shared with a throw-away server that waits for its orders, as in our Job; default: one is started here")  # fmt: skip
    into.add_argument("--port", type=int, help="where that one will listen, on loopback")
    add_store(found, required=False)
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Shows the plan, asks, restores."""
    if problem := _misused(args):
        raise UsageError(problem)
    if args.into:
        return _restore_into(args, console)
    from readiness.cli.restore_beside import restore_beside

    return restore_beside(args, console)


def _misused(args: argparse.Namespace) -> str:
    """What is missing, or belongs to the other way; empty when it is clear what to do."""
    needed = ("kind", "namespace", "policy", "service", "repository")
    if args.into:
        if args.name or args.dry_run:
            return "--into names an instance that is there: a SERVICE, or --dry-run, is of one that is made"
        missing = [f"--{each}" for each in needed if not getattr(args, each)]
        if missing:
            return f"--into needs {', '.join(missing)}, as the runbook says them"
        lone = bool(args.directory) != bool(args.port)
        return "--directory and --port name one server, and go together" if lone else ""
    if not args.name:
        return "name a data service, for an instance of its own beside it, or an empty instance with --into"
    more = ("kind", "service", "repository", "user", "user_password_file", "authority", "directory", "port")  # fmt: skip
    given = [f"--{each.replace('_', '-')}" for each in more if getattr(args, each)]
    return f"only --into takes {', '.join(given)}" if given else ""


def _restore_into(args: argparse.Namespace, console: Console) -> int:
    from readiness.engines.restic import ResticError
    from readiness.engines.restores import LoadError
    from readiness.restoring import DrillError, StoppedError, find, restore, room_of

    def stop(*_: object) -> None:
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    target, restic = target_of(args), restic_of(args)
    order = order_of(args, "by-hand")
    try:
        chosen = _one(find(order, restic, args.snapshot), args.snapshot)
        console.say(_plan(args, chosen, target, room_of(args.kind, target)))
        if not args.yes and not console.agrees():
            console.say("nothing was done")
            return NOT_WANTED
        with _served(args, console) as place:
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
def _served(args: argparse.Namespace, console: Console) -> Iterator[Place]:
    """Where the throw-away server is: beside us, in a Job, or one that is started here and goes again."""
    from readiness.engines.repository import Rim
    from readiness.engines.restores import Place

    if args.directory:
        yield Place(args.directory, LOOPBACK, args.port, Rim(time.time, time.sleep, console.say))
        return
    with tempfile.TemporaryDirectory(prefix="readiness-restore-") as directory:
        port = _free_port()
        with _serving(args.kind, Path(directory), port) as pause:
            rim = Rim(time.time, pause, console.say)
            yield Place(Path(directory), LOOPBACK, port, rim)


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
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])

"""`readiness backup`: what the Jobs of a data service's backups run, and people who look after them.

Secrets are read from files; none is an option.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from readiness.backups.destination import (
    CREDENTIALS_DIR,
    PASSWORD_DIR,
    PASSWORD_KEY,
    Repository,
    environment_of,
    options_of,
)
from readiness.backups.manifest import DUMPS
from readiness.backups.snapshots import DIRECTORY, Order, host_of
from readiness.cli.console import Console, UsageError, parser

if TYPE_CHECKING:
    from readiness.backups.outcome import Outcome
    from readiness.engines.repository import Rim
    from readiness.engines.restic import Restic
    from readiness.pruning import Pruning

SOURCE: Final = "/source"
"""Where a volume is mounted that is to be saved."""
TERMINATION: Final = Path("/dev/termination-log")
EPILOG: Final = "Exit codes: 0 done, or another run had done it; 1 not done; 2 usage error."


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """One verb each for what is done in a repository."""
    found = parser(prog, text, EPILOG)
    verbs = found.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = verbs.add_parser("run", help="save the dump that lies in a directory")
    add_store(run)
    run.add_argument("--kind", choices=sorted(DUMPS), required=True, help="of the data service")
    run.add_argument("--run", required=True, help="name of the Job")
    run.add_argument("--directory", type=Path, default=Path(DIRECTORY), help="where the dump lies")
    prune = verbs.add_parser("prune", help="delete the snapshots that retention does not keep")
    add_store(prune)
    prune.add_argument("--run", default="by-hand", help="name of the Job")
    prune.add_argument("--daily", type=int, default=30, help="days of which the newest is kept")
    prune.add_argument("--monthly", type=int, default=12, help="months, likewise")
    prune.add_argument("--keep-last", type=int, default=3, help="how many of the newest are kept")
    prune.add_argument("--dry-run", action="store_true", help="print the plan, and delete nothing")
    list_ = verbs.add_parser("list", help="tell which complete snapshots there are")
    add_store(list_)
    list_.add_argument("--run", default="by-hand", help="name of the Job")
    pack = verbs.add_parser("pack", help="dump the files of a volume")
    pack.add_argument("--source", type=Path, default=Path(SOURCE), help="where it is mounted")
    inspect = verbs.add_parser("inspect", help="verify the dump of a volume")
    for verb in (pack, inspect):
        verb.add_argument(
            "--directory", type=Path, default=Path(DIRECTORY), help="where the dump lies"
        )
    return found


def add_store(verb: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Whose backups, and what opens their repository."""
    add = verb.add_argument
    add("-n", "--namespace", required=required, default="", help="of the policy")
    add("--policy", required=required, default="", help="its name")
    add("--service", required=required, default="", help="name of the data service")
    add("--repository", required=required, default="", metavar="URL", help="of restic")
    add("--region", default="", help="of an S3 bucket")
    add("--credentials", type=Path, default=Path(CREDENTIALS_DIR), metavar="DIR",
        help="files with the destination's credentials, as its Secret has them")  # fmt: skip
    add("--password-file", type=Path, default=Path(PASSWORD_DIR, PASSWORD_KEY), metavar="FILE",
        help="with the repository's password")  # fmt: skip
    add("--cache", type=Path, default=Path("/tmp/restic"), metavar="DIR",  # noqa: S108 -- the pod's own
        help="of restic")  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> int:
    """Does it, and says how that ended: to stdout, and where a pod leaves its last words."""
    if args.verb == "prune" and args.dry_run:
        return _show(args, console)
    if args.verb in ("pack", "inspect"):
        return _volume(args, console)
    outcome = _VERBS[args.verb](args, console)
    tell(outcome, console)
    return 1 if outcome.result == "Failed" else 0


def order_of(args: argparse.Namespace, run: str) -> Order:
    """Of which store, by the run of this name."""
    return Order(args.kind, args.namespace, args.policy, args.service, run)


def restic_of(args: argparse.Namespace) -> Restic:
    """The repository that the options name; its secrets are read when they are needed."""
    from readiness.engines.restic import Restic

    repository, credentials = Repository(args.repository, args.region), str(args.credentials.absolute())  # fmt: skip

    def environment() -> dict[str, str]:
        files = args.credentials.iterdir() if args.credentials.is_dir() else ()
        secret = {path.name: path.read_text() for path in files if path.is_file()}
        return environment_of(repository, secret, credentials, str(args.password_file.absolute()))

    log = args.cache.absolute().with_suffix(".ssh")
    return Restic(environment, args.cache, options_of(repository, credentials, str(log)), log)


def _save(args: argparse.Namespace, console: Console) -> Outcome:
    from readiness.saving import save

    return save(order_of(args, args.run), args.directory, restic_of(args), _rim(console))


def _prune(args: argparse.Namespace, console: Console) -> Outcome:
    from readiness.pruning import prune

    return prune(_rules(args), restic_of(args), _rim(console))


def _volume(args: argparse.Namespace, console: Console) -> int:
    from readiness.engines.volume import VolumeError
    from readiness.packing import pack_volume, verify_volume

    try:
        if args.verb == "pack":
            pack_volume(args.source, args.directory, time.time, console.say)
        else:
            verify_volume(args.directory)
    except VolumeError as error:
        console.fail(f"readiness backup {args.verb}", str(error))
        with suppress(OSError):  # not in a pod
            TERMINATION.write_text(json.dumps({"reason": error.reason, "message": str(error)}))
        return 1
    return 0


def _list(args: argparse.Namespace, console: Console) -> Outcome:
    from readiness.listing import list_repository

    host = host_of(args.namespace, args.policy, args.service)
    return list_repository(host, args.run, restic_of(args), _rim(console))


_VERBS: Final = {"run": _save, "prune": _prune, "list": _list}


def _show(args: argparse.Namespace, console: Console) -> int:
    from readiness.engines.restic import ResticError
    from readiness.pruning import describe, plan_of

    try:
        console.write(describe(plan_of(_rules(args), restic_of(args), _rim(console))))
    except ResticError as error:
        raise UsageError(str(error)) from None
    return 0


def _rules(args: argparse.Namespace) -> Pruning:
    from readiness.backups.retention import Rules
    from readiness.pruning import Pruning

    rules = Rules(args.daily, args.monthly, args.keep_last)
    return Pruning(host_of(args.namespace, args.policy, args.service), args.run, rules)


def _rim(console: Console) -> Rim:
    """From here on a request to stop ends what is under way, and is told."""
    from readiness.engines.repository import Rim
    from readiness.engines.restic import StoppedError

    def stop(*_: object) -> None:
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    return Rim(time.time, time.sleep, console.say)


def tell(outcome: Outcome, console: Console) -> None:
    """How it ended: on stdout, and where a pod leaves its last words."""
    from readiness.backups.codec import dump_outcome

    text = dump_outcome(outcome)
    console.write(f"{text}\n")
    with suppress(OSError):  # not in a pod
        TERMINATION.write_text(text, encoding="utf-8")

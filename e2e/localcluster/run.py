"""Processes: commands that end, and recorded daemons that can be found again after a crash.

A daemon writes its own record (boot id and /proc/PID/stat) before it becomes the program, so there is
no moment in which it runs unrecorded, and a reused process id is never mistaken for it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster.progress import ClusterError, wait_until

RECORD_AND_EXEC: Final = (
    "read -r boot < /proc/sys/kernel/random/boot_id; read -r stat < /proc/$$/stat; "
    'printf "%s\\n%s\\n" "$boot" "$stat" > "$0.partial" && mv "$0.partial" "$0" && exec "$@"'
)


def run(*argv: str | Path, stdin: str | None = None, check: bool = True) -> str:
    """Run a command to its end and return its stdout; a non-zero exit is a `ClusterError` with its stderr."""
    command = [str(arg) for arg in argv]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not installed") from error
    if check and done.returncode:
        raise ClusterError(
            f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def succeeds(*argv: str | Path) -> bool:
    """Whether the command exits with 0; its output is of no interest."""
    return (
        subprocess.run([str(arg) for arg in argv], capture_output=True, check=False).returncode == 0
    )


def spawn(
    record: Path,
    log: Path,
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cgroups: Iterable[Path] = (),
) -> None:
    """Start a recorded daemon in a session of its own, unless the recorded one still runs."""
    if recorded_pid(record):
        return
    record.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    join = "".join(f"echo $$ > '{cgroup}/cgroup.procs' && " for cgroup in cgroups)
    daemon = ["/bin/sh", "-c", join + RECORD_AND_EXEC, str(record), *(str(arg) for arg in argv)]
    record.unlink(missing_ok=True)
    with log.open("ab") as output:
        subprocess.run(  # the outer shell ends at once, so the daemon is nobody's child
            ["/bin/sh", "-c", '"$@" </dev/null &', "sh", *daemon],
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=True,
            env={**os.environ, **(env or {})},
        )
    wait_until(f"{record.name} to start (see {log})", record.exists, seconds=10, every=0.005)


def started_at(pid: int) -> str | None:
    """Start time of a live process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def recorded_pid(record: Path) -> int | None:
    """The process id in the record, if that very process still runs."""
    try:
        boot, stat = record.read_text().splitlines()
    except (FileNotFoundError, ValueError):
        return None
    if boot != Path("/proc/sys/kernel/random/boot_id").read_text().strip():
        return None
    pid, start = int(stat.split()[0]), stat.rpartition(")")[2].split()[19]
    return pid if started_at(pid) == start else None


def send(pid: int, signum: int) -> None:
    """Signal a process that may have ended meanwhile, by descriptor so that no successor is hit."""
    start = started_at(pid)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start and started_at(pid) == start:
            signal.pidfd_send_signal(handle, signum)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def end(records: Iterable[Path], *, grace: float = 5.0) -> None:
    """End recorded daemons together: SIGTERM, then SIGKILL after the grace; forget their records."""
    found = list(records)
    for signum, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if signum == signal.SIGTERM and not grace:
            continue
        for pid in filter(None, map(recorded_pid, found)):
            send(pid, signum)
        deadline = time.monotonic() + patience
        while any(map(recorded_pid, found)) and time.monotonic() < deadline:
            time.sleep(0.02)
    for record in found:
        if recorded_pid(record):
            raise ClusterError(f"process {recorded_pid(record)} of {record} does not end")
        record.unlink(missing_ok=True)

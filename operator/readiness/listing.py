"""The process of a Job that asks a repository what it holds, and tells: the operator itself has no credentials for it.

The composition root of `readiness backup list`. It writes nothing, not even a lock.
"""

from __future__ import annotations

from dataclasses import replace

from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.engines.repository import Rim, list_snapshots
from readiness.engines.restic import Restic, ResticError


def list_repository(host: str, run: str, restic: Restic, rim: Rim) -> Outcome:
    """The complete snapshots of a host. No repository yet holds none."""
    began = rim.clock()
    told = Outcome(run, Task.LISTING, Result.SUCCEEDED, Reason.LISTED, "", 0)
    try:
        found = list_snapshots(restic, host) if restic.exists() else ()
        times = tuple(each.at for each in found if each.complete)
        told = replace(told, message=f"{len(times)} complete snapshots", snapshots=times)
    except ResticError as error:
        told = replace(told, result=Result.FAILED, reason=error.reason, message=str(error))
    return replace(told, ended=int(rim.clock()), seconds=round(rim.clock() - began, 1))

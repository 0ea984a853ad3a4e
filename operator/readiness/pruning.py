"""The process of retention's Job: lists, plans, deletes what the plan says and nothing else, and says how that ended.

The composition root of `readiness backup prune`, and the only one that deletes snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from readiness.backups.census import census_of
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.backups.retention import Plan, Rules, plan_retention
from readiness.backups.snapshots import Snapshot
from readiness.engines.repository import Rim, forget, list_snapshots, patiently
from readiness.engines.restic import Restic, ResticError


@dataclass(frozen=True, slots=True)
class Pruning:
    """The snapshots of which host are kept by what rules, by the run of this name."""

    host: str
    run: str
    rules: Rules


def prune(order: Pruning, restic: Restic, rim: Rim) -> Outcome:
    """Deletes, and tells how that ended, whatever came."""
    began = rim.clock()
    plain = Outcome(order.run, Task.RETENTION, Result.FAILED, Reason.RESTIC, "", 0)
    try:
        told = _prune(order, restic, rim, plain)
    except ResticError as error:
        told = replace(plain, reason=error.reason, message=str(error))
    return replace(told, ended=int(rim.clock()), seconds=round(rim.clock() - began, 1))


def plan_of(order: Pruning, restic: Restic, rim: Rim) -> Plan:
    """What would be done now. Raises ResticError."""
    return plan_retention(_listed(order, restic), order.rules, rim.clock())


def describe(plan: Plan) -> str:
    """A line per snapshot, the newest first."""
    rows = (f"{'keep  ' if v.keep else 'delete'} {v.snapshot.id[:8]} {v.snapshot.backup_set}  {v.why}\n" for v in plan.verdicts)  # fmt: skip
    return "".join(rows) + (f"held back: {plan.held}\n" if plan.held else "")


def _listed(order: Pruning, restic: Restic) -> tuple[Snapshot, ...]:
    return list_snapshots(restic, order.host) if restic.exists() else ()


def _prune(order: Pruning, restic: Restic, rim: Rim, plain: Outcome) -> Outcome:
    plan = plan_of(order, restic, rim)
    rim.say(describe(plan).rstrip("\n"))
    if plan.leaving:
        restic.call("unlock")
        patiently(restic, rim, lambda: forget(restic, [each.id for each in plan.leaving]))
    done = f"{len(plan.leaving)} of {len(plan.verdicts)} snapshots deleted"
    # what is told was seen, not planned
    left = _listed(order, restic) if plan.leaving else tuple(v.snapshot for v in plan.verdicts)
    reason = Reason.HELD if plan.held else Reason.PRUNED if plan.leaving else Reason.KEPT
    message = f"{done}; {plan.held}" if plan.held else done
    return replace(
        plain,
        result=Result.SUCCEEDED,
        reason=reason,
        message=message,
        snapshots=tuple(each.at for each in left if each.complete),
        census=census_of(left, order.rules, rim.clock()),
    )

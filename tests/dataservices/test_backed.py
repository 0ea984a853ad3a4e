"""What the pods of backups say, what is kept of it, and when backups are called healthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from readiness import naming
from readiness.api import read_policy
from readiness.backups.census import Census
from readiness.backups.codec import dump_outcome
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.dataservices.backed import backup_row, backups_of, ended_of, rows_of
from readiness.model import Manifest

RUN = "checkout-cache-9cd7d755-backup-29385253"
FIRST, SECOND = "2026-11-20T02:13:20Z", "2026-11-21T02:13:20Z"


def stamp(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


SAVED = Outcome(
    RUN, Task.BACKUP, Result.SUCCEEDED, Reason.SAVED, "saved 50 bytes of cache", stamp(FIRST),
    backup_set="20261120T0213Z", snapshot="0123456789abcdef", size=50, snapshots=(stamp(FIRST) - 5, 2, 1),
)  # fmt: skip
FAILED = replace(SAVED, result=Result.FAILED, reason=Reason.DENIED, message="no right", ended=stamp(SECOND))  # fmt: skip
LISTED = {"listed": FIRST, "newest": "2026-11-20T02:13:15Z"}
ROW = LISTED | {"firstSuccess": FIRST, "lastSuccess": FIRST, "backupSet": "20261120T0213Z", "snapshot": "01234567", "size": 50, "snapshots": 3}  # fmt: skip
DENIED = {"lastFailure": SECOND, "reason": "Denied", "message": "no right"}


def container(name: str, code: int | None, message: str = "", at: str = FIRST, reason: str = "Error") -> Manifest:  # fmt: skip
    ended = {"exitCode": code, "message": message, "finishedAt": at, "reason": reason}
    return {"name": name, "state": {"running": {}} if code is None else {"terminated": ended}}


def pod(*inits: Manifest, save: Manifest | None = None, job: str = RUN, part: str = naming.BACKUP) -> Manifest:  # fmt: skip
    return {
        "metadata": {"name": f"{job}-x7k2p", "labels": {naming.PART_LABEL: part}, "ownerReferences": [{"kind": "Job", "name": job}]},
        "status": {"initContainerStatuses": list(inits), "containerStatuses": [save] if save else []},
    }  # fmt: skip


def saving(outcome: Outcome, code: int = 0, **given: Any) -> Manifest:
    return pod(container("dump", 0), container("verify", 0), save=container("save", code, dump_outcome(outcome)), **given)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([saving(SAVED)], ROW),
        ([saving(SAVED), saving(FAILED, 1)], ROW | DENIED),
        ([saving(FAILED, 1), saving(SAVED)], ROW | DENIED),
        ([saving(replace(FAILED, ended=stamp(FIRST) - 9), 1), saving(SAVED)], ROW | {"lastFailure": "2026-11-20T02:13:11Z"}),
        ([saving(replace(SAVED, result=Result.LEFT, reason=Reason.ALREADY_SAVED))], LISTED),
        ([saving(replace(SAVED, reason=Reason.SUSPICIOUS, message="half"))], LISTED | {"lastFailure": FIRST, "reason": "Suspicious", "message": "half"}),
        ([saving(SAVED, job="another")], {}),
        ([saving(SAVED, part=naming.RETENTION)], {}),
        ([pod(container("dump", 0), container("verify", None))], {}),
        ([pod(container("dump", 1, '{"reason":"NoMember","message":"nobody\\nanswers"}'))],
         {"lastFailure": FIRST, "reason": "NoMember", "message": "nobody answers"}),
        ([pod(container("dump", 137, "", FIRST, "OOMKilled"))],
         {"lastFailure": FIRST, "reason": "RunFailed", "message": "its container dump ended with 137 (OOMKilled); see its log"}),
        ([pod(container("dump", 0), container("verify", 1, '{"reason": "rm -rf /", "message": ""}'))],
         {"lastFailure": FIRST, "reason": "RunFailed", "message": "its container verify ended with 1 (Error); see its log"}),
        ([pod(container("dump", 0), save=container("save", 1, "Traceback"))],
         {"lastFailure": FIRST, "reason": "RunFailed", "message": "its container save ended with 1 (Error); see its log"}),
        ([pod(container("dump", 0), save=container("save", 0, "all is well"))], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_a_row_is_what_runs_said(found: list[Manifest], expected: Manifest):
    assert backup_row({}, found) == expected


def test_a_row_outlives_its_pods_and_nothing_old_changes_it():
    row = backup_row({}, [saving(SAVED), saving(FAILED, 1)])

    assert backup_row(row, []) == row
    assert backup_row(row, [saving(SAVED), saving(FAILED, 1)]) == row
    healed = backup_row(row, [saving(replace(SAVED, ended=stamp(SECOND) + 600))])
    assert "reason" not in healed
    assert healed["firstSuccess"] == FIRST
    assert healed["lastSuccess"] == "2026-11-21T02:23:20Z"


def test_a_secret_that_is_not_there_is_named_before_anything_else():
    spec = read_policy({"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS})

    assert backups_of(spec, [{"name": "cache", "backup": ROW | DENIED}], NOW, ["Secret p, which …"]) == ("False", "SecretNotFound", "Secret p, which …")  # fmt: skip


def test_no_pod_but_a_backups_ended():
    assert ended_of({"metadata": {"name": "a"}}) is None


BACKUPS = {"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}
NOW = stamp(SECOND)


@pytest.mark.parametrize(
    ("backups", "row", "now", "expected"),
    [
        (None, ROW, NOW, ("Unknown", "NothingDeclared")),
        (BACKUPS, {}, NOW, ("Unknown", "NoBackupYet")),
        (BACKUPS, ROW, NOW, ("True", "BackedUp")),
        (BACKUPS, ROW, stamp(FIRST) + 26 * 3600 + 1, ("False", "Overdue")),
        (BACKUPS, ROW | DENIED, NOW, ("False", "Denied")),
        (BACKUPS, DENIED, NOW, ("False", "Denied")),
    ],
)
def test_backups_are_healthy_when_the_last_run_succeeded_and_was_yesterday(
    backups: Manifest | None, row: Manifest, now: int, expected: tuple[str, str]
):
    spec = {"dataServices": [{"name": "cache", "redis": {}}, {"name": "scratch", "redis": {}, "backup": {"enabled": False}}]}  # fmt: skip
    if backups is None:
        spec["dataServices"][1].pop("backup")
    parsed = read_policy(spec | ({"backups": backups} if backups else {}))
    rows = [{"name": "cache", "backup": row}, {"name": "scratch"}]

    assert backups_of(parsed, rows, now)[:2] == expected


def test_what_no_backup_holds_is_said():
    spec = read_policy({"dataServices": [{"name": "jobs", "rabbitmq": {}}], "backups": BACKUPS})
    rows = [{"name": "jobs", "backup": ROW | {"leavesOut": "messages, which nobody saves"}}]

    assert backups_of(spec, rows, NOW)[2] == "saved within 26 h: jobs (without messages, which nobody saves)"  # fmt: skip


DRILL = "checkout-cache-9cd7d755-restore-drill-29385253"
DRILLED = Outcome(DRILL, Task.RESTORE_DRILL, Result.SUCCEEDED, Reason.RESTORED, "all", stamp(FIRST), snapshot="0123456789abcdef", rto=11.6)  # fmt: skip
LOST = replace(DRILLED, result=Result.FAILED, reason=Reason.DIFFERS, message="db0: less", ended=stamp(SECOND))  # fmt: skip
RESTORED = {"lastSuccess": FIRST, "snapshot": "01234567", "rtoSeconds": 12}


def drilling(outcome: Outcome, job: str = DRILL) -> Manifest:
    server = container("server", 137, "", FIRST, "Error")  # it is killed when the drill has ended
    return pod(server, save=container("drill", int(outcome.result is Result.FAILED), dump_outcome(outcome)), job=job, part=naming.RESTORE_DRILL)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "found", "expected"),
    [
        ({}, [drilling(DRILLED)], RESTORED),
        ({}, [drilling(DRILLED, job="another")], {}),
        ({}, [drilling(LOST)], {"lastFailure": SECOND, "reason": "RestoredDiffers", "message": "db0: less"}),
        ({}, [drilling(LOST), drilling(DRILLED)], RESTORED | {"lastFailure": SECOND, "reason": "RestoredDiffers", "message": "db0: less"}),
        (RESTORED, [drilling(DRILLED)], RESTORED),
        (RESTORED, [drilling(replace(DRILLED, ended=stamp(SECOND), rto=20))],
         {"lastSuccess": SECOND, "snapshot": "01234567", "rtoSeconds": 20, "previousRtoSeconds": 12}),
    ],
)  # fmt: skip
def test_what_drills_said_is_kept(old: Manifest, found: list[Manifest], expected: Manifest):
    row = backup_row({"restoreDrill": old} if old else {}, found)

    assert row == ({"restoreDrill": expected} if expected else {})


@pytest.mark.parametrize(
    ("drill", "after", "expected"),
    [
        ({}, 3600, ("True", "BackedUp")),
        (RESTORED, 3600, ("True", "BackedUp")),
        (RESTORED | {"lastSuccess": "2026-11-12T03:13:20Z"}, 3600, ("True", "BackedUp")),
        (RESTORED | {"lastSuccess": "2026-11-12T03:13:20Z"}, 4000, ("False", "RestoreOverdue")),
        (RESTORED | {"reason": "RestoredDiffers", "message": "db0: less"}, 3600, ("False", "RestoreFailed")),
    ],
)  # fmt: skip
def test_backups_that_cannot_be_restored_are_not_healthy(
    drill: Manifest, after: float, expected: tuple[str, str]
):
    spec = read_policy(
        {"dataServices": [{"name": "cache", "redis": {}}],
         "backups": {"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}}
    )  # fmt: skip
    rows = [{"name": "cache", "backup": ROW | ({"restoreDrill": drill} if drill else {})}]

    assert backups_of(spec, rows, stamp(FIRST) + after)[:2] == expected


PRUNE = "checkout-cache-9cd7d755-retention-29385433"
COUNTED = Outcome(PRUNE, Task.RETENTION, Result.SUCCEEDED, Reason.KEPT, "0 of 30", stamp(FIRST), census=Census(30, 2, 0, stamp(FIRST) - 9))  # fmt: skip
REFUSED = replace(COUNTED, result=Result.FAILED, reason=Reason.DENIED, message="no right", census=None, ended=stamp(SECOND))  # fmt: skip
KEPT = {"lastSuccess": FIRST, "days": 30, "months": 2, "surplus": 0, "oldest": "2026-11-20T02:13:11Z"}  # fmt: skip


def pruning(outcome: Outcome, job: str = PRUNE) -> Manifest:
    return pod(save=container("prune", 0, dump_outcome(outcome)), job=job, part=naming.RETENTION)


@pytest.mark.parametrize(
    ("old", "found", "expected"),
    [
        ({}, [pruning(COUNTED)], KEPT),
        ({}, [pruning(COUNTED, job="another")], {}),
        ({}, [pruning(replace(COUNTED, census=None))], {}),
        ({}, [pruning(replace(COUNTED, census=Census(0, 0, 0, 0)))], {"lastSuccess": FIRST, "days": 0, "months": 0, "surplus": 0}),
        ({}, [pruning(COUNTED), pruning(REFUSED)], KEPT | DENIED),
        (KEPT | DENIED, [pruning(replace(COUNTED, ended=stamp(SECOND) + 9))], KEPT | {"lastSuccess": "2026-11-21T02:13:29Z", "lastFailure": SECOND}),
        (KEPT | {"lastSuccess": SECOND}, [pruning(COUNTED)], KEPT | {"lastSuccess": SECOND}),
    ],
)  # fmt: skip
def test_what_retention_counted_is_kept(old: Manifest, found: list[Manifest], expected: Manifest):
    row = backup_row({"retention": old} if old else {}, found)

    assert row.get("retention", {}) == expected


def test_a_retention_that_is_refused_is_no_health():
    spec = read_policy({"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS})
    row = {"name": "cache", "backup": ROW | {"retention": KEPT | DENIED}}

    assert backups_of(spec, [row], NOW) == ("False", "RetentionFailed", "cache: its retention: Denied: no right")  # fmt: skip


def test_rows_are_those_of_the_status_and_of_what_has_just_ended():
    policy = {"status": {"dataServices": [{"name": "cache", "backup": ROW}, {"name": "jobs"}]}}

    assert rows_of(policy, {"cache": [saving(FAILED, 1)], "new": [saving(SAVED)]}) == {"cache": ROW | DENIED, "jobs": {}, "new": ROW}  # fmt: skip
    assert rows_of({}, {}) == {}


@pytest.mark.parametrize(("first", "status"), [("2026-11-13T02:13:20Z", "True"), ("2026-11-13T02:13:19Z", "False")])  # fmt: skip
def test_backups_that_nobody_has_restored_in_eight_days_are_not_healthy(first: str, status: str):
    spec = read_policy({"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS})
    row = {"name": "cache", "backup": ROW | {"firstSuccess": first, "lastSuccess": SECOND}}

    assert backups_of(spec, [row], NOW)[0] == status


@pytest.mark.parametrize(("reason", "held"), [(Reason.HELD, True), (Reason.PRUNED, False)])
def test_that_retention_is_held_back_is_kept(reason: Reason, held: bool):
    kept = replace(SAVED, task=Task.RETENTION, reason=reason)
    ended = pod(save=container("prune", 0, dump_outcome(kept)), part=naming.RETENTION)

    assert backup_row({"retentionHeld": not held}, [ended]) == LISTED | {"retentionHeld": held}

"""Schedules that were missed, from the CronJob and the status of a service to the Job that makes up for one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from test_backed import container, saving
from test_saving import BACKUPS, FRAME, NAME, children

from readiness import naming
from readiness.api import read_policy
from readiness.backups.codec import dump_outcome
from readiness.backups.outcome import Outcome, Reason, Result, Task
from readiness.dataservices.backed import backup_row
from readiness.dataservices.catchup import caught_up
from readiness.dataservices.provision import Act, Provision, Service, Write
from readiness.dataservices.wish import Wish
from readiness.model import Manifest
from readiness.snapshot import Obstacle, Snapshot

CRON = f"{NAME}-backup"
MINUTE = int(children()[f"CronJob/{CRON}"]["spec"]["schedule"].split()[0])
DUE = datetime.fromisoformat(f"2026-11-21T02:{MINUTE:02}:00Z").timestamp()
NOW = DUE + 3600
SERVICE = Service("cache", "redis", members=((f"{NAME}-0", True), (f"{NAME}-1", False)))
STALE = {"lastSuccess": "2026-11-20T02:50:00Z", "listed": "2026-11-20T05:10:00Z", "newest": "2026-11-20T02:50:00Z"}  # fmt: skip
ASKED = STALE | {"listed": "2026-11-21T04:00:00Z"}


def cron_job(**spec: Any) -> Manifest:
    found = children()[f"CronJob/{CRON}"]
    meta = {**found["metadata"], "uid": "u-7", "creationTimestamp": "2026-11-01T00:00:00Z"}
    return found | {"metadata": meta, "spec": found["spec"] | spec}


def made_up_for(row: Manifest, now: float = NOW, *runs: Manifest, service: Service = SERVICE, cron: Manifest | None = None, **spec: Any) -> Provision:  # fmt: skip
    declared = {"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS} | spec
    status = {"dataServices": [{"name": "cache", "backup": row}]}
    meta = {"name": "checkout", "namespace": "shop", "uid": "u"}
    wish = Wish({"metadata": meta, "spec": declared, "status": status}, read_policy(declared), now, "t")  # fmt: skip
    found = cron_job() if cron is None else cron
    seen = replace(FRAME, children={("CronJob", CRON): found} if found else {}, runs={"cache": runs})  # fmt: skip
    return caught_up(wish, Snapshot("shop", provided=seen), Provision((service,)), {})


def only(found: Provision) -> Write:
    (write,) = found.writes
    assert write.act is Act.START
    return write


def test_the_repository_is_asked_before_anything_is_dumped():
    found = made_up_for(STALE)
    job = only(found).child
    pod = job["spec"]["template"]["spec"]

    assert (job["kind"], job["metadata"]["namespace"]) == ("Job", "shop")
    assert job["metadata"]["name"] == f"{NAME}-listing-{int(NOW) // 60}"
    assert job["metadata"]["labels"][naming.PART_LABEL] == naming.LISTING
    assert [c["args"][:2] for c in pod["containers"]] == [["backup", "list"]]
    assert "initContainers" not in pod
    assert "passwords" not in {each["name"] for each in pod["volumes"]}
    assert only(found).does == "", "nobody is told before it is known"


def test_then_the_cron_jobs_own_job_is_started_and_told_of():
    found = made_up_for(ASKED)
    job = only(found).child

    assert job["metadata"]["name"] == f"{CRON}-{int(NOW) // 60}"
    assert job["metadata"]["ownerReferences"] == [{"apiVersion": "batch/v1", "kind": "CronJob", "name": CRON, "uid": "u-7"}]  # fmt: skip
    assert job["spec"] == cron_job()["spec"]["jobTemplate"]["spec"]
    assert f"nothing of 2026-11-21 02:{MINUTE:02} UTC" in only(found).does
    assert job["metadata"]["name"] in only(found).does


@pytest.mark.parametrize(
    ("why", "given"),
    [
        ("somebody suspended it", {"cron": cron_job(suspend=True)}),
        ("there is none yet", {"cron": {}}),
        ("backups are switched off", {"dataServices": [{"name": "cache", "redis": {}, "backup": {"enabled": False}}]}),
        ("nobody could be dumped", {"service": replace(SERVICE, members=((f"{NAME}-0", False),))}),
        ("the service is not built", {"service": replace(SERVICE, obstacles=(Obstacle("NoImage", "m", "f"),))}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_nothing_is_started_while(why: str, given: Any):
    assert made_up_for(ASKED, NOW, **given).writes == (), why


def told(task: Task, at: float, *snapshots: int, **given: Any) -> Outcome:
    return Outcome("run-1", task, Result.SUCCEEDED, Reason.LISTED, "", int(at), snapshots=snapshots, **given)  # fmt: skip


def listing(outcome: Outcome, at: float, phase: str = "Succeeded") -> Manifest:
    run = f"{NAME}-listing-{int(at) // 60}"
    ended = container("list", 0, dump_outcome(replace(outcome, run=run)))
    labels = {naming.PART_LABEL: naming.LISTING}
    return {
        "metadata": {"name": f"{run}-x", "labels": labels, "ownerReferences": [{"kind": "Job", "name": run}]},
        "status": {"phase": phase, "containerStatuses": [ended] if phase != "Running" else []},
    }  # fmt: skip


def after(row: Manifest, found: Provision, *runs: Manifest) -> Manifest:
    return backup_row(row, runs, found.services[0].missed)


def test_from_the_question_to_the_answer_to_the_dump():
    """Passes as they come; each starts from the status that the one before has written."""
    row = after(STALE, made_up_for(STALE))
    assert row == STALE | {"catchUp": {"at": stamp(NOW), "step": "listing"}}

    again = made_up_for(row, NOW + 20)
    assert only(again).child["metadata"]["name"] == f"{NAME}-listing-{int(NOW) // 60}", "not seen yet: the same"  # fmt: skip
    running = listing(told(Task.LISTING, NOW), NOW, "Running")
    row = after(row, made_up_for(row, NOW + 40, running), running)
    assert made_up_for(row, NOW + 41, running).writes == ()

    answer = listing(told(Task.LISTING, NOW + 50, int(DUE) - 86000), NOW)
    row = after(row, starts := made_up_for(row, NOW + 60, answer), answer)
    assert only(starts).child["metadata"]["name"] == f"{CRON}-{int(NOW + 60) // 60}"
    assert (row["missed"], row["listed"], row["catchUp"]) == (stamp(DUE), stamp(NOW + 50), {"at": stamp(NOW + 60), "step": "backup"})  # fmt: skip

    saved = saving(told(Task.BACKUP, NOW + 90, int(NOW + 80), snapshot="0123456789"), job="run-1")
    row = after(row, made_up_for(row, NOW + 100, answer, saved), answer, saved)
    assert "missed" not in row
    assert (row["lastSuccess"], row["newest"]) == (stamp(NOW + 90), stamp(NOW + 80))
    assert made_up_for(row, NOW + 7 * 3600).writes == ()


def test_a_repository_that_has_it_needs_nothing():
    answer = listing(told(Task.LISTING, NOW + 50, int(DUE) + 40), NOW)
    found = made_up_for(STALE | {"catchUp": {"at": stamp(NOW), "step": "listing"}}, NOW + 60, answer)  # fmt: skip

    assert (found.writes, found.services[0].missed) == ((), None)


def test_a_repository_that_cannot_be_asked_is_named():
    denied = replace(told(Task.LISTING, NOW + 50), result=Result.FAILED, reason=Reason.DENIED, message="no right")  # fmt: skip
    row = backup_row(STALE, [listing(denied, NOW)])

    assert (row["reason"], row["message"], row["listed"]) == ("Denied", "no right", STALE["listed"])


def test_a_snapshot_from_the_future_is_no_snapshot_of_today():
    row = backup_row({}, [listing(told(Task.LISTING, NOW, int(NOW) + 9000, int(DUE) - 9), NOW)])

    assert row == {"listed": stamp(NOW), "newest": stamp(DUE - 9)}


def stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


DRILLS = f"{NAME}-restore-drill"
DRILL_DUE = datetime.fromisoformat(f"2026-11-15T04:{MINUTE:02}:00Z").timestamp()
SAVED = {"lastSuccess": "2026-11-21T02:50:00Z", "listed": "2026-11-21T05:10:00Z", "newest": "2026-11-21T02:50:00Z"}  # fmt: skip
FORMER = {"restoreDrill": {"lastSuccess": "2026-11-08T04:50:00Z"}}


def drilled_again(row: Manifest, *runs: Manifest, service: Service = SERVICE, **cron: Any) -> Provision:  # fmt: skip
    declared = {"dataServices": [{"name": "cache", "redis": {}}], "backups": BACKUPS}
    meta = {"name": "checkout", "namespace": "shop", "uid": "u"}
    status = {"dataServices": [{"name": "cache", "backup": row}]}
    wish = Wish({"metadata": meta, "spec": declared, "status": status}, read_policy(declared), NOW, "t")  # fmt: skip
    crons = {}
    for name in (CRON, DRILLS):
        found = children()[f"CronJob/{name}"]
        found["metadata"] |= {"uid": f"u-{name}", "creationTimestamp": "2026-11-01T00:00:00Z"}
        found["spec"] |= cron if name == DRILLS else {}
        crons["CronJob", name] = found
    seen = replace(FRAME, children=crons, runs={"cache": runs})
    return caught_up(wish, Snapshot("shop", provided=seen), Provision((service,)), {})


def test_a_drill_that_nobody_ran_is_the_cron_jobs_own_job_and_told_of():
    found = drilled_again(SAVED | FORMER)
    job = only(found).child
    row = backup_row(SAVED | FORMER, [], found.services[0].missed, found.services[0].undrilled)

    assert job["metadata"]["name"] == f"{DRILLS}-{int(NOW) // 60}"
    assert job["metadata"]["ownerReferences"][0]["name"] == DRILLS
    assert job["metadata"]["labels"][naming.PART_LABEL] == naming.RESTORE_DRILL
    assert job["spec"] == children()[f"CronJob/{DRILLS}"]["spec"]["jobTemplate"]["spec"]
    assert "missed" not in row
    assert row["restoreDrill"]["missed"] == datetime.fromtimestamp(DRILL_DUE, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # fmt: skip
    assert row["restoreDrill"]["catchUp"]["step"] == "restore-drill"
    assert drilled_again(row).writes == found.writes, "nobody has seen it yet: the same again"


def drilling(ended: bool) -> Manifest:
    meta = {"labels": {naming.PART_LABEL: naming.RESTORE_DRILL}, "ownerReferences": [{"kind": "Job", "name": "by-hand"}]}  # fmt: skip
    return {"metadata": meta, "status": {"phase": "Failed" if ended else "Running"}}


@pytest.mark.parametrize(
    ("row", "runs", "cron"),
    [
        (SAVED | {"restoreDrill": {"lastSuccess": "2026-11-15T04:50:00Z"}}, (), {}),
        (SAVED | {"restoreDrill": {"lastFailure": "2026-11-15T04:50:00Z"}}, (), {}),
        ({"listed": SAVED["listed"], "newest": SAVED["newest"]}, (), {}),
        (SAVED | FORMER, (drilling(ended=False),), {}),
        (SAVED | FORMER, (), {"suspend": True}),
    ],
    ids=["one passed", "one failed", "nothing is saved", "one runs", "somebody suspended it"],
)
def test_no_drill_is_started_where(row: Manifest, runs: tuple[Manifest, ...], cron: dict[str, Any]):
    assert drilled_again(row, *runs, **cron).writes == ()


def test_it_needs_no_member_that_is_ready():
    """A drill touches none."""
    found = drilled_again(SAVED | FORMER, service=Service("cache", "redis"))

    assert only(found).child["metadata"]["name"].startswith(DRILLS)

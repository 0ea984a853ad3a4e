"""When a failover drill may begin: consent, window, and everything well; each refusal has a word and a remedy of its own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from readiness import plan, rules
from readiness.api import read_policy
from readiness.dataservices.redis import REDIS
from readiness.dataservices.wish import Wish, children_of, order_of
from readiness.drills.outage import CALM, HANDOVER, KILLED, arms, longest
from readiness.failover import StoreSubject
from readiness.incidents import Alert, Incidents
from readiness.model import Finding, Manifest
from readiness.plan import Situation
from readiness.request import FailoverRequest, Trial, TrialAnswers
from readiness.snapshot import MemberSeen, Provided, Seen, Snapshot
from readiness.timeline import Ledger, Moment, Problem, Timeline

RULES = rules.load()
WINDOW = {"schedule": "0 3 * * 0", "duration": "1h", "timeZone": "Europe/Berlin"}
SUNDAY = datetime.fromisoformat("2026-11-22T03:00:00+01:00").timestamp()
SPEC: Manifest = {
    "profiles": [],
    "environment": "prod",
    "controls": [{"id": "HA-004"}],
    "dataServices": [
        {"name": "cache", "redis": {"image": "redis:8"}, "backup": {"enabled": False}}
    ],
    "safety": {"disruptive": {"controls": ["HA-004"], "window": WINDOW, "acknowledge": "prod"}},
}
META = {"name": "shop", "namespace": "ns", "uid": "u", "generation": 1}
POLICY = {"metadata": META, "spec": SPEC}
CREDENTIALS = {each.key: "x" for each in REDIS.credentials}
READY = [{"type": "Ready", "status": "True"}]


def _children() -> dict[tuple[str, str], Manifest]:
    spec = read_policy(SPEC)
    wish = Wish(POLICY, spec, SUNDAY, "t")
    known = Snapshot("ns", provided=Provided(credentials={"cache": CREDENTIALS}))
    order = order_of(wish, known, spec.data_services[0])
    found = {
        (c["kind"], c["metadata"]["name"]): deepcopy(c) for c in children_of(wish, REDIS, order)
    }
    for (kind, _), child in found.items():
        if kind == "StatefulSet":
            child["metadata"]["generation"] = 1
            ready = dict.fromkeys(("readyReplicas", "availableReplicas"), child["spec"]["replicas"])
            child["status"] = {"observedGeneration": 1, "updateRevision": "r1", **ready}
    return found


CHILDREN = _children()
PODS = tuple(
    {
        "metadata": {
            "name": f"{name}-{number}", "uid": f"{name}-{number}", "ownerReferences": [{"name": name}],
            "labels": child["spec"]["template"]["metadata"]["labels"] | {"controller-revision-hash": "r1"},
        },
        "spec": {"nodeName": f"node-{number}"},
        "status": {"conditions": READY},
    }
    for (kind, name), child in CHILDREN.items() if kind == "StatefulSet"
    for number in range(child["spec"]["replicas"])
)  # fmt: skip
NAMES = [pod["metadata"]["name"] for pod in PODS]
WELL = Seen(NAMES[0], tuple(MemberSeen(name, "replica") for name in NAMES))
NODES = {f"node-{number}": {"metadata": {"name": f"node-{number}"}, "status": {"conditions": READY}} for number in range(3)}  # fmt: skip


API: Manifest = {
    "name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}, "uses": ["cache"],
    "service": {"name": "api", "port": 80}, "health": {"path": "/health", "deepPath": "/health?deep=true"},
}  # fmt: skip
SERVICE: Manifest = {"metadata": {"name": "api"}, "spec": {"clusterIP": "10.0.0.9", "ports": [{"name": "http", "port": 80}]}}  # fmt: skip


def situation(now: float = SUNDAY, seen: Seen | None = WELL, **world: Any) -> Situation:
    pods, runs = world.pop("pods", PODS), world.pop("runs", {})
    spec = {**SPEC, **world.pop("spec", {})}
    provided = Provided(children=CHILDREN, pods={"cache": pods}, seen={"cache": seen} if seen else {}, credentials={"cache": CREDENTIALS}, runs=runs)  # fmt: skip
    status = (
        {"dataServices": [{"name": "cache", "backup": world.pop("backup")}]}
        if "backup" in world
        else {}
    )
    snapshot = Snapshot(
        "ns", **({"nodes": NODES, "provided": provided, "services": {"api": SERVICE}} | world)
    )
    return Situation(
        {"metadata": META, "spec": spec, "status": status}, snapshot, {}, now, token="t"
    )


def asked(here: Situation) -> tuple[Trial, ...]:
    return plan.requests(RULES, here)


def finding(here: Situation, answers: plan.Answered | None = None) -> Finding:
    decided = plan.make(RULES, here, answers or {})
    (found,) = [each for each in decided.findings if each.id == "HA-004"]
    return found


def changed(**disruptive: Any) -> Manifest:
    return {"safety": {"disruptive": {**SPEC["safety"]["disruptive"], **disruptive}}}


def service(**backup: Any) -> Manifest:
    return {"dataServices": [{"name": "cache", "redis": {"image": "redis:8"}, **backup}]}


def test_in_its_window_every_arm_is_asked_for_in_order():
    (trial,) = asked(situation())
    subject = trial.requests[0].subject

    assert (trial.control, trial.target) == ("HA-004", "cache")
    assert [r.arm for r in trial.requests if isinstance(r, FailoverRequest)] == list(arms())
    assert isinstance(subject, StoreSubject)
    assert [host.partition(".")[0] for host in (*subject.hosts, *subject.sentinels)] == sorted(NAMES, key=lambda n: ("sentinel" in n, n))  # fmt: skip
    assert subject.hosts[0].endswith(".ns.svc")
    assert subject.group == f"ns-{subject.secret}"
    assert finding(situation()).verdict.reason == "NotYetObserved"


BACKUPS = {"backups": {"destination": {"s3": {"bucket": "backups", "endpoint": "https://s3.example.com", "secretRef": {"name": "s"}}}, "passwordSecretRef": {"name": "p"}, "schedule": "0 2 * * *"}}  # fmt: skip
SAVED: Manifest = {
    "lastSuccess": "2026-11-21T02:13:00Z",
    "restoreDrill": {"lastSuccess": "2026-11-15T04:13:00Z"},
}
"""26 h before the window closes, and within eight days of it."""
OVERDUE: Manifest = SAVED | {"lastSuccess": "2026-11-20T23:59:59Z"}
UNTRIED: Manifest = {"lastSuccess": SAVED["lastSuccess"]}
LATE: Manifest = SAVED | {"restoreDrill": {"lastSuccess": "2026-11-14T01:59:59Z"}}
BROKEN: Manifest = SAVED | {
    "restoreDrill": SAVED["restoreDrill"] | {"reason": "RestoredDiffers", "message": "db0: less"}
}
MIDWEEK = SUNDAY + 3 * 86400
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody names it": ({"spec": {"safety": {}}}, "OptInRequired"),
    "another control is named": ({"spec": changed(controls=["LIM-007"])}, "OptInRequired"),
    "acknowledged for another environment": ({"spec": {"environment": "staging"}}, "NotAcknowledged"),
    "a second before the window": ({"now": SUNDAY - 1}, "OutsideWindow"),
    "in the middle of the week": ({"now": MIDWEEK}, "OutsideWindow"),
    "when the window has closed": ({"now": SUNDAY + 3601}, "OutsideWindow"),
    "too late for it to be over in time": ({"now": SUNDAY + 3600 - longest() + 1}, "OutsideWindow"),
    "in winter, at the hour of summer": ({"now": SUNDAY - 3600}, "OutsideWindow"),
    "nothing is said of backups": ({"spec": service()}, "BackupUnproven"),
    "backups of which nobody has heard": ({"spec": service(backup={"enabled": True}) | BACKUPS}, "BackupUnproven"),
    "a backup that is too old": ({"spec": service() | BACKUPS, "backup": OVERDUE}, "BackupUnproven"),
    "backups that nothing has restored": ({"spec": service() | BACKUPS, "backup": UNTRIED}, "BackupUnproven"),
    "a restore long ago": ({"spec": service() | BACKUPS, "backup": LATE}, "BackupUnproven"),
    "a backup that cannot be restored": ({"spec": service() | BACKUPS, "backup": BROKEN}, "BackupUnproven"),
    "a backup from a time when there were some": ({"spec": service(), "backup": SAVED}, "BackupUnproven"),
    "others run it": ({"spec": {"dataServices": [{"name": "cache", "external": {"redis": {"hosts": ["redis"]}}}]}}, "NotOurs"),
    "never looked at": ({"seen": None}, "NotLookedAt"),
    "nothing built yet": ({"provided": Provided(seen={"cache": WELL})}, "NotLookedAt"),
    "a replica lags": ({"seen": replace(WELL, members=(MemberSeen(NAMES[0], "replica", ("Lagging",)),))}, "MemberUnwell"),
    "no primary": ({"seen": replace(WELL, reason="NoPrimary")}, "MemberUnwell"),
    "a queue hangs on a member": ({"seen": replace(WELL, members=(MemberSeen(NAMES[0], "", (), ("jobs",)),))}, "MemberUnwell"),
    "servers are being told something": ({"seen": replace(WELL, busy=True)}, "NotSettled"),
    "a pod on its way out": ({"pods": (PODS[0] | {"metadata": PODS[0]["metadata"] | {"deletionTimestamp": "now"}}, *PODS[1:])}, "NotSettled"),
    "a pod that is not Ready": ({"pods": (PODS[0] | {"status": {}}, *PODS[1:])}, "NotSettled"),
    "a pod of an earlier template": (
        {"pods": (PODS[0] | {"metadata": PODS[0]["metadata"] | {"labels": {"controller-revision-hash": "r0"}}}, *PODS[1:])},
        "RollInProgress",
    ),
    "a backup is being made": ({"runs": {"cache": ({"metadata": {"name": "b"}, "status": {"phase": "Running"}},)}}, "BackupUnderWay"),
    "a node that is not Ready": ({"nodes": NODES | {"node-1": {"status": {"conditions": []}}}}, "NodeNotReady"),
    "an alert fires": ({"incidents": Incidents(firing=(Alert("Down", "ns"),))}, "IncidentOngoing"),
    "nobody knows about alerts": ({"incidents": Incidents(problem="does not answer")}, "IncidentsUnseen"),
    "an application is not where it says": ({"spec": {"targets": [{**API, "service": {"name": "api", "port": 81}}]}}, "ApplicationUnseen"),
    "an application has no Service": ({"spec": {"targets": [API]}, "services": {}}, "ApplicationUnseen"),
    "the namespace denies drills": ({"namespace_labels": {"readiness.dev/deny": "drills"}}, "DrillsDenied"),
}  # fmt: skip


@pytest.mark.parametrize(("world", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_stands_in_its_way_is_said_and_nothing_is_asked(world: dict[str, Any], reason: str):
    here = situation(**world)
    verdict = finding(here).verdict

    assert asked(here) == ()
    assert (verdict.reason, bool(verdict.fix)) == (reason, True)


MISSING: dict[str, tuple[Manifest, str]] = {
    "a young backup": (OVERDUE, "the last success is of 2026-11-20T23:59:59Z, more than 26 h ago"),
    "a restore": (UNTRIED, "nothing has been restored yet"),
    "both": ({}, "nothing has been saved yet; nothing has been restored yet"),
    "one that passed": (BROKEN, "its restore drill: RestoredDiffers: db0: less"),
}


@pytest.mark.parametrize(("row", "words"), MISSING.values(), ids=MISSING)
def test_which_proof_of_a_backup_is_missing_is_said(row: Manifest, words: str):
    verdict = finding(situation(spec=service() | BACKUPS, backup=row)).verdict

    assert words in verdict.observed
    assert "kubectl create job" in verdict.fix


def test_a_young_backup_that_can_be_restored_lets_it_begin():
    assert len(asked(situation(spec=service() | BACKUPS, backup=SAVED))) == 1


@pytest.mark.parametrize(
    ("changed", "asked_at"),
    [
        ({}, ["/health?deep=true"]),
        ({"health": {"path": "/health"}, "http": {"public": ["/shop", "/"]}}, ["/shop"]),
        ({"health": {"path": "/health"}}, ["/health"]),
        ({"health": None}, []),
        ({"uses": []}, []),
        ({"service": None}, []),
    ],
)
def test_applications_that_use_it_are_asked_where_they_tell_most(changed: Manifest, asked_at: list[str]):  # fmt: skip
    target = {key: value for key, value in (API | changed).items() if value is not None}
    (trial,) = [t for t in asked(situation(spec={"targets": [target]})) if t.control == "HA-004"]
    subject = trial.requests[0].subject

    assert isinstance(subject, StoreSubject)
    assert [(each.name, each.address, each.port, each.path) for each in subject.applications] == [
        ("api", "10.0.0.9", 80, path) for path in asked_at
    ]


@pytest.mark.parametrize("at", [0, 1, 3600 - longest()])
def test_as_long_as_it_is_over_in_time(at: float):
    assert len(asked(situation(SUNDAY + at))) == 1


def test_what_it_does_itself_does_not_end_it():
    gone = {"pods": PODS[1:], "seen": replace(WELL, primary="", reason="NoPrimary", busy=True)}
    late = SUNDAY + 3500

    assert asked(situation(late, drilled=frozenset({"cache"}), **gone)) == asked(situation())
    assert asked(situation(late, **gone)) == ()


def test_the_window_wakes_the_policy():
    decided = plan.make(RULES, situation(SUNDAY - 600), {})

    assert decided.next_at <= SUNDAY


def answers(here: Situation, lost: int = 0, **problem: Problem) -> plan.Answered:
    ledger = Ledger(1.0, 60.0, 5000, gaps=((4.0, 6.0),), read=True)
    moments = tuple(Moment(at, name, pod) for at, name, pod in ((0.5, "whole", ""), (4.0, "ousted", NAMES[0]), (6.0, "primary", NAMES[1]), (40.0, "whole", "")))  # fmt: skip
    seen = {
        CALM: Timeline(CALM, ledger=replace(ledger, gaps=((1.0, 1.1),))),
        HANDOVER: Timeline(HANDOVER, ledger=ledger, moments=moments),
        KILLED: Timeline(KILLED, ledger=replace(ledger, lost=lost), moments=moments),
    }
    seen |= {arm: Timeline(arm, problem=each) for arm, each in problem.items()}
    (trial,) = asked(here)
    given = {r: seen[r.arm.name] for r in trial.requests if isinstance(r, FailoverRequest)}
    return {(trial.control, trial.target): TrialAnswers(trial, given, here.now)}


def test_one_drill_settles_it_and_is_not_repeated_until_it_is_old():
    here = situation()
    decided = plan.make(RULES, here, answers(here))
    (found,) = [each for each in decided.findings if each.id == "HA-004"]

    assert (found.result, found.verdict.reason) == ("Pass", "FailsOver")
    assert "killed: longest gap 2.0 s, 5000 acknowledged, 0 lost" in found.verdict.evidence
    later = replace(here, memory=decided.memory)
    assert asked(replace(later, now=SUNDAY + 7 * 86400)) == ()
    assert len(asked(replace(later, now=SUNDAY + 28 * 86400))) == 1


def test_what_it_measured_is_the_last_failover():
    here = situation()
    decided = plan.make(RULES, here, answers(here))
    (row,) = decided.status["dataServices"]

    assert row["lastFailover"] == {
        "at": "2026-11-22T02:00:00Z", "from": NAMES[0], "to": NAMES[1], "cause": "Drilled", "seconds": 2, "lost": 0,
    }  # fmt: skip


def test_another_primary_or_pod_makes_no_evidence_old():
    here = situation()
    decided = plan.make(RULES, here, answers(here))
    moved = situation(SUNDAY + 60, seen=replace(WELL, primary=NAMES[1]), pods=PODS[1:])

    assert finding(replace(moved, memory=decided.memory)).verdict.reason == "FailsOver"
    other = situation(MIDWEEK, spec={"dataServices": [{"name": "cache", "redis": {"image": "redis:9"}, "backup": {"enabled": False}}]})  # fmt: skip
    assert finding(replace(other, memory=decided.memory)).marks == ("PreviousRevision",)


def test_a_missing_right_is_answered_with_what_gives_it():
    here = situation()
    found = finding(here, answers(here, calm=Problem("NotPermitted", "cannot create jobs")))

    assert found.verdict.reason == "NotPermitted"
    assert "sed 's/your-namespace/ns/' manifests/disruptive/disruptive.yaml" in found.verdict.fix


def test_a_failure_is_one_at_once_and_is_not_tried_again_in_the_same_window():
    here = situation()
    decided = plan.make(RULES, here, answers(here, lost=2))
    (seen,) = [each for each in decided.findings if each.id == "HA-004"]

    assert (seen.result, seen.verdict.reason) == ("Fail", "FailoverLosesWrites")
    assert asked(replace(here, memory=decided.memory, now=SUNDAY + 1200)) == ()

"""Data services as subjects of findings: asked once, reported under their own names, never a workload's business."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from readiness import plan
from readiness.api.policy import PolicySpec
from readiness.api.profile import ProfileSpec
from readiness.control import Control, passed
from readiness.inspecting import ask_store, on_store
from readiness.inspection import StoreAnswer, StoreRequest, Told
from readiness.model import Safety, Severity
from readiness.request import TrialAnswers
from readiness.rules import Rules
from readiness.snapshot import Housed, MemberSeen, Provided, Seen, Snapshot
from readiness.stores import stores_of

NOW = 1_800_000_000.0
STORE = Control(
    id="HA-901", title="t", severity=Severity.P0, criterion="c", fix="f", safety=Safety.BENIGN, stores=("redis",),
    ask=ask_store, judge=on_store(lambda _subject, seen: passed("Fine", f"{len(seen.members)} members")), max_age=3600,
)  # fmt: skip
WORKLOAD = Control(
    id="CFG-901", title="t", severity=Severity.P0, criterion="c", fix="f", static=True,
    judge=lambda _subject, _answers: passed("Fine", "fine"),
)  # fmt: skip
POD = {"metadata": {"name": "cache-0", "uid": "u-0"}}
OURS = Provided(pods={"cache": (POD,)}, seen={"cache": Seen("cache-0", (MemberSeen("cache-0", "primary"),))})  # fmt: skip


SAVED = Control(
    id="BKP-901", title="t", severity=Severity.P0, criterion="c", fix="f", stores=("redis",), needs=("spec.backups",),
    judge=lambda subject, _answers: passed("Fine", str(subject.store and subject.store.backup)),
)  # fmt: skip


def rules(*ids: str) -> Rules:
    spec = ProfileSpec.model_validate({"controls": [{"id": id_} for id_ in ids or ("HA-901", "CFG-901")]})  # fmt: skip
    return Rules({c.id: c for c in (STORE, WORKLOAD, SAVED)}, {}, {"baseline": spec})


def situation(service=MappingProxyType({"redis": {}}), memory=None, now=NOW, status=None, **world):
    targets = [{"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}]
    spec = {"targets": targets, "dataServices": [{"name": "cache", **service}]}
    meta = {"name": "shop", "namespace": "ns", "uid": "u", "generation": 1}
    workload = {"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}  # fmt: skip
    snapshot = Snapshot("ns", workloads={"api": workload}, **({"provided": OURS} | world))
    policy = {"metadata": meta, "spec": spec} | ({"status": status} if status else {})
    return plan.Situation(policy, snapshot, memory or {}, now, token="t")


def answered(trials, *told: Told):
    found = StoreAnswer(told or (Told("cache-0", {"info": {}}),))
    return {(t.control, t.target): TrialAnswers(t, {t.requests[0]: found}, NOW) for t in trials}


def test_a_service_is_asked_and_a_workload_is_not():
    (trial,) = plan.requests(rules(), situation())

    assert (trial.control, trial.target) == ("HA-901", "cache")
    (request,) = trial.requests
    assert isinstance(request, StoreRequest)
    assert (request.hosts, request.own, request.login.key) == (("cache-0",), True, "admin")


TLS = {"tls": {"secretRef": {"name": "t"}}}
ELSEWHERE = {"hosts": ["mq.example.com"]}


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ({"rabbitmq": {}}, (5672, 15672)),
        ({"rabbitmq": TLS}, (5671, 15671)),
        ({"redis": TLS}, (6379, 15671)),
        ({"external": {"rabbitmq": ELSEWHERE}}, (5672, 15672)),
        ({"external": {"rabbitmq": ELSEWHERE | {"tls": True}}}, (5671, 15672)),
        ({"external": {"rabbitmq": ELSEWHERE | {"tls": True, "port": 5673}}}, (5673, 15672)),
    ],
)
def test_it_is_reached_where_it_listens(service, ports):
    spec = PolicySpec.model_validate({"targets": [], "dataServices": [{"name": "cache", **service}]})  # fmt: skip
    request = stores_of("shop", spec, Snapshot("ns", provided=OURS))["cache"].request

    assert (request.port, request.management) == ports


def test_each_finding_stands_where_it_belongs():
    here = situation()
    decided = plan.make(rules(), here, answered(plan.requests(rules(), here)))

    assert {(f.id, f.target) for f in decided.findings} == {("HA-901", "cache"), ("CFG-901", "api")}
    assert [row["name"] for row in decided.status["targets"]] == ["api", "cache"]
    reports = {r["report"]["target"]: r["report"] for r in decided.reports}
    assert reports["cache"]["workload"] == "DataService/cache"
    assert [row["id"] for row in reports["cache"]["results"]] == ["HA-901"]


def test_a_service_of_which_nothing_is_asked_has_no_report():
    decided = plan.make(rules("CFG-901"), situation(), {})

    assert [row["name"] for row in decided.status["targets"]] == ["api"]


def test_a_policy_of_data_services_alone_has_a_verdict():
    here = situation()
    here.policy["spec"]["targets"] = []
    decided = plan.make(rules(), here, answered(plan.requests(rules(), here)))

    compliant = next(c for c in decided.status["conditions"] if c["type"] == "Compliant")
    assert (compliant["status"], compliant["reason"]) == ("True", "AllControlsHold")


def test_one_without_pods_says_so_and_is_asked_when_they_come():
    empty = situation(provided=Provided())
    assert plan.requests(rules(), empty) == ()
    decided = plan.make(rules(), empty, {})
    assert {f.verdict.reason for f in decided.findings} == {"NotProvided", "Fine"}

    later = situation(memory=decided.memory, now=NOW + 1)
    assert [t.target for t in plan.requests(rules(), later)] == ["cache"]


def test_what_the_background_looks_see_asks_again_at_once():
    here = situation()
    first = plan.make(rules(), here, answered(plan.requests(rules(), here)))
    calm = situation(memory=first.memory, now=NOW + 60, status=first.status)
    assert plan.requests(rules(), calm) == ()

    moved = Provided(pods=OURS.pods, seen={"cache": Seen("cache-1", OURS.seen["cache"].members)})
    assert plan.requests(rules(), situation(memory=first.memory, now=NOW + 60, provided=moved))

    lagging = Provided(pods=OURS.pods, seen={"cache": Seen("cache-0", OURS.seen["cache"].members, lag=9)})  # fmt: skip
    assert plan.requests(rules(), situation(memory=first.memory, now=NOW + 60, provided=lagging)) == ()  # fmt: skip


def test_a_service_of_another_kind_is_none_of_its_business():
    assert plan.requests(rules(), situation({"rabbitmq": {}})) == ()


def test_pods_that_come_and_go_elsewhere_do_not_make_another_question():
    """An answer is taken only for a request that is still the same."""
    outside = {"external": {"redis": {"hosts": ["cache"], "sentinel": {}, "secretRef": {"name": "a"}}}}  # fmt: skip
    one, other = (
        plan.requests(rules(), situation(outside, pod_addresses={"10.0.0.1": name}))
        for name in ("a", "b")
    )
    assert one == other
    assert one[0].requests[0].sentinels == ("cache",)


def test_hosts_of_the_namespace_are_the_pods_behind_them():
    outside = {"external": {"redis": {"hosts": ["cache", "cache.example.org"]}}}
    housed = {"cache": Housed({"cache": ("r-0", "r-1")})}
    (trial,) = plan.requests(rules(), situation(outside, housed=housed))

    assert trial.requests[0].hosts == ("r-0", "r-1", "cache.example.org")


def test_namespaces_that_deny_probes_deny_these():
    assert plan.requests(rules(), situation(namespace_labels={"readiness.dev/deny": "probes"})) == ()  # fmt: skip


BACKUPS = {"destination": {"volume": {"claimName": "c"}}, "passwordSecretRef": {"name": "p"}}


def test_backups_that_are_not_declared_count_for_nothing_and_are_asked_for_once():
    decided = plan.make(rules("BKP-901"), situation(), {})

    assert [(f.verdict.reason, f.counts) for f in decided.findings] == [("NotDeclared", False)]
    (row,) = decided.status["undeclared"]
    assert (row["capability"], row["controls"]) == ("spec.backups", 1)
    assert row["fix"].startswith("declare spec.backups: {destination:")


def test_that_a_service_is_to_have_no_backups_is_declared_by_it():
    decided = plan.make(rules("BKP-901"), situation({"redis": {}, "backup": {"enabled": False}}), {})  # fmt: skip

    assert [f.verdict.reason for f in decided.findings] == ["Fine"]


def test_what_runs_of_backups_have_told_is_seen():
    here = situation(status={"dataServices": [{"name": "cache", "backup": {"size": 5}}]})
    here.policy["spec"]["backups"] = BACKUPS
    decided = plan.make(rules("BKP-901"), here, {})

    assert [f.verdict.message for f in decided.findings] == ["{'size': 5}"]

"""What is kept of real ends: of workloads that somebody targets, once, a few, and across a restart."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from cluster.test_store import policy, thing

from readiness import plan, rules
from readiness.cluster.project import KINDS
from readiness.cluster.record import KEPT, TIDY, Record
from readiness.cluster.store import Store
from readiness.recall import needs_recall
from readiness.snapshot import Snapshot
from readiness.terminations import Termination

EVENTS = yaml.safe_load((Path(__file__).parents[1] / "terminations.yaml").read_text())
POD = next(kind for kind in KINDS if kind.name == "Pod")


def told(record, store, events):
    for event in events:
        meta = event["metadata"]
        if event["event"] == "DELETED":
            changes = store.drop("Pod", meta["namespace"], meta["name"])
        else:
            changes = store.put(POD.project(event))
        record.saw(changes)


def moved(events, name, namespace="shop"):
    found = copy.deepcopy(events)
    for each in found:
        each["metadata"] |= {"name": f"api-9d857c745-{name}", "namespace": namespace}
        each["metadata"]["labels"]["pod-template-hash"] = "9d857c745"
        each["metadata"]["ownerReferences"][0]["name"] = "api-9d857c745"
    return found


@pytest.mark.parametrize(
    ("wanted", "kept"), [({("shop", "Deployment", "api")}, 1), ({("shop", "Deployment", "web")}, 0)]
)
def test_the_end_of_a_targeted_pod_is_kept_when_the_pod_is_gone(wanted, kept):
    record, store = Record(wanted.__contains__), Store()
    told(record, store, moved(EVENTS["waitress"], "a"))

    ends = record.terminations(policy("p")).get("t", ())
    assert [e.code for e in ends] == [137] * kept
    assert store.of("Pod", "shop") == {}


def test_an_end_that_a_list_shows_is_kept_too():
    record, store = Record(lambda _: True), Store()
    (shown,) = [e for e in moved(EVENTS["waitress"], "a") if e["status"]["phase"] == "Failed"][:1]
    record.saw(store.replace("Pod", "", [POD.project(shown)]))

    assert len(record.terminations(policy("p"))["t"]) == 1


def test_a_thousand_ends_keep_the_newest_few_of_each_container():
    record = Record(lambda _: True)
    for n in range(1000):
        ends = [Termination(f"p{n}", "h", n, n + 1, 30, 0, name) for name in ("app", "log")]
        record._add(("shop", "Deployment", "api"), ends)

    ends = record.terminations(policy("p"))["t"]
    assert len(ends) == 2 * KEPT
    assert min(e.finished for e in ends) == 1000 - KEPT + 1


def test_workloads_that_nobody_targets_any_more_are_forgotten():
    wanted = {("shop", "Deployment", f"a{n}") for n in range(TIDY)}
    record = Record(wanted.__contains__)
    for ref in sorted(wanted):
        record._add(ref, [Termination("p", "h", 0, 1, 30, 0)])
    wanted.clear()
    record._add(("shop", "Deployment", "api"), [Termination("p", "h", 0, 1, 30, 0)])

    assert len(record._ended) == 1


def test_a_restart_takes_it_back_from_the_report_and_counts_nothing_twice():
    before, after, store = Record(lambda _: True), Record(lambda _: True), Store()
    events = moved(EVENTS["waitress"], "a")
    told(before, store, events)
    told(before, store, moved(EVENTS["waitress"], "b"))
    evidence = "; ".join(map(str, before.terminations(policy("p"))["t"]))
    report = {
        "metadata": {"namespace": "shop"},
        "report": {
            "workload": "Deployment/api",
            "results": [{"id": "SHD-008"}, {"id": "SHD-001p", "evidence": evidence}],
        },
    }
    after.recall(report)
    told(after, store, events)  # still there when the new process lists
    after.recall(report)

    ends = after.terminations(policy("p"))["t"]
    assert sorted(e.pod for e in ends) == ["a", "b"]
    assert all(e.killed for e in ends)


def test_the_evidence_of_a_report_holds_all_that_is_kept():
    ends = [Termination(f"x{n:04}", "9d857c7451", n, 30 + n, 30, 137, "app") for n in range(KEPT)]
    before, after = Record(lambda _: True), Record(lambda _: True)
    before._add(("shop", "Deployment", "api"), ends)
    target = {"name": "t", "workloadRef": {"kind": "Deployment", "name": "api"}}
    policy_ = policy("p")
    policy_["spec"] = {"targets": [target], "profiles": [], "controls": [{"id": "SHD-001p"}]}
    container = {"name": "app", "image": "a"}
    workload = thing("Deployment", "api", spec={"template": {"spec": {"containers": [container]}}})
    seen = Snapshot(namespace="shop", workloads={"t": workload}, terminations=before.terminations(policy_))  # fmt: skip
    (report,) = plan.make(rules.load(), plan.Situation(policy_, seen, {}, 100.0), {}).reports
    after.recall(report)

    assert needs_recall(policy_ | {"status": {"targets": [{"name": "t"}]}})
    known = {str(e) for e in before.terminations(policy_)["t"]}
    assert {str(e) for e in after.terminations(policy_)["t"]} == known
    assert len(known) == KEPT

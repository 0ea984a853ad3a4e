"""What is kept of real ends: of workloads that somebody targets, once, a few, and across a restart."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest
import yaml
from cluster.test_store import policy, thing

from readiness import plan, rules
from readiness.cluster.project import KINDS
from readiness.cluster.record import TIDY, Record
from readiness.cluster.store import Store
from readiness.recall import needs_recall
from readiness.snapshot import Snapshot
from readiness.terminations import KEPT, MOST, WEEK, Termination

EVENTS = yaml.safe_load((Path(__file__).parents[1] / "terminations.yaml").read_text())
REF = ("shop", "Deployment", "api")
RULES = rules.load()
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
        record._add(REF, ends)

    ends = record.terminations(policy("p"))["t"]
    assert len(ends) == 2 * KEPT
    assert min(e.finished for e in ends) == 1000 - KEPT + 1


def test_a_thousand_templates_and_codes_keep_no_more_than_fits():
    record = Record(lambda _: True)
    for n in range(1000):
        record._add(REF, [Termination(f"p{n}", f"h{n}", n, n + 30, 30, 137 - n % 3, "app")])

    ends = record.terminations(policy("p"))["t"]
    assert len(ends) == MOST
    assert {e.finished for e in ends} >= set(range(1030 - KEPT, 1030))


def test_a_week_forgets_kills_that_no_verdict_asks_for():
    record = Record(lambda _: True)
    killed = [Termination(f"k{n}", "old", n, n + 30, 30, 137, "app") for n in range(3)]
    record._add(REF, killed)
    record._add(REF, [Termination("f", "new", WEEK + 31, WEEK + 32, 30, 0, "app")])

    assert [e.pod for e in record.terminations(policy("p"))["t"]] == ["f", "k2"]


TARGET = {"name": "t", "workloadRef": {"kind": "Deployment", "name": "api"}}
ASKED = {"targets": [TARGET], "profiles": [], "controls": [{"id": "SHD-001p"}]}


def judged(ends):
    """(verdict, the report that tells it) of a workload whose pods ended so."""
    policy_ = policy("p") | {"spec": ASKED}
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": "a"}]}}}
    workload = thing("Deployment", "api", spec=spec)
    seen = Snapshot(namespace="shop", workloads={"t": workload}, terminations={"t": tuple(ends)})
    now = max(e.finished for e in ends) + 3600.0
    (report,) = plan.make(RULES, plan.Situation(policy_, seen, {}, now), {}).reports
    (row,) = [r for r in report["report"]["results"] if r["id"] == "SHD-001p"]
    return (row["result"], row["reason"]), report


@pytest.mark.parametrize("seed", range(40))
def test_what_is_kept_gives_the_verdict_that_all_of_it_would_also_after_a_restart(seed):
    chance = random.Random(seed)
    ends, at, record = [], 10 * WEEK, Record(lambda _: True)
    templates = [f"9d857c745{n}" for n in range(chance.choice((1, 2, 3)))]
    for n in range(chance.choice((3, 12, 60))):
        at += chance.choice((1, 600, 40000))
        how = chance.choices(((137, 30), (0, 1), (1, 1), (143, 2)), (1, 20, chance.choice((0, 2)), 9))  # fmt: skip
        code, used = how[0]
        ends.append(Termination(f"p{n:04}", chance.choice(templates), at - used, at, 30, code, "app"))  # fmt: skip
        record._add(REF, ends[-1:])
    told, _ = judged(ends)
    known, report = judged(record.terminations(policy("p"))["t"])
    again = Record(lambda _: True)
    again.recall(report)

    assert known == told
    assert judged(again.terminations(policy("p"))["t"])[0] == told


def test_workloads_that_nobody_targets_any_more_are_forgotten():
    wanted = {("shop", "Deployment", f"a{n}") for n in range(TIDY)}
    record = Record(wanted.__contains__)
    for ref in sorted(wanted):
        record._add(ref, [Termination("p", "h", 0, 1, 30, 0)])
    wanted.clear()
    record._add(REF, [Termination("p", "h", 0, 1, 30, 0)])

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
    before._add(REF, ends)
    _, report = judged(before.terminations(policy("p"))["t"])
    after.recall(report)

    assert needs_recall(policy("p") | {"spec": ASKED, "status": {"targets": [{"name": "t"}]}})
    known = {str(e) for e in before.terminations(policy("p"))["t"]}
    assert {str(e) for e in after.terminations(policy("p"))["t"]} == known
    assert len(known) == KEPT

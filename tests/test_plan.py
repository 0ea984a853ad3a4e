"""The decision: what a pass concludes, writes and asks for next. Values in, values out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from readiness import plan
from readiness.api.profile import ProfileSpec
from readiness.api.status import PolicyStatus, ReportBody
from readiness.control import Control, Gate, Param, failed, passed, unknown
from readiness.controls import gates
from readiness.incidents import Alert, Incidents
from readiness.model import Mode, Result, Safety, Severity
from readiness.naming import RUN_AT
from readiness.recall import needs_recall, recalled
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest, Outcome, Trial, TrialAnswers
from readiness.rules import Rules
from readiness.snapshot import Snapshot

NOW = 1_800_000_000.0
HOP = Hop(HopKind.POD, "api-0", "api", 8080, "10.0.0.1")
HEALTH = HttpRequest(HOP, "/health")


def judge_label(subject, answers):
    value = subject.workload["metadata"].get("labels", {}).get("good", "")
    if value == "crash":
        raise RuntimeError("secret text")
    if value == "":
        return unknown("NoLabel", "no label")
    if value == subject.params.get("want", "yes"):
        return passed("Labelled", "labelled")
    return failed("Mislabelled", "wrong label", expected="yes", observed=value, fix="label it")


def judge_health(subject, answers):
    answer = answers[HEALTH]
    if answer.outcome is not Outcome.RESPONSE:
        return unknown("Unreachable", "no answer")
    if answer.status == 200:
        return passed("Healthy", "healthy", evidence=f"at {answer.at}")
    return failed("Unhealthy", "unhealthy", expected="200", observed=str(answer.status))


LABEL = Control(
    id="CFG-901", title="t", severity=Severity.P0, criterion="c", fix="f", judge=judge_label, static=True,
    params=(Param("want", "yes", "w"), Param("least", 2, "n", "higher")),
)  # fmt: skip
PROBE = Control(
    id="HLT-901", title="t", severity=Severity.P1, criterion="c", fix="f", safety=Safety.BENIGN,
    ask=lambda s: (HEALTH,), judge=judge_health, needs=("health",), max_age=3600,
)  # fmt: skip
AFTER = replace(LABEL, id="CFG-902", severity=Severity.P1, requires=("CFG-901",))
DRILL = replace(PROBE, id="SHD-901", safety=Safety.DRILL, needs=())
GATES = {g.id: g for g in gates.PLUGINS if isinstance(g, Gate)}


def rules(*controls, profile=(), floor=()):
    known = {c.id: c for c in (LABEL, PROBE, AFTER, DRILL, *controls)}
    ids = profile or (LABEL.id,)
    spec = ProfileSpec.model_validate({"controls": [{"id": i} for i in ids], "floor": list(floor)})
    return Rules(known, GATES, {"baseline": spec})


def policy(generation=1, annotations=None, status=None, **spec):
    spec = {
        "targets": [
            {
                "name": "api",
                "workloadRef": {"kind": "Deployment", "name": "api"},
                "health": {"path": "/health"},
            }
        ],
        **spec,
    }
    meta = {
        "name": "shop",
        "namespace": "ns",
        "uid": "u-1",
        "generation": generation,
        "annotations": annotations or {},
    }
    return {"metadata": meta, "spec": spec, **({"status": status} if status else {})}


def workload(good="yes", template="1", generation=1, done=True):
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "api",
            "namespace": "ns",
            "generation": generation,
            "labels": {"good": good},
        },
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "app", "image": f"app:{template}"}]}},
        },
        "status": {
            "observedGeneration": generation,
            "replicas": 2,
            "updatedReplicas": 2 if done else 1,
        },
    }


def snapshot(found=None, **fields):
    return Snapshot(namespace="ns", workloads={"api": found} if found else {}, **fields)


def situation(pol=None, snap=None, memory=None, now=NOW):
    return plan.Situation(pol or policy(), snap or snapshot(workload()), memory or {}, now)


def answered(decided_or_trials, status=200, now=NOW, outcome=Outcome.RESPONSE):
    return {
        (t.control, t.target): TrialAnswers(t, {HEALTH: HttpAnswer(outcome, status, at=now)}, now)
        for t in decided_or_trials
    }


def condition(decided, type_, status=None):
    told = decided.status or status
    return next(c for c in told["conditions"] if c["type"] == type_)


def verdict(decided, type_="Compliant"):
    found = condition(decided, type_)
    return found["status"], found["reason"]


def test_a_holding_workload_is_compliant_in_one_pass():
    decided = plan.make(rules(), situation(), {})

    assert verdict(decided) == ("True", "AllControlsHold")
    assert verdict(decided, "Ready") == ("True", "Evaluated")
    assert decided.status["level"] == "P3"
    assert decided.status["coverage"] == "1/1"
    assert [n.reason for n in decided.notes] == ["AllControlsHold"]
    assert len(decided.reports) == 1


def test_all_nine_conditions_stand_from_the_first_write_on():
    decided = plan.make(rules(profile=(PROBE.id,)), situation(), {})

    assert [c["type"] for c in decided.status["conditions"]] == [
        "Accepted", "Ready", "Reconciling", "Stalled", "Compliant", "Provisioned", "BackupsHealthy",
        "ProbesPassing", "ShutdownSafe",
    ]  # fmt: skip
    assert verdict(decided) == ("Unknown", "Evaluating")
    assert verdict(decided, "Reconciling") == ("True", "Evaluating")
    assert decided.notes == ()


def test_a_failure_says_what_was_expected_and_seen():
    decided = plan.make(rules(), situation(snap=snapshot(workload("no"))), {})

    assert verdict(decided) == ("False", "P0Failed")
    assert decided.status["level"] == ""
    assert decided.status["failures"] == [
        {
            "id": "CFG-901", "target": "api", "severity": "P0", "result": "Fail", "reason": "Mislabelled",
            "message": "wrong label", "expected": "yes", "observed": "no", "fix": "label it",
            "since": "2027-01-15T08:00:00Z",
        }
    ]  # fmt: skip
    assert decided.notes[0].type == "Warning"


def test_a_second_pass_that_sees_the_same_writes_nothing():
    first = plan.make(rules(), situation(), {})
    again = plan.make(
        rules(), situation(policy(status=first.status), memory=first.memory, now=NOW + 900), {}
    )

    assert (again.status, again.reports, again.stale, again.notes) == (None, (), (), ())


def test_valid_until_is_renewed_when_less_than_half_is_left():
    first = plan.make(rules(), situation(), {})
    held = plan.make(rules(), situation(policy(status=first.status), now=NOW + 43_000), {})
    renewed = plan.make(rules(), situation(policy(status=first.status), now=NOW + 43_300), {})

    assert held.status is None
    assert renewed.status["validUntil"] == "2027-01-16T20:01:40Z"
    assert renewed.notes == ()
    assert renewed.reports == ()


def test_a_missing_workload_is_unproven_but_ready_and_one_row():
    decided = plan.make(rules(profile=(LABEL.id, PROBE.id)), situation(snap=snapshot()), {})

    assert verdict(decided) == ("Unknown", "TargetNotFound")
    assert verdict(decided, "Ready") == ("True", "Evaluated")
    assert len(decided.status["failures"]) == 1
    row = decided.status["failures"][0]
    assert row["id"] == "*"
    assert "Deployment/api does not exist in namespace ns" in row["message"]
    assert "2 controls wait" in row["message"]


def test_a_crashing_control_is_its_own_unknown_and_leaks_nothing():
    decided = plan.make(
        rules(profile=(LABEL.id, AFTER.id)), situation(snap=snapshot(workload("crash"))), {}
    )

    found = {f.id: f for f in decided.findings}
    assert found["CFG-901"].verdict.reason == "EvaluationError"
    assert "secret text" not in str(decided.status)
    assert found["CFG-902"].result is Result.BLOCKED


def test_a_failed_prerequisite_blocks_and_is_named():
    decided = plan.make(
        rules(profile=(LABEL.id, AFTER.id)), situation(snap=snapshot(workload("no"))), {}
    )

    blocked = next(f for f in decided.findings if f.id == AFTER.id)
    assert (blocked.result, blocked.verdict.reason) == (Result.BLOCKED, "PrerequisiteFailed")
    assert blocked.verdict.message.startswith("CFG-901")


def test_an_opt_in_class_is_not_run_without_opting_in():
    world = Snapshot(namespace="ns", workloads={"a": workload(), "b": workload()})
    its = situation(policy(targets=targets("a", "b")), world)
    used = rules(profile=(LABEL.id, DRILL.id))

    assert plan.requests(used, its) == ()
    decided = plan.make(used, its, {})
    assert verdict(decided) == ("True", "AllControlsHold")
    assert decided.status["summary"]["optInRequired"] == 2
    assert decided.status["failures"] == []
    assert decided.status["undeclared"] == [
        {
            "capability": "safety.allow[drill]",
            "controls": 1,
            "fix": "add to the policy's spec: safety: {allow: [drill]}",
        }
    ]


def targets(*names):
    ref = {"kind": "Deployment", "name": "api"}
    return [{"name": n, "workloadRef": ref, "container": n} for n in names]


def test_a_class_that_is_allowed_runs_and_counts():
    allowed = policy(safety={"allow": ["drill"]})
    used = rules(profile=(LABEL.id, DRILL.id))

    assert [t.control for t in plan.requests(used, situation(allowed))] == [DRILL.id]
    decided = plan.make(used, situation(allowed), {})
    assert verdict(decided) == ("Unknown", "Evaluating")
    assert decided.status["undeclared"] == []


def test_a_floor_makes_a_class_count_until_it_is_waived():
    used = rules(profile=(LABEL.id, DRILL.id), floor=({"id": DRILL.id},))
    waived = snapshot(workload(), waivers=(waiver(controls=[DRILL.id]),))

    decided = plan.make(used, situation(), {})
    assert verdict(decided) == ("Unknown", "Unproven")
    assert decided.status["failures"][0]["reason"] == "OptInRequired"
    assert verdict(plan.make(used, situation(snap=waived), {})) == ("True", "AllControlsHold")


def test_an_input_that_a_drill_needs_is_asked_for_and_does_not_count():
    slow = replace(DRILL, needs=("shutdown.slowRequest",))
    used = rules(slow, profile=(LABEL.id, slow.id))
    decided = plan.make(used, situation(policy(safety={"allow": ["drill"]})), {})

    assert verdict(decided) == ("True", "AllControlsHold")
    finding = next(f for f in decided.findings if f.id == slow.id)
    assert (finding.result, finding.verdict.reason) == (Result.OPT_IN_REQUIRED, "NotDeclared")
    assert decided.status["undeclared"][0]["fix"] == (
        'declare shutdown.slowRequest: {path: "/slow?seconds={seconds}"} on spec.targets: api'
    )


@pytest.mark.parametrize(
    ("word", "asked", "reasons"),
    [
        ("drills", [PROBE.id], {DRILL.id: "DrillsDenied", PROBE.id: "NotYetObserved"}),
        ("probes", [], {DRILL.id: "ProbesDenied", PROBE.id: "ProbesDenied"}),
        ("", [], {DRILL.id: "ProbesDenied", PROBE.id: "ProbesDenied"}),
        (None, [PROBE.id, DRILL.id], {DRILL.id: "NotYetObserved", PROBE.id: "NotYetObserved"}),
    ],
)
def test_a_namespace_refuses_what_its_label_says(word, asked, reasons):
    labels = {} if word is None else {"readiness.dev/deny": word}
    its = situation(
        policy(safety={"allow": ["drill"]}), snapshot(workload(), namespace_labels=labels)
    )
    used = rules(profile=(PROBE.id, DRILL.id))

    assert sorted(t.control for t in plan.requests(used, its)) == sorted(asked)
    assert {f.id: f.verdict.reason for f in plan.make(used, its, {}).findings} == reasons


def test_who_reads_what_is_not_looked_at_yet_knows_how_long_that_takes():
    its = situation(policy(safety={"allow": ["drill"]}), snapshot(workload()))

    found = plan.make(rules(profile=(PROBE.id, DRILL.id)), its, {}).findings
    assert {f.id: f.verdict.fix for f in found} == {
        PROBE.id: "wait some seconds",
        DRILL.id: "wait some minutes",
    }


@pytest.mark.parametrize(
    ("short", "asked"),
    [(("n1",), False), (("n2",), True), (("n2", "n3"), True), (("n1", "n2", "n3"), False), ((), True)],
    ids=["its own node", "another", "all others", "every node", "none"],
)  # fmt: skip
def test_nothing_is_drilled_where_nodes_run_short(short, asked):
    pressed = [{"type": "DiskPressure", "status": "True"}]
    nodes = {n: {"status": {"conditions": pressed if n in short else []}} for n in ("n1", "n2", "n3")}  # fmt: skip
    pods = {"api": ({**ready_at(0), "spec": {"nodeName": "n1"}},)}
    its = situation(policy(safety={"allow": ["drill"]}), snapshot(workload(), nodes=nodes, pods=pods))  # fmt: skip
    used = rules(profile=(DRILL.id,))

    assert bool(plan.requests(used, its)) is asked
    (found,) = plan.make(used, its, {}).findings
    assert (found.verdict.reason == "NodePressure") is not asked


def test_nothing_is_drilled_where_a_budget_would_count_the_clone():
    """Requests to what is live go on."""
    seen = snapshot(workload(), budgets=({"metadata": {"name": "all"}, "spec": {"selector": {}}},))
    its = situation(policy(safety={"allow": ["drill"]}), seen)
    used = rules(profile=(PROBE.id, DRILL.id))

    assert [t.control for t in plan.requests(used, its)] == [PROBE.id]
    reasons = {f.id: f.verdict.reason for f in plan.make(used, its, {}).findings}
    assert reasons == {DRILL.id: "ClonesSelected", PROBE.id: "NotYetObserved"}


def test_nothing_is_drilled_of_a_target_whose_drill_left_pods():
    shut = replace(DRILL, id="SHD-004")
    its = policy(targets=targets("a", "b"), safety={"allow": ["drill"]})
    left = {"a": ("drill-1-a",)}
    world = Snapshot(namespace="ns", workloads={"a": workload(), "b": workload()}, leftover=left)
    used = rules(shut, profile=(shut.id,))
    decided = plan.make(used, situation(its, world), {})
    clean = plan.make(used, situation(its, replace(world, leftover={})), {})

    assert [t.target for t in plan.requests(used, situation(its, world))] == ["b"]
    assert {f.target: f.verdict.reason for f in decided.findings} == {"a": "DrillLeak", "b": "NotYetObserved"}  # fmt: skip
    assert verdict(decided, "ShutdownSafe") == ("Unknown", "DrillLeak")
    assert verdict(clean, "ShutdownSafe") != ("Unknown", "DrillLeak")
    assert [(n.type, n.reason) for n in decided.notes if n.reason == "DrillLeak"] == [("Warning", "DrillLeak")]  # fmt: skip
    again = situation({**its, "status": decided.status}, world)
    assert [n for n in plan.make(used, again, {}).notes if n.reason == "DrillLeak"] == []


def test_evidence_of_a_drill_belongs_to_the_stores_it_used():
    target = {
        "name": "api",
        "workloadRef": {"kind": "Deployment", "name": "api"},
        "uses": ["cache"],
    }
    used = rules(profile=(DRILL.id,))

    def key(*hosts):
        services = [{"name": "cache", "external": {"redis": {"hosts": [h]}}} for h in hosts[:1]]
        services += [{"name": "other", "external": {"redis": {"hosts": [h]}}} for h in hosts[1:]]
        its = policy(targets=[target], dataServices=services, safety={"allow": ["drill"]})
        return plan.make(used, situation(its), {}).memory[(DRILL.id, "api")].key

    assert key("redis-a") != key("redis-b")
    assert key("redis-a") == key("redis-a", "redis-b")


def ready_at(moment):
    since = datetime.fromtimestamp(moment, UTC).isoformat()
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    return {"metadata": {"name": f"api-{moment}"}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("done", "ages", "starts"),
    [
        (True, (), 0),
        (True, (300, 500), 0),
        (True, (300, 119), 1),
        (True, (10, 500), 110),
        (False, (300, 500), None),
    ],
)
def test_a_drill_waits_for_a_complete_and_settled_rollout_and_a_probe_does_not(done, ages, starts):
    snap = snapshot(workload(done=done), pods={"api": tuple(ready_at(NOW - age) for age in ages)})
    its = situation(policy(safety={"allow": ["drill"]}), snap)
    used = rules(profile=(PROBE.id, DRILL.id))

    asked = {t.control for t in plan.requests(used, its)}
    decided = plan.make(used, its, {})
    reasons = {f.id: f.verdict.reason for f in decided.findings}

    assert asked == ({PROBE.id, DRILL.id} if starts == 0 else {PROBE.id})
    assert reasons[DRILL.id] == ("NotYetObserved" if starts == 0 else "RolloutInProgress")
    if starts:
        assert decided.next_at == pytest.approx(NOW + starts, abs=0.01)
        later = replace(its, now=NOW + starts)
        assert DRILL.id in {t.control for t in plan.requests(used, later)}


@pytest.mark.parametrize(
    ("incidents", "reason", "words"),
    [
        (Incidents(), "NotYetObserved", ""),
        (Incidents((Alert("Down", "elsewhere"),)), "NotYetObserved", ""),
        (Incidents((Alert("Down", "ns"), Alert("Node"))), "IncidentOngoing", "fire: Down, Node"),
        (Incidents(tuple(map(Alert, "fdbeca"))), "IncidentOngoing", "a, b, c and 3 more"),
        (Incidents(problem="answers 503"), "IncidentsUnseen", "Prometheus answers 503"),
    ],
)
def test_no_drill_starts_amid_an_incident_and_a_probe_does(incidents, reason, words):
    its = situation(policy(safety={"allow": ["drill"]}), snapshot(workload(), incidents=incidents))
    used = rules(profile=(PROBE.id, DRILL.id))

    asked = {t.control for t in plan.requests(used, its)}
    found = {f.id: f for f in plan.make(used, its, {}).findings}

    assert asked == ({PROBE.id, DRILL.id} if reason == "NotYetObserved" else {PROBE.id})
    assert (found[DRILL.id].result, found[DRILL.id].verdict.reason) == (Result.UNKNOWN, reason)
    assert words in found[DRILL.id].verdict.message


def test_what_a_drill_has_shown_stands_through_an_incident():
    its = situation(policy(safety={"allow": ["drill"]}))
    used = rules(profile=(DRILL.id,))
    memory = plan.make(used, its, answered(plan.requests(used, its))).memory
    burning = snapshot(workload(), incidents=Incidents((Alert("Down"),)))
    later = situation(its.policy, burning, memory, NOW + 0.9 * DRILL.max_age)

    assert plan.requests(used, later) == ()
    assert plan.make(used, later, {}).findings[0].result is Result.PASS


def test_shutdown_is_safe_only_where_every_target_was_drilled():
    shut = [replace(LABEL, id=id_) for id_ in ("SHD-001", "SHD-004", "SHD-008")]
    drill = [replace(c, safety=Safety.DRILL) for c in shut[:2]]
    read = rules(*drill, shut[2], profile=("SHD-001", "SHD-004", "SHD-008"))
    bare = replace(drill[1], needs=("shutdown.slowRequest",))
    half = rules(drill[0], bare, shut[2], profile=("SHD-001", "SHD-004", "SHD-008"))
    one = [targets("a")[0] | {"shutdown": {"slowRequest": {"path": "/slow"}}}]
    world = Snapshot(namespace="ns", workloads={"a": workload(), "b": workload()})

    def judged(used, names, **spec):
        decided = plan.make(used, situation(policy(targets=names, **spec), world), {})
        return verdict(decided, "ShutdownSafe")

    assert judged(read, targets("a")) == ("Unknown", "NotDrilled")
    allowed = {"safety": {"allow": ["drill"]}}
    assert judged(read, targets("a", "b"), **allowed) == ("True", "AllControlsHold")
    assert judged(half, one, **allowed) == ("True", "AllControlsHold")
    assert judged(half, one + targets("b"), **allowed) == ("Unknown", "NotDrilled")


def test_an_undeclared_input_is_grouped_and_does_not_count():
    bare = policy(targets=[{"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}])
    decided = plan.make(rules(profile=(LABEL.id, PROBE.id)), situation(bare), {})

    assert verdict(decided) == ("True", "AllControlsHold")
    assert [(u["capability"], u["controls"]) for u in decided.status["undeclared"]] == [
        ("health", 1)
    ]
    assert decided.status["coverage"] == "1/2"


def test_a_floor_makes_an_undeclared_input_count():
    bare = policy(targets=[{"name": "api", "workloadRef": {"kind": "Deployment", "name": "api"}}])
    used = rules(profile=(LABEL.id, PROBE.id), floor=({"id": PROBE.id},))

    assert verdict(plan.make(used, situation(bare), {})) == ("Unknown", "Unproven")


def test_an_unknown_control_is_unproven_not_ignored():
    decided = plan.make(rules(), situation(policy(controls=[{"id": "XYZ-123"}])), {})

    assert verdict(decided) == ("Unknown", "Unproven")
    assert decided.status["failures"][0]["reason"] == "UnknownControl"


@pytest.mark.parametrize(
    ("spec", "floor", "weak"),
    [
        ({"controls": [{"id": "CFG-901", "mode": "audit"}]}, {"id": "CFG-901"}, "mode audit"),
        ({"controls": [{"id": "CFG-901", "mode": "off"}]}, {"id": "CFG-901"}, "mode off"),
        ({"controls": [{"id": "CFG-901", "severity": "P2"}]}, {"id": "CFG-901"}, "severity P2"),
        (
            {"controls": [{"id": "CFG-901", "maxAge": "2h"}]},
            {"id": "CFG-901", "maxAge": "1h"},
            "maxAge 7200s",
        ),
        (
            {"controls": [{"id": "CFG-901", "params": {"least": 1}}]},
            {"id": "CFG-901", "params": {"least": 2}},
            "params.least 1",
        ),
        ({}, {"id": "CFG-901", "params": {"want": "x"}}, "no stricter direction"),
        ({"environment": "dev"}, {"id": "CFG-901", "environment": "prod"}, "environment dev"),
        ({}, {"id": "CFG-901", "params": {"least": 2}}, ""),
        (
            {"controls": [{"id": "CFG-901", "params": {"least": 3}}]},
            {"id": "CFG-901", "params": {"least": 2}},
            "",
        ),
    ],
)
def test_below_a_floor_every_weakening_is_unproven(spec, floor, weak):
    decided = plan.make(rules(floor=(floor,)), situation(policy(**spec)), {})

    found = next(f for f in decided.findings if f.id == "CFG-901")
    if weak:
        assert found.verdict.reason == "WeakenedWithoutWaiver"
        assert weak in found.verdict.message
        assert verdict(decided)[0] == "Unknown"
    else:
        assert found.result is Result.PASS


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"wnat": "no"}, "params.wnat is no parameter of CFG-901; it has least, want"),
        ({"least": "3"}, "params.least is of type str"),
        ({"least": True}, "params.least is of type bool"),
        ({"want": ["a"]}, "params.want is of type list"),
    ],
)
def test_a_wrong_parameter_is_named_and_never_reaches_the_judge(params, message):
    decided = plan.make(
        rules(), situation(policy(controls=[{"id": "CFG-901", "params": params}])), {}
    )

    found = next(f for f in decided.findings if f.id == "CFG-901")
    assert (found.result, found.verdict.reason) == (Result.UNKNOWN, "InvalidParam")
    assert message in found.verdict.message


def test_an_organisations_profile_binds_by_namespace_without_being_named():
    org = {
        "metadata": {"name": "org"},
        "spec": {
            "appliesTo": {"namespaceSelector": {"matchLabels": {"tier": "prod"}}},
            "floor": [{"id": "CFG-901"}],
        },
    }
    weak = policy(controls=[{"id": "CFG-901", "mode": "off"}])
    bound = snapshot(workload(), profiles=(org,), namespace_labels={"tier": "prod"})
    free = snapshot(workload(), profiles=(org,), namespace_labels={"tier": "dev"})

    assert (
        plan.make(rules(), situation(weak, bound), {}).status["failures"][0]["reason"]
        == "WeakenedWithoutWaiver"
    )
    assert plan.make(rules(), situation(weak, free), {}).status["failures"] == []


def waiver(days=10, created=0, **spec):
    spec = {
        "policyRef": "shop", "controls": ["CFG-901"], "targets": ["api"], "owner": "team-shop",
        "reason": "the label moves with release 42", "expires": stamp(NOW + days * 86400), **spec,
    }  # fmt: skip
    return {
        "metadata": {"name": "w1", "creationTimestamp": stamp(NOW + created * 86400)},
        "spec": spec,
    }


def stamp(at):
    from readiness.status import timestamp

    return timestamp(at)


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (waiver(), "Waived"),
        (waiver(days=0), "Fail"),  # expired exactly now
        (waiver(days=-1, created=-10), "Fail"),
        (waiver(days=31), "Fail"),  # P0 at most 30 days
        (waiver(targets=["other"]), "Fail"),
        (waiver(controls=["CFG-902"]), "Fail"),
        (waiver(policyRef="other"), "Fail"),
        (waiver(reason="short"), "Fail"),
    ],
)
def test_a_waiver_excuses_exactly_what_it_names_while_it_holds(given, result):
    decided = plan.make(rules(), situation(snap=snapshot(workload("no"), waivers=(given,))), {})

    found = next(f for f in decided.findings if f.id == "CFG-901")
    assert found.result == result
    if result == "Waived":
        assert found.actual is Result.FAIL
        assert verdict(decided)[0] == "True"
        assert decided.next_at <= NOW + 10 * 86400


def test_a_verdict_held_by_a_waiver_is_not_valid_past_it():
    given = waiver(days=0.25)
    decided = plan.make(rules(), situation(snap=snapshot(workload("no"), waivers=(given,))), {})

    assert decided.status["validUntil"] == given["spec"]["expires"]


def test_a_waiver_permits_a_weakening():
    weak = policy(controls=[{"id": "CFG-901", "mode": "audit"}])
    used = rules(floor=({"id": "CFG-901"},))
    decided = plan.make(used, situation(weak, snapshot(workload(), waivers=(waiver(),))), {})

    assert next(f for f in decided.findings if f.id == "CFG-901").result is Result.WAIVED


def test_an_invalid_spec_is_refused_with_its_path_and_stalls():
    decided = plan.make(rules(), situation(policy(enforcement="maybe")), {})

    assert verdict(decided, "Accepted") == ("False", "InvalidSpec")
    assert verdict(decided, "Stalled") == ("True", "InvalidSpec")
    assert "spec.enforcement" in condition(decided, "Accepted")["message"]
    assert plan.requests(rules(), situation(policy(enforcement="maybe"))) == ()


def test_an_unknown_profile_is_named_with_those_that_exist():
    decided = plan.make(rules(), situation(policy(profiles=["nope"])), {})

    assert verdict(decided, "Accepted") == ("False", "ProfileNotFound")
    assert "'nope'" in condition(decided, "Accepted")["message"]


def test_suspend_keeps_the_last_verdict_and_asks_nothing():
    first = plan.make(rules(), situation(), {})
    held = policy(generation=2, suspend=True, status=first.status)
    decided = plan.make(rules(), situation(held, snapshot(workload("no"))), {})

    assert plan.requests(rules(profile=(PROBE.id,)), situation(held)) == ()
    assert verdict(decided)[0] == "True"
    assert verdict(decided, "Reconciling") == ("False", "Suspended")
    assert decided.status["validUntil"] == first.status["validUntil"]


class Probing:
    """A policy with one probe, driven through passes as the operator does."""

    def __init__(self):
        self.rules, self.memory, self.status, self.writes = rules(profile=(PROBE.id,)), {}, None, 0

    def step(self, now, status=200, snap=None, outcome=Outcome.RESPONSE, **more):
        its = situation(policy(status=self.status, **more), snap, self.memory, now)
        trials = plan.requests(self.rules, its)
        decided = plan.make(self.rules, its, answered(trials, status, now, outcome))
        self.memory, self.decided = decided.memory, decided
        if decided.status:
            self.status, self.writes = decided.status, self.writes + 1
        return len(trials)

    @property
    def verdict(self):
        found = next(c for c in self.status["conditions"] if c["type"] == "Compliant")
        return found["status"], found["reason"]


def test_a_probe_is_asked_judged_and_asked_again_before_its_evidence_ages():
    its = Probing()

    assert its.step(NOW) == 1
    assert its.verdict == ("True", "AllControlsHold")
    assert NOW + 3600 * 0.69 < its.decided.next_at <= NOW + 3600 * 0.8
    assert its.step(NOW + 60) == 0
    assert its.step(NOW + 3000) == 1
    assert its.writes == 1


def test_a_deviation_needs_three_looks_with_the_same_reason():
    its = Probing()
    its.step(NOW)
    assert its.step(NOW + 3000, 500) == 1
    assert its.verdict[0] == "True"
    assert its.decided.next_at == pytest.approx(NOW + 3001)
    assert its.step(NOW + 3001, 500) == 1
    assert its.decided.next_at == pytest.approx(NOW + 3006)
    assert its.step(NOW + 3006, 500) == 1
    assert its.verdict == ("False", "P1Failed")
    assert next(f for f in its.decided.findings).verdict.confidence == "3/3"


def test_mixed_looks_are_flaky_not_failed():
    its = Probing()
    for at, status in ((0, 500), (1, 200), (6, 500)):
        its.step(NOW + at, status)

    assert its.verdict == ("Unknown", "Unproven")
    assert its.decided.findings[0].verdict.reason == "Flaky"


def test_without_a_way_to_ask_the_reason_stands_at_once_and_a_way_is_taken_at_once():
    its = Probing()
    asked = []
    closed = replace(PROBE, ask=lambda s: tuple(asked), judge=judge_way)
    its.rules = rules(closed, profile=(PROBE.id,))
    assert its.step(NOW) == 0
    assert its.decided.findings[0].verdict.reason == "NoReadyPods"
    assert its.verdict == ("Unknown", "Unproven")
    asked.append(HEALTH)
    assert its.step(NOW + 1) == 1
    assert its.verdict == ("True", "AllControlsHold")
    asked.clear()
    assert its.step(NOW + 30) == 0
    assert its.verdict == ("True", "AllControlsHold"), "evidence stands until it ages"
    its.step(NOW + 3700)
    assert its.decided.findings[0].verdict.reason == "NoReadyPods"


def judge_way(subject, answers):
    return judge_health(subject, answers) if answers else unknown("NoReadyPods", "no pod is Ready")


def test_what_does_not_hold_is_looked_at_again_soon_and_one_look_confirms_it():
    its = Probing()
    for at in (0, 1, 6):
        its.step(NOW + at, 500)
    assert its.verdict == ("False", "P1Failed")
    assert NOW + 6 + 260 < its.decided.next_at <= NOW + 6 + 300
    its.step(NOW + 310, 500)
    assert its.writes == 2
    its.step(NOW + 620, 200)
    assert its.verdict == ("True", "AllControlsHold")


def test_missing_data_contradicts_nothing():
    its = Probing()
    its.step(NOW, outcome=Outcome.TIMEOUT)
    its.step(NOW + 1, 200)
    assert its.verdict == ("True", "AllControlsHold")


def test_what_is_unproven_is_looked_at_again_within_a_minute():
    its = Probing()
    for at in (0, 1, 6):
        its.step(NOW + at, outcome=Outcome.TIMEOUT)
    assert its.decided.findings[0].verdict.reason == "Unreachable"
    assert NOW + 6 + 50 < its.decided.next_at <= NOW + 6 + 60


def test_evidence_that_nobody_renews_goes_stale():
    its = Probing()
    its.step(NOW)
    denied = snapshot(workload(), namespace_labels={"readiness.dev/deny": "probes"})
    assert its.step(NOW + 3599, snap=denied) == 0
    assert its.verdict[0] == "True"
    its.step(NOW + 3601, snap=denied)
    assert its.decided.findings[0].verdict.reason == "Stale"
    assert its.verdict[0] == "Unknown"


def test_a_new_template_keeps_the_old_result_marked_then_is_looked_at_again():
    its = Probing()
    its.step(NOW)
    rolling = snapshot(workload(template="2", generation=2, done=False))
    assert its.step(NOW + 10, snap=rolling) == 0
    assert its.verdict[0] == "True"
    assert its.decided.findings[0].marks == ("PreviousRevision",)
    done = snapshot(workload(template="2", generation=2))
    assert its.step(NOW + 20, snap=done) == 1
    assert its.decided.findings[0].marks == ()


def test_a_stuck_rollout_makes_the_old_result_stale_after_half_an_hour():
    its = Probing()
    its.step(NOW)
    rolling = snapshot(workload(template="2", generation=2, done=False))
    its.step(NOW + 10, snap=rolling)
    its.step(NOW + 10 + 1801, snap=rolling)

    assert its.decided.findings[0].verdict.reason == "Stale"


class Drilling(Probing):
    """A policy with one drill. `busy`: other drills have every turn, and this one waits for its own."""

    def __init__(self):
        super().__init__()
        self.rules = rules(replace(DRILL, max_age=7 * 86400), profile=(DRILL.id,))

    def step(self, now, template="1", *, done=True, ready=300, busy=False, status=200):
        its_pods = {"api": (ready_at(now - ready),)}
        snap = snapshot(workload(template=template, done=done), pods=its_pods)
        its = situation(policy(status=self.status, safety={"allow": ["drill"]}), snap, self.memory, now)  # fmt: skip
        trials = plan.requests(self.rules, its)
        decided = plan.make(self.rules, its, {} if busy else answered(trials, status, now))
        self.memory, self.decided = decided.memory, decided
        self.status = decided.status or self.status
        self.reports = [*decided.reports, *getattr(self, "reports", [])][:1]
        return len(trials)

    def restart(self, now):
        """The operator starts anew and knows what its report tells."""
        self.memory = recalled(self.reports, self.rules, now)

    @property
    def told(self):
        finding = self.decided.findings[0]
        return finding.result.value, finding.verdict.reason, finding.marks


DRILLED = ("Pass", "Healthy", ())
PREVIOUS = ("Pass", "Healthy", ("PreviousRevision",))
STALE = ("Unknown", "Stale", ())


@pytest.mark.parametrize("restarts", [(), (60,), (400, 700), (1500,)])
def test_what_an_earlier_template_showed_stands_for_half_an_hour_while_a_drill_queues(restarts):
    its = Drilling()
    begun = NOW + 86400  # fresh: the drill of the old template was a day ago, and holds for seven
    assert its.step(NOW) == 1
    assert its.step(begun - 1) == 0
    assert its.told == DRILLED
    for after in range(0, 2400, 20):
        if after in restarts:
            its.restart(begun + after)
        rolling, settled = after < 300, after >= 300 + 120
        asked = its.step(begun + after, "2", done=not rolling, ready=after - 300, busy=True)
        assert asked == (1 if settled else 0), after
        assert its.told == (PREVIOUS if after <= 1800 else STALE), after
    assert its.step(begun + 2400, "2", ready=2100) == 1
    assert its.told == DRILLED
    its.restart(begun + 2500)
    assert its.step(begun + 2600, "2", ready=2300) == 0
    assert its.told == DRILLED


def test_a_look_in_doubt_leaves_what_stands_to_the_template_it_was_seen_of():
    its = Drilling()
    its.step(NOW)
    begun = NOW + 86400
    its.step(begun, "2", busy=True)
    assert its.told == PREVIOUS
    its.step(begun + 300, "2", status=500)  # the new template's first clone fails
    assert its.told == PREVIOUS
    for after in range(320, 2 * 86400, 3600):  # and its repetition waits for a turn
        its.step(begun + after, "2", busy=True)
        assert its.told == (PREVIOUS if after <= 1800 else STALE), after


def test_a_restart_amid_doubt_takes_nothing_for_fresh():
    its = Drilling()
    its.step(NOW)
    begun = NOW + 3600
    its.step(begun, "2", busy=True)
    its.step(begun + 300, "2", status=500)
    its.step(begun + 301, "2", busy=True)  # its repetition waits, and the report is written
    its.restart(begun + 310)
    assert [its.step(begun + after, "2", status=500) for after in (400, 402)] == [1, 1]
    assert its.told == ("Fail", "Unhealthy", ())


@pytest.mark.parametrize("known", [True, False], ids=["seen-before", "never-seen"])
def test_clones_of_two_templates_do_not_agree_with_each_other(known):
    its = Drilling()
    begun = NOW + 86400
    if known:
        its.step(NOW)
    its.step(begun, "2", status=500)
    its.step(begun + 10, "3", done=False, busy=True)
    its.step(begun + 600, "3", status=500)
    assert its.told[0] != "Fail"
    its.step(begun + 602, "3", status=500)
    assert its.told[0] == "Fail"


def test_a_template_fails_by_clones_of_its_own_also_after_one_that_failed_alike():
    its = Drilling()
    for after in (0, 2):
        its.step(NOW + after, status=500)
    assert its.told[0] == "Fail"
    begun = NOW + 3600
    its.step(begun, "2", busy=True)
    its.step(begun + 300, "2", status=500)
    assert its.told[2] == ("PreviousRevision",)
    its.step(begun + 302, "2", status=500)
    assert (its.told[0], its.told[2]) == ("Fail", ())


def test_a_rollout_while_nobody_watched_is_told_as_one():
    its = Drilling()
    its.step(NOW)
    its.restart(NOW + 3600)
    assert its.step(NOW + 3600, "2", busy=True) == 1
    assert its.told == PREVIOUS
    assert its.step(NOW + 3600 + 1801, "2", busy=True) == 1
    assert its.told == STALE


def test_a_rollout_that_is_taken_back_gives_the_old_result_back():
    its = Drilling()
    its.step(NOW)
    its.step(NOW + 3600, "2", done=False)
    assert its.told == PREVIOUS
    for after in (600, 3000):
        assert its.step(NOW + 3600 + after, "1") == 0
        assert its.told == DRILLED


def test_run_at_looks_again_at_once_and_is_honoured_once():
    its = Probing()
    its.step(NOW)
    asked = {"annotations": {RUN_AT: "now-1"}}
    assert its.step(NOW + 60, **asked) == 1
    assert its.status["lastRunAt"] == "now-1"
    assert its.step(NOW + 61, **asked) == 0


def test_a_run_at_of_any_length_is_honoured_once():
    its = Probing()
    its.step(NOW)
    asked = {"annotations": {RUN_AT: "x" * 5000}}
    its.step(NOW + 60, **asked)
    assert its.status["lastRunAt"] == "x" * 64
    assert its.step(NOW + 61, **asked) == 0


def test_repeated_looks_that_see_the_same_write_nothing():
    its = Probing()
    for n in range(30):
        its.step(NOW + n * 1400)
    assert its.writes == 1


def test_a_restart_stands_on_the_report_and_writes_nothing():
    its = Probing()
    its.step(NOW)
    report = its.decided.reports[0]
    assert needs_recall(policy(status=its.status))
    its.memory = recalled([report], its.rules, NOW + 100)
    its.step(NOW + 100)
    assert its.writes == 1
    assert its.step(NOW + 161) == 1
    assert its.writes == 1


def test_a_report_is_rewritten_only_when_it_says_something_else():
    its = Probing()
    its.step(NOW)
    assert len(its.decided.reports) == 1
    its.step(NOW + 3000)
    assert its.decided.reports == ()


def test_a_target_that_left_takes_its_report_along():
    first = plan.make(rules(), situation(), {})
    two = policy(
        targets=[{"name": "web", "workloadRef": {"kind": "Deployment", "name": "api"}}],
        status=first.status,
    )
    decided = plan.make(rules(), situation(two, Snapshot(workloads={"web": workload()})), {})

    assert decided.stale == (first.status["targets"][0]["report"],)
    assert decided.reports[0]["report"]["target"] == "web"


def test_an_empty_policy_is_never_compliant_by_vacuity():
    assert verdict(plan.make(rules(), situation(policy(targets=[])), {})) == (
        "Unknown",
        "NoTargets",
    )
    off = policy(controls=[{"id": "CFG-901", "mode": "audit"}])
    assert verdict(plan.make(rules(), situation(off), {})) == ("Unknown", "NothingEnforced")


def test_status_and_report_stay_within_their_bounds():
    import json

    long = "x" * 5000
    noisy = [
        replace(
            LABEL,
            id=f"CFG-{n}",
            judge=lambda s, a: failed("R" * 60, long, expected=long, observed=long, fix=long),
        )
        for n in range(300, 600)
    ]
    targets = [
        {"name": f"t{n}", "workloadRef": {"kind": "Deployment", "name": f"a{n}"}} for n in range(50)
    ]
    used = rules(*noisy, profile=tuple(c.id for c in noisy))
    seen = Snapshot(workloads={f"t{n}": workload() for n in range(50)})
    decided = plan.make(used, situation(policy(targets=targets), seen), {})

    assert len(json.dumps(decided.status).encode()) <= 32 * 1024
    PolicyStatus.model_validate(decided.status, extra="forbid")
    for written in decided.reports:
        ReportBody.model_validate(written["report"], extra="forbid")
    assert decided.status["truncated"] > 0
    assert max(len(json.dumps(r).encode()) for r in decided.reports) <= 256 * 1024


def test_text_that_must_not_be_shown_is_cleaned_before_it_is_compared():
    """Cleaned only on writing, it would differ from what stands for ever, and be written for ever."""
    noisy = replace(
        LABEL, judge=lambda s, a: failed("R", "a\x1b[31mb\r\nc", expected="x", observed="\u202ey")
    )
    used = rules(noisy)
    first = plan.make(used, situation(), {})
    row = first.status["failures"][0]
    assert (row["message"], row["observed"]) == ("a[31mb c", "y")
    assert first.reports[0]["report"]["results"][0]["message"] == "a[31mb c"


def test_shuffled_input_gives_the_same_status():
    used = rules(profile=(LABEL.id, AFTER.id, PROBE.id))
    pol = policy()
    turned = policy(profiles=["baseline"], **dict(reversed(pol["spec"].items())))

    assert (
        plan.make(used, situation(pol), {}).status == plan.make(used, situation(turned), {}).status
    )


def test_mode_words_are_a_closed_set():
    assert [m.value for m in Mode] == ["off", "audit", "enforce"]
    assert Trial("a", "b", ()).requests == ()

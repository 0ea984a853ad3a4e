"""Metrics: what stands is shown, what is gone is not, and the text is valid."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from readiness.evidence import Look
from readiness.metrics import Metrics
from readiness.model import Finding, Mode, Result, Safety, Severity, Verdict

KEY = ("shop", "checkout")
STATUS = {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Compliant", "status": "False"}]}  # fmt: skip


def finding(id_="SHD-008", result=Result.FAIL, target="api", capability=""):
    verdict = Verdict(result, "Reason", "message")
    return Finding(
        id_, target, Severity.P1, Mode.ENFORCE, Safety.PASSIVE, verdict, capability=capability
    )


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sample.labels.values())] = sample.value
    return found


def test_findings_conditions_and_ages_stand_and_vanish_with_their_policy():
    metrics = Metrics(lambda: 1000.0)
    seen = Verdict(Result.PASS, "R", "m")
    memory = {("HLT-001", "api"): Look("k", seen, at=940.0), ("HLT-002", "api"): Look("k")}
    empty = metrics.exposition()
    metrics.verdicts.record(KEY, [finding(), finding("CFG-003", Result.PASS)], STATUS, memory)

    results = samples(metrics, "readiness_control_result")
    assert set(results) == {
        ("SHD-008", "shop", "checkout", "Fail", "P1", "api"),
        ("CFG-003", "shop", "checkout", "Pass", "P0".replace("0", "1"), "api"),
    }
    assert len(samples(metrics, "readiness_policy_condition")) == 2
    assert list(samples(metrics, "readiness_evidence_age_seconds").values()) == [60.0]

    metrics.verdicts.forget(KEY)
    assert metrics.exposition() == empty


def test_a_result_that_changed_or_a_finding_that_vanished_leaves_no_series():
    metrics = Metrics(lambda: 0.0)
    metrics.verdicts.record(KEY, [finding(), finding("CFG-003")], STATUS, {})
    metrics.verdicts.record(KEY, [finding(result=Result.PASS)], STATUS, {})

    assert [labels[3] for labels in samples(metrics, "readiness_control_result")] == ["Pass"]


def test_undeclared_capabilities_are_no_series():
    metrics = Metrics(lambda: 0.0)
    metrics.verdicts.record(KEY, [finding(capability="cors")], STATUS, {})

    assert samples(metrics, "readiness_control_result") == {}


def test_ten_thousand_policies_come_and_go():
    metrics = Metrics(lambda: 0.0)
    empty = len(metrics.exposition())
    for number in range(10_000):
        metrics.verdicts.record(("n", str(number)), [finding()], STATUS, {})
    assert len(metrics.exposition()) > 1_000_000
    for number in range(10_000):
        metrics.verdicts.forget(("n", str(number)))

    assert len(metrics.exposition()) == empty


def test_names_cannot_break_out_of_their_label():
    metrics = Metrics(lambda: 0.0)
    evil = 'a"} 1\nreadiness_leader 9\n\\'
    metrics.verdicts.record(("n", "p"), [finding(target=evil)], STATUS, {})

    assert next(iter(samples(metrics, "readiness_control_result")))[5] == evil
    assert samples(metrics, "readiness_leader") == {(): 0.0}


def test_passes_calls_and_looks_are_counted_in_closed_label_sets():
    metrics = Metrics(lambda: 0.0)

    class Conflict(Exception):  # noqa: N818
        status = 409

    for error in (None, Conflict(), ValueError()):
        metrics.worked(KEY, 0.1, error)
    metrics.called("PATCH", 200)
    metrics.called("EVIL\n", 0)
    metrics.looked([("SHD-008", "a"), ("SHD-008", "b")])

    assert samples(metrics, "readiness_reconcile_total") == {
        ("success",): 1, ("conflict",): 1, ("error",): 1}  # fmt: skip
    assert samples(metrics, "readiness_api_requests_total") == {("200", "PATCH"): 1, ("0", "other"): 1}  # fmt: skip
    assert samples(metrics, "readiness_looks_total") == {("SHD-008",): 2}

"""What would take the pods of a drill for its own: by absence, or because it selects every pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.control import Subject
from readiness.drills.selected import selected
from readiness.naming import DRILL

from .simulated import Pod
from .test_shapes import TABLE
from .worlds import subject_of

NO_APP = {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}
NOT_BATCH = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["batch"]}]}
NO_DRILL = {"matchExpressions": [{"key": DRILL, "operator": "DoesNotExist"}]}
OF_APP = {"matchLabels": {"app": "api"}}
DNS = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}  # fmt: skip
PORT_53 = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
SAME = {"to": [{"podSelector": {}}]}
STORE = {"ports": [{"port": 5432}]}
RANGE = {"ports": [{"port": 53, "endPort": 6379}]}


def named(spec: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return ({"metadata": {"name": "x"}, "spec": spec},)


def world(own: Any = None, *, unisolated: bool = False, **seen: Any) -> Subject:
    """A subject in a namespace where this was seen. `own` is the workload's selector."""
    made = subject_of(TABLE["target"], Pod())
    assert made.workload is not None
    template = {"metadata": {"labels": {"app": "api"}}, **made.workload["spec"]["template"]}
    workload = made.workload | {"spec": {"selector": own or OF_APP, "template": template}}
    safety = made.policy.safety.model_copy(update={"unisolated": unisolated})
    policy = made.policy.model_copy(update={"safety": safety})
    return replace(made, policy=policy, workload=workload, snapshot=replace(made.snapshot, **seen))


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (world(), ""),
        (world(budgets=named({"selector": OF_APP})), ""),
        (world(budgets=named({})), ""),
        (world(budgets=named({"selector": {}})), "PodDisruptionBudget x"),
        (world(budgets=named({"selector": NO_APP})), "PodDisruptionBudget x"),
        (world(budgets=named({"selector": NOT_BATCH})), "PodDisruptionBudget x"),
        (world(budgets=named({"selector": NO_DRILL})), "PodDisruptionBudget x"),
        (world(budgets=named({"selector": OF_APP | NOT_BATCH})), ""),
        (world(NOT_BATCH), "Deployment/api"),
        (world(services={"web": {"spec": {"selector": {"app": "api"}}}, "other": {"spec": {}}}), ""),
        (world(services={"web": {"spec": {"selector": {"app.kubernetes.io/part-of": "readiness"}}}}), "Service web"),
    ],
    ids=[
        "nothing", "a budget of the application", "a budget of nobody", "of everybody", "of whoever is no application",
        "of all but some", "excluding clones, not the drill's own pod", "of the application and not of some",
        "the workload's own selector", "its Service", "a Service of ours",
    ],
)  # fmt: skip
def test_whatever_counts_pods(subject: Subject, said: str) -> None:
    verdict = selected(subject)

    assert (verdict is not None) is bool(said)
    if verdict is not None:
        assert (verdict.result, verdict.reason) == ("Unknown", "ClonesSelected")
        assert said in verdict.message
        assert verdict.fix


@pytest.mark.parametrize(
    ("pods", "rules", "refused"),
    [
        ({}, [], False),
        ({}, [DNS], False),
        ({}, [PORT_53], False),
        ({}, [DNS, PORT_53, SAME], True),
        ({}, [STORE], True),
        ({}, [RANGE], True),
        ({}, [SAME | PORT_53], False),
        ({}, [{"to": [*DNS["to"], *SAME["to"]]}], True),
        ({}, [{}], False),
        (NO_APP, [STORE], True),
        (NO_DRILL, [STORE], False),
        (OF_APP, [STORE], False),
    ],
    ids=[
        "deny", "the cluster's DNS", "port 53", "pods of the namespace", "a port of stores", "more than that port",
        "port 53 of some", "DNS and others", "everywhere: the clone sees that itself", "by absence", "drills excluded", "of the application",
    ],
)  # fmt: skip
def test_whatever_adds_to_what_a_clone_may_reach(pods: Any, rules: Any, refused: bool) -> None:
    found = named({"podSelector": pods, "policyTypes": ["Egress"], "egress": rules})
    verdict = selected(world(network_policies=found))

    assert (verdict is not None and verdict.reason == "NotIsolated") is refused
    assert selected(world(network_policies=found, unisolated=True)) is None


def test_without_a_workload_there_is_no_clone() -> None:
    assert selected(replace(world(budgets=named({"selector": {}})), workload=None)) is None

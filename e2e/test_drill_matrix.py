"""The matrix control × defect of drills, on real pods: how the specimen starts and what it logs, judged by the operator.

A clone or more per control and defect: minutes, where test_matrix.py takes seconds. So it runs with the slow suite.
READINESS_ROWS holds parts of the names of the rows that are wanted, beside the healthy one.
"""

import os
from collections.abc import Mapping

import pytest

import matrix
from operator_fixture import Manifest, Operator, policy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE, PROFILE, HEALTHY = "drill-matrix", "drill-matrix", "healthy"
ROLLOUT_SECONDS, VERDICT_SECONDS = 600, 5400
CHOSEN = os.environ.get("READINESS_ROWS", "").split(",")
ROWS = {id_: d for id_, d in matrix.START_DEFECTS.items() if any(part in id_ for part in CHOSEN)}
Findings = Mapping[str, Mapping[str, Manifest]]


@pytest.fixture(scope="module")
def found(operator: Operator) -> Findings:
    """Findings by policy and control, of every defect and of the healthy specimen."""
    operator.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, profile()
    )
    operator.permit_drills(SPACE)
    names = {HEALTHY: ""} | {matrix.slug(id_): id_ for id_ in ROWS}
    operator.apply(*(deployment(name, operator.specimen, id_) for name, id_ in names.items()))
    operator.rolled_out(SPACE, ROLLOUT_SECONDS)
    operator.apply(*map(drilled, names))
    return operator.verdicts(set(names), VERDICT_SECONDS)


def test_every_control_holds_on_the_healthy_specimen(found: Findings) -> None:
    assert not_passing(found[HEALTHY]) == matrix.expected_of_drills(None)
    assert found[HEALTHY].keys() == set(matrix.DRILL_CONTROLS)


@pytest.mark.parametrize("defect", ROWS.values(), ids=lambda d: d.id)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    found: Findings, defect: matrix.StartDefect
) -> None:
    assert not_passing(found[matrix.slug(defect.id)]) == matrix.expected_of_drills(defect)


def not_passing(rows: Mapping[str, Manifest]) -> dict[str, str]:
    return {id_: row["reason"] for id_, row in rows.items() if row["result"] != "Pass"}


def profile() -> Manifest:
    spec = {
        "description": "Start-up and error drills, for the matrix.",
        "controls": [{"id": id_} for id_ in matrix.DRILL_CONTROLS],
    }
    meta = {"name": PROFILE}
    return {"apiVersion": "readiness.dev/v1alpha1", "kind": "ReadinessProfile", "metadata": meta, "spec": spec}  # fmt: skip


def drilled(name: str) -> Manifest:
    """The policy of one specimen."""
    spec = {"profiles": [PROFILE], "safety": {"allow": ["drill"]}, "targets": [matrix.drill_target(name)]}  # fmt: skip
    return policy(SPACE, name, spec)


def deployment(name: str, image: str, defect: str) -> Manifest:
    """One pod of the specimen in production's settings."""
    env = matrix.DRILL_ENVIRONMENT | {"DEFECTS": defect}
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 2},
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    pod = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}  # fmt: skip
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": SPACE}, "spec": spec}  # fmt: skip

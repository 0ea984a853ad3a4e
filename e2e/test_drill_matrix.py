"""The matrix control × defect of drills, on real pods: how the specimen starts, what it logs and how it ends, judged by the operator.

A clone or more per control and defect: minutes, where test_matrix.py takes seconds. So it runs with the slow suite.
READINESS_ROWS holds parts of the names of the rows that are wanted, beside the healthy ones.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

import matrix
from operator_fixture import Manifest, Operator, policy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SPACE, SERVICE = "drill-matrix", "specimen"
ROLLOUT_SECONDS, VERDICT_SECONDS = 600, 10800
CHOSEN = os.environ.get("READINESS_ROWS", "").split(",")
Findings = Mapping[str, Mapping[str, Manifest]]


@dataclass(frozen=True)
class Family:
    """What is alike in all rows of one matrix."""

    defects: Mapping[str, matrix.StartDefect]
    controls: tuple[str, ...]
    declared: Manifest
    environment: Mapping[str, str]
    pod: Callable[[Manifest, matrix.StartDefect | None], Manifest]


@dataclass(frozen=True)
class Row:
    """One specimen; without a defect the healthy one of its family."""

    family: Family
    name: str
    defect: matrix.StartDefect | None = None


FAMILIES = {
    "start": Family(matrix.START_DEFECTS, matrix.DRILL_CONTROLS, matrix.DRILL_DECLARED, matrix.DRILL_ENVIRONMENT, matrix.start_pod),
    "stop": Family(matrix.STOP_DEFECTS, matrix.STOP_CONTROLS, matrix.STOP_DECLARED, matrix.STOP_ENVIRONMENT, matrix.stop_pod),
}  # fmt: skip
ROWS = [Row(family, f"healthy-{name}") for name, family in FAMILIES.items()] + [
    Row(family, matrix.slug(id_), defect)
    for family in FAMILIES.values()
    for id_, defect in family.defects.items()
    if any(part in id_ for part in CHOSEN)
]


@pytest.fixture(scope="module")
def found(operator: Operator) -> Findings:
    """Findings by policy and control, of every row."""
    operator.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    operator.permit_drills(SPACE)
    operator.apply(claim(), service(), *(deployment(row, operator.specimen) for row in ROWS))
    operator.rolled_out(SPACE, ROLLOUT_SECONDS)
    operator.apply(*map(drilled, ROWS))
    return operator.verdicts({row.name for row in ROWS}, VERDICT_SECONDS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_defect_fails_exactly_the_controls_that_name_it(found: Findings, row: Row) -> None:
    wrong = {id_: f["reason"] for id_, f in found[row.name].items() if f["result"] != "Pass"}

    assert wrong == matrix.expected_of_drills(row.defect)
    assert found[row.name].keys() == {*row.family.controls}


def claim() -> Manifest:
    """What all of them keep their data on."""
    return {**matrix.DRILL_CLAIM, "metadata": {**matrix.DRILL_CLAIM["metadata"], "namespace": SPACE}}  # fmt: skip


def service() -> Manifest:
    """Leads to all of them: what comes through it is not looked at."""
    spec = {"selector": {"part": SERVICE}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}  # fmt: skip
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": SPACE}, "spec": spec}  # fmt: skip


def drilled(row: Row) -> Manifest:
    """The policy of one specimen."""
    controls = [{"id": id_} for id_ in row.family.controls]
    target = matrix.drill_target(row.name, row.family.declared)
    return policy(SPACE, row.name, {"profiles": [], "controls": controls, "safety": {"allow": ["drill"]}, "targets": [target]})  # fmt: skip


def deployment(row: Row, image: str) -> Manifest:
    """One pod of the specimen in production's settings."""
    env = {**row.family.environment, "DEFECTS": row.defect.id if row.defect else ""}
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
    labels = {"app": row.name}
    template = {"metadata": {"labels": labels | {"part": SERVICE}}, "spec": row.family.pod(container, row.defect)}  # fmt: skip
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": row.name, "namespace": SPACE}, "spec": spec}  # fmt: skip

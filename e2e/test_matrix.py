"""The matrix control × defect on real pods, judged by the operator as it is installed: no cell may be wrong.

One Deployment and one policy per defect, all judged side by side; tests/apps runs the same tables without a cluster.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import demo
import manifest_defects
import matrix
from image import SPECIMEN_HOME
from manifest_defects import LIVE_CONTROLS, POD_CONTROLS, STATIC_CONTROLS, ManifestDefect
from operator_fixture import Manifest, Operator, policy, server

pytestmark = pytest.mark.e2e
SPACE, PROFILE = "matrix", "http-matrix"
EDGE_CONTROLS = ("HDR-003", "OBS-012")
ROLLOUT_SECONDS, VERDICT_SECONDS = 600, 1200
HEALTHY = {"healthy-python": (), "healthy-node": ("node", f"{SPECIMEN_HOME}/node/server.mjs")}
TABLE = manifest_defects.table()
Findings = Mapping[str, Mapping[str, Manifest]]


@pytest.fixture(scope="module")
def found(operator: Operator) -> Findings:
    """Findings by policy and control, of every defect and of the healthy ones."""
    names = {matrix.slug(id_): id_ for id_ in matrix.DEFECTS}
    objects = [profile()]
    for name, command in HEALTHY.items():
        objects += server(SPACE, name, operator.servers if command else operator.specimen, command)
    for name, id_ in names.items():
        objects += server(SPACE, name, operator.specimen, (), id_)
    for id_, defect in {"manifest/none": None, **TABLE}.items():
        objects += manifests(matrix.slug(id_), defect, operator.specimen)
    operator.apply(*objects)
    operator.rolled_out(SPACE, ROLLOUT_SECONDS)
    policies = [http_policy(name, None) for name in HEALTHY]
    policies += [http_policy(name, matrix.DEFECTS[id_]) for name, id_ in names.items()]
    operator.apply(*policies)
    ours = {each["metadata"]["name"] for each in policies}
    ours |= {matrix.slug(id_) for id_ in ("manifest/none", *TABLE)}
    return operator.verdicts(ours, VERDICT_SECONDS)


@pytest.mark.parametrize("name", HEALTHY)
def test_every_control_holds_on_a_healthy_variant(found: Findings, name: str) -> None:
    assert results(found[name], matrix.HTTP_CONTROLS) == matrix.expected(None)


@pytest.mark.parametrize("defect", matrix.DEFECTS.values(), ids=lambda d: d.id)
def test_a_defect_fails_exactly_the_controls_that_name_it(
    found: Findings, defect: matrix.Defect
) -> None:
    judged = judged_controls(defect)
    expected = {id_: result for id_, result in matrix.expected(defect).items() if id_ in judged}

    assert results(found[matrix.slug(defect.id)], judged) == expected


def test_the_sample_holds(found: Findings) -> None:
    assert failing(found["manifest-none"]) == {}
    assert all(row["result"] == "Pass" for row in found["manifest-none"].values())


@pytest.mark.parametrize("defect", TABLE.values(), ids=lambda d: d.id)
def test_a_manifest_defect_fails_exactly_the_controls_that_name_it(
    found: Findings, defect: ManifestDefect
) -> None:
    rows = found[matrix.slug(defect.id)]
    open_ = {id_: row["reason"] for id_, row in rows.items() if row["result"] == "Unknown"}
    judged = {
        id_ for id_ in (*STATIC_CONTROLS, *LIVE_CONTROLS) if defect.pods or id_ not in POD_CONTROLS
    }

    assert failing(rows) == dict(defect.fails)
    assert {k: v for k, v in open_.items() if k in judged} == dict(defect.unproven)
    assert judged <= rows.keys()


def results(rows: Mapping[str, Manifest], ids: tuple[str, ...]) -> dict[str, str]:
    return {id_: rows[id_]["result"] if id_ in rows else "absent" for id_ in ids}


def failing(rows: Mapping[str, Manifest]) -> dict[str, str]:
    return {id_: row["reason"] for id_, row in rows.items() if row["result"] == "Fail"}


def judged_controls(defect: matrix.Defect) -> tuple[str, ...]:
    """Defects of the edge, and of caches before it, are looked at there as well: every request takes its turn."""
    return tuple(
        id_ for id_ in matrix.HTTP_CONTROLS if has_edge(defect) or id_ not in EDGE_CONTROLS
    )


def has_edge(defect: matrix.Defect | None) -> bool:
    return defect is None or bool({*EDGE_CONTROLS, "HDR-001"} & defect.fails.keys())


def profile() -> Manifest:
    spec = {
        "description": "Every HTTP control, for the matrix.",
        "controls": [{"id": id_} for id_ in matrix.HTTP_CONTROLS],
    }
    return {
        "apiVersion": "readiness.dev/v1alpha1",
        "kind": "ReadinessProfile",
        "metadata": {"name": PROFILE},
        "spec": spec,
    }


def http_policy(name: str, defect: matrix.Defect | None) -> Manifest:
    target = matrix.target(
        name, f"https://{name}.{SPACE}.svc.cluster.local:8443", defect.declares if defect else {}
    )
    if not has_edge(defect):
        del target["externalURL"]
    return policy(SPACE, name, {"profiles": [PROFILE], "targets": [target]})


def manifests(name: str, defect: ManifestDefect | None, image: str) -> Iterator[Manifest]:
    """The sample with a defect in a namespace of its own. Where pods prove nothing, none run."""
    objects = manifest_defects.healthy()
    objects = defect.plant(objects) if defect else objects
    deployment = manifest_defects.kind(objects, "Deployment")
    declared = manifest_defects.kind(objects, "ReadinessPolicy")
    declared = policy(name, name, declared["spec"])
    objects = [*(each for each in objects if each["kind"] != declared["kind"]), declared]
    deployment["spec"]["strategy"] = {
        "type": "Recreate"
    }  # a defect that is never ready would never be rolled out
    if defect and not defect.pods:
        deployment["spec"]["replicas"] = 0
        declared["spec"]["controls"] = [{"id": id_, "mode": "off"} for id_ in POD_CONTROLS]
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for each in objects:
        each["metadata"]["namespace"] = name
        yield replaced(each, demo.SPECIMENS[0], image)


def replaced(value: Any, old: str, new: str) -> Any:
    """The same with one text in place of another."""
    if isinstance(value, dict):
        return {key: replaced(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, old, new) for inner in value]
    return new if value == old else copy.deepcopy(value)

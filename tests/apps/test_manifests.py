"""The matrix of manifests without a cluster: every defect × every static control, as `readiness check` judges."""

import pytest

import manifest_defects
from manifest_defects import LIVE_CONTROLS, STATIC_CONTROLS, ManifestDefect
from readiness import plan, rules
from readiness.cli.worlds import Defaults, worlds_of
from readiness.files import Located
from readiness.model import Finding

RULES = rules.load()
TABLE = manifest_defects.table()
STATIC = [d for d in TABLE.values() if not (d.pods or d.live)]


def findings(defect: ManifestDefect | None) -> dict[str, Finding]:
    objects = manifest_defects.healthy()
    placed = [Located(m, "app.yaml", 1) for m in (defect.plant(objects) if defect else objects)]
    world = next(worlds_of(placed, Defaults()))
    decided = plan.make(RULES, plan.Situation(world.policy, world.snapshot, {}, 0.0), {})
    return {f.id: f for f in decided.findings}


def test_the_sample_holds() -> None:
    found = findings(None)

    assert {id_: str(found[id_].result) for id_ in STATIC_CONTROLS} == dict.fromkeys(
        STATIC_CONTROLS, "Pass"
    )


@pytest.mark.parametrize("defect", STATIC, ids=lambda d: d.id)
def test_a_defect_fails_exactly_the_controls_that_name_it(defect: ManifestDefect) -> None:
    found = findings(defect)
    failing = {id_: f.verdict.reason for id_, f in found.items() if f.result == "Fail"}
    holding = {id_ for id_ in STATIC_CONTROLS if found[id_].holds}

    assert failing == dict(defect.fails)
    assert holding == set(STATIC_CONTROLS) - set(defect.fails)


def test_every_control_of_the_matrix_has_a_defect_of_its_own() -> None:
    named = {id_ for defect in TABLE.values() for id_ in defect.fails}

    assert named == {*STATIC_CONTROLS, *LIVE_CONTROLS} - {"HLT-001", "HLT-002"}

"""No control that a drill decides, nor its passive twin, is without a defect that fails it. Who adds one adds a row, too."""

from collections.abc import Mapping, Sequence

import pytest

import jobs
import matrix
import readiness.controls
from readiness.control import Control, Requirement
from readiness.model import Safety
from readiness.registry import discover

Rows = Mapping[str, matrix.StartDefect] | Mapping[str, jobs.JobDefect]
MATRICES: Mapping[str, tuple[Rows, Sequence[str]]] = {
    "start": (matrix.START_DEFECTS, matrix.DRILL_CONTROLS),
    "faults": (matrix.FAULT_DEFECTS, matrix.FAULT_CONTROLS),
    "jobs": (jobs.DEFECTS, jobs.CONTROLS),
    "stop": (matrix.STOP_DEFECTS, matrix.STOP_CONTROLS),
    "twins": (matrix.TWIN_DEFECTS, matrix.TWIN_CONTROLS),
}


def test_every_control_that_a_drill_decides_and_its_twin_has_a_defect_of_its_own() -> None:
    known = discover(readiness.controls, Requirement)
    drilled = {i for i, c in known.items() if isinstance(c, Control) and c.safety is Safety.DRILL}
    twins = {f"{id_}p" for id_ in drilled} & known.keys()
    covered = {id_.partition("/")[0] for rows, _ in MATRICES.values() for id_ in rows}

    assert covered == drilled | twins
    assert twins == {"SHD-001p", "SHD-010p"}


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_judges_the_controls_of_its_rows_and_no_others(name: str) -> None:
    rows, controls = MATRICES[name]

    assert {id_.partition("/")[0] for id_ in rows} == {*controls}
    assert {id_ for row in rows.values() for id_ in (*row.fails, *row.unproven)} <= {*controls}
    assert [id_ for id_, row in rows.items() if id_.partition("/")[0] not in row.fails] == []

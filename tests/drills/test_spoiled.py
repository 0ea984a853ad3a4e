"""The rule that fails nobody for what happened around a clone: every control of drills goes through it."""

from __future__ import annotations

import pytest

from readiness.control import Control
from readiness.drills.spoiled import KEPT, LATE
from readiness.model import Safety

from . import test_faulting, test_jobs, test_majority, test_outage, test_rows, test_starting
from .test_oversize import CONTROL
from .test_oversize import ROWS as BODIES
from .test_shapes import SHAPES
from .worlds import KNOWN

TABLES = (test_faulting, test_jobs, test_majority, test_rows, test_starting)
ROWS = (*(row for table in TABLES for row in table.ROWS), *SHAPES)


def test_every_drill_has_rows_that_are_spoiled() -> None:
    drilled = {i for i, c in KNOWN.items() if isinstance(c, Control) and c.safety is Safety.DRILL}
    shown = {CONTROL.id, *(id_ for table in TABLES for id_ in table.CONTROLS)}

    assert shown == drilled


@pytest.mark.parametrize("reason", sorted(LATE | KEPT))
def test_what_the_rule_names_is_what_some_control_says(reason: str) -> None:
    told = {word for row in ROWS for word in row["expect"].values()}

    outages = {f"{result} {said}" for _, result, said in test_outage.CASES.values()}

    assert f"Fail {reason}" in told | outages | {row["expect"] for row in BODIES}

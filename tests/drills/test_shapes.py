"""The golden table: what the judge of shutdown drills says of servers that stop differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .simulated import Pod, Server
from .worlds import subject_of, told, verdict_of

TABLE = yaml.load((Path(__file__).parent / "shapes.yaml").read_text(), yaml.CSafeLoader)
SHAPES = TABLE["shapes"]
CLOCKS = [(0.05, 0.0), (0.15, 0.37), (0.6, 0.99)]


def verdicts(shape: dict[str, Any], lag: float, second: float) -> dict[str, Any]:
    target = TABLE["target"] | {"shutdown": TABLE["target"]["shutdown"] | shape.get("declares", {})}
    pod = Pod(**shape.get("pod", {}) | {"lag": lag, "epoch": 1_000_000_000 + second})
    subject, server = subject_of(target, pod), Server(**shape["server"])
    return {id_: verdict_of(id_, subject, server, pod) for id_ in shape["expect"]}


@pytest.mark.parametrize("shape", SHAPES, ids=[s["name"] for s in SHAPES])
def test_shape(shape: dict[str, Any]) -> None:
    looks = [verdicts(shape, *clock) for clock in CLOCKS]

    for look in looks:
        assert {id_: told(v) for id_, v in look.items()} == shape["expect"], look
    for look in looks[1:]:
        assert look == looks[0], "a repeated look must give an equal verdict"
    for id_, part in shape.get("evidence", {}).items():
        assert part in looks[0][id_].evidence


def test_there_are_enough_of_them() -> None:
    names = [shape["name"] for shape in SHAPES]

    assert len(set(names)) == len(names) >= 16
    assert all(len(shape["expect"]) == 5 and shape["why"] for shape in SHAPES)

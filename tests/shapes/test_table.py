"""What is expected of a drill follows from what was seen of the servers with other tools, by the rules on paper.

Nothing of the operator is imported: the same mistake cannot stand in the table and in the judge.
"""

import re
import sys
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parents[2] / "e2e"
sys.path[:0] = [str(E2E)]

import shapes  # noqa: E402 (the path must be set first)

DRAIN, SLACK, IDLE, PROPAGATION, ATTEMPTS = 15, 2, 3, 5, 10
SEEN = {
    row[0]: row[1:]
    for row in (line.split("\t") for line in (shapes.HERE / "truth.tsv").read_text().splitlines())
    if not row[0].startswith("#")
}


def counts(cell: str) -> dict[str, int]:
    """`9 refused, 1 200` as a mapping."""
    return {word: int(count) for count, word in re.findall(r"(\d+) ([^,]+)", cell)}


def verdicts(name: str) -> dict[str, str]:
    """The rules of each control on what was seen."""
    flight, _, code, busy, idle, first, later, alive = SEEN[name]
    duck = 5 if shapes.TABLE[name].declared.get("lameDuck") else 0
    lost = counts(flight).keys() - {"whole"}
    orderly = code in ("0", "143") and int(busy) <= DRAIN + SLACK and not lost
    after, served = counts(later), counts(first)
    share = served.get("200", 0) / sum(served.values())
    taken = after.get("200", 0) >= 2 or (alive.split(", ")[1] == "200" and not duck)
    few = sum(after.values()) < ATTEMPTS
    return {
        "SHD-001": "Pass" if orderly else "Fail",
        "SHD-003": "Fail" if taken else "Unknown" if few and lost else "Pass",
        "SHD-004": "Fail" if lost else "Pass",
        "SHD-006": "Pass" if int(idle) <= IDLE + duck else "Fail",
        "SHD-010": "Pass" if share >= 0.99 else "Fail",
    }


@pytest.mark.parametrize("name", shapes.TABLE)
def test_expected_is_what_follows_from_the_truth(name: str) -> None:
    shape = shapes.TABLE[name]

    assert {control: shape.result(control) for control in shapes.CONTROLS} == verdicts(name)


def test_every_shape_was_seen() -> None:
    assert SEEN.keys() == shapes.TABLE.keys()


def test_every_shape_is_a_deployment_and_a_service() -> None:
    made = [(each["kind"], each["metadata"]["name"]) for each in shapes.manifests("space")]

    assert made == [(kind, name) for name in shapes.TABLE for kind in ("Deployment", "Service")]


def test_the_same_software_has_the_same_image_name_again() -> None:
    names = {key: recipe.image for key, recipe in shapes.RECIPES.items()}

    assert names == {key: recipe.image for key, recipe in shapes.RECIPES.items()}
    assert len(set(names.values())) == len(names)

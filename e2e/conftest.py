"""What every end-to-end suite may use: this directory's modules, a cluster, and the operator in it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "apps")]

import pytest  # noqa: E402 (the path must be set first)

from operator_fixture import cluster, operator  # noqa: E402

__all__ = ["cluster", "operator"]
LONGEST_SECONDS = 1800
"""Of one test with its fixtures: the first one of a machine builds Kubernetes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What repeats ends when it ends; everything else gets the time of clusters, not of unit tests."""
    for item in items:
        if item.path.is_relative_to(HERE):
            seconds = 0 if item.get_closest_marker("slow") else LONGEST_SECONDS
            item.add_marker(pytest.mark.timeout(seconds))

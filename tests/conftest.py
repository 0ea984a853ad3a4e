"""What every test may use. `e2e` holds `localcluster`, this directory the API server's fixture."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import pytest  # noqa: E402 (the path must be set first)
from apiserver import _leaves_nothing, api_server, proxy  # noqa: E402

__all__ = ["_leaves_nothing", "api_server", "proxy"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What repeats or waits in real time ends when it ends."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))

"""What every end-to-end suite may use: this directory's modules, a cluster, and the operator in it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "apps")]

from operator_fixture import cluster, operator  # noqa: E402 (the path must be set first)

__all__ = ["cluster", "operator"]

"""What every test may use. `e2e` holds `localcluster`, this directory the API server's fixture."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from apiserver import api_server  # noqa: E402 (the path must be set first)

__all__ = ["api_server"]

"""Makes `localcluster` importable, which lives with the end-to-end suite."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))

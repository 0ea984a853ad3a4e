"""e2e's modules and the specimen, as the tests of the specimen import them."""

import sys
from pathlib import Path

E2E = Path(__file__).resolve().parents[2] / "e2e"
sys.path[:0] = [str(E2E), str(E2E / "apps")]

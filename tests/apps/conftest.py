"""e2e's modules, as the tests of the specimen import them."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "e2e")]

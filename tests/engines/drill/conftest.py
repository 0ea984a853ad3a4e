"""Lets the tests of the drill's engine share their servers and their stage."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

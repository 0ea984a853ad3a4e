"""What is derived is committed as it would be derived now."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_generated_pages_are_current():
    script = runpy.run_path(str(ROOT / "tools" / "generate.py"))
    stale = [
        p.name for p, text in script["pages"]().items() if not p.exists() or p.read_text() != text
    ]

    assert stale == [], "run make generate"

"""Writes everything that is derived: crds/ from the models, then the chart's copies and manifests/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "operator"))

from readiness.crd import build_crds, render_crd  # noqa: E402 (the path must be set first)


def main() -> int:
    """Generates, saying which files changed."""
    for name, crd in build_crds().items():
        path, text = ROOT / "crds" / name, render_crd(crd)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"crds/{name}: changed")
    return subprocess.run(
        [sys.executable, ROOT / "manifests" / "generate.py"], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Writes everything that is derived: crds/ from the models, the chart's copies, manifests/, pages of docs/."""

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
    scripts = (ROOT / "manifests" / "generate.py", ROOT / "e2e" / "pages.py")
    return max(subprocess.run([sys.executable, each], check=False).returncode for each in scripts)


if __name__ == "__main__":
    sys.exit(main())

"""Writes everything that is derived: crds/ from the models, the chart's copies, manifests/, pages of docs/."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "operator"))

from readiness.crd import build_crds, render_crd  # noqa: E402 (the path must be set first)

SETTINGS = """<!-- Made by tools/generate.py from operator/readiness/settings.py. Do not edit. -->
# Settings of the operator process

Environment variables of `readiness run`. The chart sets what its values say; `extraEnv` adds others. All mistakes
are reported at once at the start, each with what was expected and what was found. Times are seconds.

| variable | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    """docs/settings.md: each field of Settings with its default and the sentence below it."""
    source = (ROOT / "operator" / "readiness" / "settings.py").read_text(encoding="utf-8")
    body = next(n.body for n in ast.parse(source).body if getattr(n, "name", "") == "Settings")
    rows = []
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            default = ast.literal_eval(field.value) if field.value else ""
            shown = f"`{default}`" if default not in ("", ()) else ""
            rows.append(f"| `READINESS_{field.target.id.upper()}` | {shown} | {text.value.value} |")
    return SETTINGS + "\n".join(rows) + "\n"


def pages() -> dict[Path, str]:
    """What this script derives by itself."""
    crds = {ROOT / "crds" / name: render_crd(crd) for name, crd in build_crds().items()}
    return crds | {ROOT / "docs" / "settings.md": settings_page()}


def main() -> int:
    """Generates, saying which files changed."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: changed")
    scripts = (ROOT / "manifests" / "generate.py", ROOT / "e2e" / "pages.py")
    return max(subprocess.run([sys.executable, each], check=False).returncode for each in scripts)


if __name__ == "__main__":
    sys.exit(main())

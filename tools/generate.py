"""Writes everything that is derived: crds/ and api/defaults.py from the models, the chart's copies, manifests/, pages of docs/."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "operator"))

from readiness.api.policy import ControlSetting, PolicySpec  # noqa: E402 (the path must be set first)
from readiness.api.profile import Floor, ProfileSpec  # noqa: E402
from readiness.api.target import Target, WorkloadRef  # noqa: E402
from readiness.api.types import Schema  # noqa: E402
from readiness.backups.dashboard import build_dashboard  # noqa: E402
from readiness.crd import build_crds, render_crd  # noqa: E402

SETTINGS = """<!-- Made by tools/generate.py from operator/readiness/settings.py. Do not edit. -->
# Settings of the operator process

Environment variables of `readiness run`. The chart sets what its values say; `extraEnv` adds others. All mistakes
are reported at once at the start, each with what was expected and what was found. Times are seconds.

| variable | default | meaning |
|---|---|---|
"""

DEFAULTS = '''"""What fields are when nobody sets them. Made by tools/generate.py from the models. Do not edit."""

from types import SimpleNamespace as Plain
from typing import Any, Final

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
'''
PLAIN = (PolicySpec, Target, WorkloadRef, ProfileSpec, ControlSetting, Floor)


def defaults_module() -> str:
    """api/defaults.py: what api/plain.py knows of the models without importing them."""
    rows = []
    for model in PLAIN:
        fields = {n: f.get_default() for n, f in model.model_fields.items() if not f.is_required()}
        parts = ", ".join(f'"{name}": {code(value)}' for name, value in fields.items())
        rows.append(f'    "{model.__name__}": {{{parts}}},\n')
    return f"{DEFAULTS}{''.join(rows)}}}  # fmt: skip\n"


def code(value: Any) -> str:
    """A default as Python."""
    if isinstance(value, Schema):
        return f"Plain({', '.join(f'{name}={code(part)}' for name, part in value)})"
    if isinstance(value, tuple):
        return f"({''.join(f'{code(item)},' for item in value)})"
    return json.dumps(value) if isinstance(value, str) else repr(value)


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
    return crds | {
        ROOT / "operator" / "readiness" / "api" / "defaults.py": defaults_module(),
        ROOT / "manifests" / "dashboards" / "backups.json": json.dumps(build_dashboard(), indent=2)
        + "\n",
        ROOT / "docs" / "settings.md": settings_page(),
    }


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

"""Writes everything that is derived: crds/ and api/defaults.py from the models, the profiles of checklists, the chart's copies, manifests/, pages of docs/."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "operator" / "readiness" / "profiles"
sys.path.insert(0, str(ROOT / "operator"))

from readiness import controls, registry  # noqa: E402 (the path must be set first)
from readiness.api.policy import ControlSetting, PolicySpec  # noqa: E402
from readiness.api.profile import Floor, ProfileSpec  # noqa: E402
from readiness.api.target import Target, WorkloadRef  # noqa: E402
from readiness.api.types import Schema  # noqa: E402
from readiness.backups.dashboard import build_dashboard  # noqa: E402
from readiness.control import Requirement  # noqa: E402
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
CHECKLISTS = {
    "000": ("or3-cloud", "a cloud of chats and files on providers that can be exchanged"),
    "001": ("or3-providers", "providers of login, files and synchronisation"),
    "002": ("job-queue", "a queue of jobs over Redis, MongoDB and RabbitMQ, before production"),
    "003": ("fastapi-mongo", "an API over MongoDB that is to leave the state of a prototype"),
    "004": ("omnios", "foundation and vital signs of an editor with accounts"),
}
"""The five checklists that the controls come from, by the number in `Requirement.checklists`: name of the profile, what it is about."""
PROFILE = """# Made by tools/generate.py from `checklists` of the controls. Do not edit.
# What is not declared or not allowed counts as unproven here, and nothing is weakened without a waiver.
description: "Checklist {number}, {about}: whatever controls judge of it."
controls:
{controls}
floor:
{floor}
"""
LINES = """<!-- Made by tools/generate.py from `checklists` of the controls. Do not edit. -->
# Checklists

Five checklists are profiles that ship with the operator. Named in `spec.profiles`, one demands all that controls judge of it: what a target does not declare, or `safety`
does not allow, is unproven instead of left out, and mode, severity and limits are a floor that a policy goes below only with a waiver. Controls of data services
are asked of those that a policy declares. Lines that are not listed here are judged by no control yet, or by none from outside: a profile that holds
says nothing of them. Twins (`SHD-001p`) tell what real rollouts show; they are looked at and do not count.
"""
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


def checklist_profile(number: str, rules: list[Requirement]) -> str:
    """profiles/<name>.yaml: the controls of one checklist, and the floor that they are."""
    return PROFILE.format(
        number=number,
        about=CHECKLISTS[number][1],
        controls="\n".join(row(rule.id, *looked_at(rule)) for rule in rules),
        floor="\n".join(row(rule.id, *looked_at(rule), *bounds(rule)) for rule in rules),
    )


def row(*parts: str) -> str:
    """One row of a profile."""
    return f"- {{id: {', '.join(parts)}}}"


def looked_at(rule: Requirement) -> list[str]:
    """A passive twin needs rollouts and time, and its line has another proof."""
    return ["mode: audit"] if rule.id.endswith("p") else []


def bounds(rule: Requirement) -> list[str]:
    """The age and limits that a policy may tighten only. What it says of itself (an allowed value, a class) is no limit."""
    limits = [
        f"{p.name}: {json.dumps(p.default)}"
        for p in rule.params
        if p.stricter in ("lower", "higher", "superset")
    ]
    minutes = int(rule.max_age // 60)
    age = f"maxAge: {minutes // 60}h" if minutes % 60 == 0 else f"maxAge: {minutes}m"
    return [age, f"params: {{{', '.join(limits)}}}"] if limits else [age]


def checklists_page(found: dict[str, list[Requirement]]) -> str:
    """docs/checklists.md: which controls judge a line."""
    text = LINES
    for number, rules in found.items():
        name, about = CHECKLISTS[number]
        lines: dict[str, list[str]] = {}
        for rule in rules:
            for line in rule.checklists:
                if line.startswith(f"{number}/"):
                    lines.setdefault(line.partition("/")[2], []).append(rule.id)
        text += f"\n## {number}: `{name}`\n{about[0].upper()}{about[1:]}.\n\n| line | controls |\n|---|---|\n"
        for line in sorted(lines, key=in_order):
            text += f"| {line} | {', '.join(lines[line])} |\n"
    return text


def in_order(line: str) -> list[tuple[str, int]]:
    """8.a2 before 8.t1 before 10.a1, and letters after numbers."""
    return [(word, int(part or 0)) for word, part in re.findall(r"(\D*)(\d*)", line)]


def of_checklists() -> dict[str, list[Requirement]]:
    """Controls and gates by the checklists whose lines they judge."""
    every: dict[str, Requirement] = registry.discover(controls, Requirement)
    return {
        number: [
            r
            for _, r in sorted(every.items())
            if any(line.startswith(f"{number}/") for line in r.checklists)
        ]
        for number in CHECKLISTS
    }


def pages() -> dict[Path, str]:
    """What this script derives by itself."""
    crds = {ROOT / "crds" / name: render_crd(crd) for name, crd in build_crds().items()}
    found = of_checklists()
    profiles = {
        PROFILES / f"{CHECKLISTS[number][0]}.yaml": checklist_profile(number, rules)
        for number, rules in found.items()
    }
    return (
        crds
        | profiles
        | {
            ROOT / "docs" / "checklists.md": checklists_page(found),
            ROOT / "operator" / "readiness" / "api" / "defaults.py": defaults_module(),
            ROOT / "manifests" / "dashboards" / "backups.json": json.dumps(
                build_dashboard(), indent=2
            )
            + "\n",
            ROOT / "docs" / "settings.md": settings_page(),
        }
    )


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

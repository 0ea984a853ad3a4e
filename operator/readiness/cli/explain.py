"""`readiness explain ID`: what a control asks, why it may fail, and what to do. Needs no cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from readiness import rules
from readiness.cli.console import Console, UsageError, parser
from readiness.cli.controls import profiles_of
from readiness.output.human import paint, wrapped
from readiness.output.sheet import Style

_SAFETY = {
    "passive": "passive: reads what is there",
    "benign": "benign: sends a few ordinary requests",
}


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Ids of controls."""
    found = parser(prog, text)
    found.add_argument("id", nargs="+", metavar="ID", help="for example SHD-008")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints a page per control."""
    known = rules.load()
    chosen = [find(known, id_) for id_ in args.id]
    style = console.style()
    pages = ("\n".join(_page(known, rule, style)) for rule in chosen)
    console.write("\n\n".join(pages) + "\n")
    return 0


def find(known: rules.Rules, id_: str) -> Any:
    """The control with this id, in any case. Raises UsageError with the nearest ids."""
    ids = [*known.controls, *known.gates]
    rule = known.find(next((one for one in ids if one.upper() == id_.upper()), ""))
    if rule is None:
        from difflib import get_close_matches

        near = get_close_matches(id_.upper(), ids, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`readiness controls` lists them"
        raise UsageError(f"no control {id_!r}: {hint}")
    return rule


def _page(known: rules.Rules, rule: Any, style: Style) -> Iterator[str]:
    yield f"{paint(rule.id, '1', style)}  {rule.title}"
    yield ""
    safety = _SAFETY.get(rule.safety.value, f"{rule.safety.value}: needs opting in")
    static = "yes, by `readiness check`" if rule.static else "no, it needs the running application"
    profiles = ", ".join(profiles_of(known, rule.id)) or "none: name it in spec.controls"
    facts = {
        "Severity": rule.severity.value, "Safety": safety, "Offline": static, "Profiles": profiles,
        "Requires": ", ".join(rule.requires),
        "Declared": ", ".join(f"targets[].{need}" for need in rule.needs),
        "Checklists": ", ".join(rule.checklists),
    }  # fmt: skip
    for name, text in facts.items():
        if text:
            yield from wrapped(text, style, f"{name}", indent=2)
    for heading, text in (("Holds when", rule.criterion), ("To meet it", rule.fix)):
        yield ""
        yield paint(heading, "1", style)
        yield from wrapped(text, style, indent=2)
    if rule.params:
        yield ""
        yield paint("Parameters", "1", style)
    for param in rule.params:
        bound = f"; a floor may bound it ({param.stricter})" if param.stricter else ""
        yield from wrapped(
            f"{param.name}: {param.description} Default {param.default!r}{bound}.", style, indent=2
        )

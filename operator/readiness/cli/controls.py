"""`readiness controls`: the list of everything that can be judged. Needs no cluster."""

from __future__ import annotations

import argparse
import json
from typing import Any

from readiness import rules
from readiness.cli.console import Console, parser
from readiness.control import Requirement


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """Narrowing and format."""
    found = parser(prog, text)
    found.add_argument("--profile", metavar="NAME", help="only controls of this built-in profile")
    found.add_argument("-o", "--output", choices=("human", "json", "yaml"), default="human")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints one line or object per control."""
    known = rules.load()
    if args.profile and args.profile not in known.profiles:
        console.fail(
            "readiness controls",
            f"no profile {args.profile!r}: expected one of {', '.join(known.profiles)}",
        )
        return 2
    rows = [row for row in rows_of(known) if not args.profile or args.profile in row["profiles"]]
    if args.output == "json":
        console.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    elif args.output == "yaml":
        import yaml

        console.write(yaml.safe_dump(rows, sort_keys=False, allow_unicode=True))
    else:
        console.write(_table(rows, console.style().width))
    return 0


def rows_of(known: rules.Rules) -> list[dict[str, Any]]:
    """Every control and gate, by id."""
    everything: dict[str, Requirement] = {**known.controls, **known.gates}
    return [
        {
            "id": id_,
            "title": rule.title,
            "family": rule.family,
            "severity": rule.severity.value,
            "safety": rule.safety.value,
            "static": rule.static,
            "profiles": profiles_of(known, id_),
        }
        for id_, rule in sorted(everything.items())
    ]


def profiles_of(known: rules.Rules, id_: str) -> list[str]:
    """The built-in profiles that name this control."""
    return [
        name
        for name, profile in known.profiles.items()
        if id_ in {*(c.id for c in profile.controls), *(f.id for f in profile.floor)}
    ]


def _table(rows: list[dict[str, Any]], width: int) -> str:
    used = 7 + 2 + 2 + 2 + 8 + 2
    lists = max((len(",".join(row["profiles"])) for row in rows), default=8)
    room = max(width - used - lists - 4, 20)
    lines = [f"{'ID':7}  {'SEV':3} {'SAFETY':8}  {'TITLE':{room}}  PROFILES"]
    for row in rows:
        title = row["title"] if len(row["title"]) <= room else row["title"][: room - 1] + "…"
        lines.append(
            f"{row['id']:7}  {row['severity']:3} {row['safety']:8}  {title:{room}}  "
            f"{','.join(row['profiles'])}".rstrip()
        )
    return "\n".join(
        [
            *lines,
            "",
            f"{len(rows)} controls. Next: readiness explain {rows[0]['id']}" if rows else "",
            "",
        ]
    )

"""`readiness status`: how the policies of a namespace, or one in detail, stand."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from readiness.cli import kube
from readiness.cli.console import Console, UsageError
from readiness.cli.told import failures_of
from readiness.gate import condition_of, verdict_of
from readiness.model import Manifest
from readiness.output.human import paint, rows_for_people, wrapped
from readiness.output.sheet import Style

if TYPE_CHECKING:
    from readiness.cluster.connection import Connection

HEAD: Final = ("NAMESPACE", "NAME", "READY", "COMPLIANT", "LEVEL", "FAIL", "COVERAGE", "REASON")
COLOURS: Final = {"True": "32", "False": "31"}


def build_parser(prog: str, text: str) -> argparse.ArgumentParser:
    """One policy or many."""
    found = kube.build_parser(prog, text)
    found.add_argument("name", nargs="?", metavar="NAME", help="one policy, in detail")
    found.add_argument("-A", "--all-namespaces", action="store_true")
    found.add_argument("-o", "--output", choices=("human", "json", "yaml"), default="human")
    return found


def run(args: argparse.Namespace, console: Console) -> int:
    """Prints a table, one policy, or the objects."""
    if args.name and args.all_namespaces:
        raise UsageError("expected NAME or --all-namespaces, not both")
    style = console.style()
    if args.name:
        policy = kube.read_policy(args)
        text = "\n".join(_detail(policy, style)) + "\n"
        console.write(text if args.output == "human" else _data(policy, args.output))
        return 0
    policies = _policies(args)
    if args.output != "human":
        console.write(_data({"apiVersion": "v1", "kind": "List", "items": policies}, args.output))
    elif not policies:
        console.say("no ReadinessPolicy here. All namespaces: readiness status -A")
    else:
        console.write("\n".join(_table(policies)) + "\n")
    return 0


def _policies(args: argparse.Namespace) -> list[Manifest]:
    from readiness.cluster.reading import read_policies

    async def work(connection: Connection, namespace: str) -> list[Manifest]:
        return await read_policies(connection, "" if args.all_namespaces else namespace)

    return kube.read(args, work)


def _data(found: Any, format_: str) -> str:
    if format_ == "json":
        return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


def _table(policies: Sequence[Manifest]) -> Iterator[str]:
    rows = [HEAD, *(_cells(policy) for policy in policies)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        yield "   ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()


def _cells(policy: Manifest) -> tuple[str, ...]:
    meta, status = policy["metadata"], policy.get("status") or {}
    ready, compliant = condition_of(policy, "Ready"), condition_of(policy, "Compliant")
    return (
        meta["namespace"], meta["name"], ready.get("status", "-"), compliant.get("status", "-"),
        status.get("level") or "-", str((status.get("summary") or {}).get("fail", "-")),
        status.get("coverage") or "-", compliant.get("reason", "NotYetJudged"),
    )  # fmt: skip


def _service(row: Manifest) -> str:
    """A data service in a line: how it is, who leads, and how that last changed."""
    ready = sum(member["ready"] for member in row.get("members") or ())
    parts = [
        f"{row.get('kind', '')}: {'ready' if row['ready'] else row.get('reason', 'not ready')}",
        f"{ready} of {len(row.get('members') or ())} pods Ready",
    ]
    if row.get("primary"):
        parts.append(f"primary {row['primary']}" + (" is missed" if row.get("primaryLoss") else ""))
    if last := row.get("lastFailover"):
        parts.append(
            f"last failover {last['at']}: {last['from']} to {last['to']}, {last.get('cause', 'Unknown')}, "
            f"{last.get('seconds', 0)} s without a primary"
        )
    return "; ".join(parts)


def _detail(policy: Manifest, style: Style) -> Iterator[str]:
    meta, status = policy["metadata"], policy.get("status") or {}
    yield f"{paint(meta['name'], '1', style)}  namespace {meta['namespace']}"
    facts = {
        "level": status.get("level") or "none reached", "coverage": status.get("coverage") or "-",
        "enforced": policy["spec"].get("enforcement", "audit"),
        "valid until": status.get("validUntil") or "-",
    }  # fmt: skip
    for name, value in facts.items():
        yield from wrapped(value, style, name, indent=2)
    yield ""
    for row in status.get("conditions") or ():
        value = paint(row["status"].ljust(7), COLOURS.get(row["status"], "33"), style)
        yield f"  {row['type']:15} {value}  {row['reason']}"
        if row["status"] != "True":
            yield from wrapped(row["message"], style)
    for row in status.get("dataServices") or ():
        yield from wrapped(_service(row), style, row["name"], indent=2)
    yield from ("", *rows_for_people(tuple(failures_of(policy)), style))
    for row in status.get("undeclared") or ():
        yield from wrapped(
            f"{row['controls']} controls wait for {row['capability']}: {row['fix']}",
            style,
            indent=2,
        )
    decided = verdict_of(policy, time.time())
    yield from wrapped(decided.message, style, indent=0)
    yield f"Next: readiness report {meta['name']} -n {meta['namespace']}"

"""Findings of worlds as rows for people and formats, with file and line. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from readiness import __version__
from readiness.cli.worlds import World
from readiness.model import Finding, Result, Severity
from readiness.output.sheet import Row, Rule, Sheet
from readiness.rules import Rules


@dataclass(frozen=True, slots=True)
class Judged:
    """What was judged: rows in order, the controls that could not be, and remarks."""

    rows: tuple[Row, ...]
    left_out: frozenset[str] = frozenset()
    undeclared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judged_of(world: World, findings: Sequence[Finding], asked: Collection[str]) -> Judged:
    """The rows of one world. `asked` are the controls in force, judged or not."""
    shown = [f for f in findings if f.counts or not f.capability]
    if (
        "" not in world.places
    ):  # a policy nobody wrote is told about only where it excuses something
        shown = [f for f in shown if f.target or f.result is Result.FAIL]
    return Judged(
        tuple(_row(world, finding) for finding in shown),
        frozenset(asked) - {f.id for f in findings},
        tuple(f.capability for f in findings if f.capability and not f.counts),
    )


def _row(world: World, finding: Finding) -> Row:
    place, seen = world.places.get(finding.target), finding.verdict
    return Row(
        finding.id, finding.target, finding.result, finding.severity, seen.reason, seen.message,
        seen.expected, seen.observed, "" if finding.result is Result.PASS else seen.fix,
        namespace=world.snapshot.namespace,
        subject=_subject(world, finding),
        file=place.file if place else "",
        line=place.line if place else 0,
        counts=finding.counts,
    )  # fmt: skip


def _subject(world: World, finding: Finding) -> str:
    if not finding.target:
        return f"ReadinessPolicy/{world.policy['metadata']['name']}"
    workload = world.snapshot.workloads.get(finding.target)
    return f"{workload['kind']}/{workload['metadata']['name']}" if workload else finding.target


def sheet_of(
    judged: Iterable[Judged], known: Rules, skipped: Collection[str], fail_on: Severity
) -> Sheet:
    """Everything as one sheet, without the skipped controls, with the rules it names."""
    found = list(judged)
    rows = tuple(row for one in found for row in one.rows if row.id not in skipped)
    left_out = frozenset[str]().union(*(one.left_out for one in found)) - {r.id for r in rows}
    undeclared = [capability for one in found for capability in one.undeclared]
    extra = {
        "needCluster": len(left_out - frozenset(skipped)),
        "undeclared": len(undeclared),
        "skipped": len(skipped),
    }
    notes = (*(note for one in found for note in one.notes), *_remarks(extra, undeclared))
    return Sheet(rows, fail_on, rules_of(known, {r.id for r in rows}), extra, notes, __version__)


def rules_of(known: Rules, ids: Iterable[str]) -> Mapping[str, Rule]:
    """What the formats say about these controls."""
    found = ((id_, known.find(id_)) for id_ in sorted(ids))
    return {
        id_: Rule(rule.title, rule.criterion, rule.fix, rule.severity.value)
        for id_, rule in found
        if rule is not None
    }


def _remarks(extra: Mapping[str, int], undeclared: Iterable[str]) -> Iterable[str]:
    if extra["needCluster"]:
        yield f"{extra['needCluster']} controls cannot be judged from this; a ReadinessPolicy in a cluster has them judged."
    if names := sorted(set(undeclared)):
        yield f"{extra['undeclared']} findings wait for what targets do not declare: {', '.join(names)}."

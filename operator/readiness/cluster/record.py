"""What real life showed of targeted workloads: ends of pods, rollouts. A few of each, and no more.

It outlives the pods, and by the evidence in the report a restart of the operator. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from readiness.cluster.interest import Ref
from readiness.cluster.own import targets_of
from readiness.cluster.store import Change, owner_of
from readiness.model import Manifest
from readiness.passages import ROLLOUT_CONTROL, Passage, parse_passages
from readiness.terminations import (
    END_CONTROL,
    KEPT,
    Termination,
    kept,
    parse_terminations,
    terminations_of,
)

TIDY: Final = 1000
V = TypeVar("V")


class Record:
    """The last terminations by workload; `named(ref)` says whether anybody wants them."""

    def __init__(self, named: Callable[[Ref], bool]) -> None:
        self._named = named
        self._ended: dict[Ref, tuple[Termination, ...]] = {}
        self._passed: dict[Ref, tuple[Passage, ...]] = {}

    def saw(self, changes: Iterable[Change]) -> None:
        """A pod's container has just ended: before the pod goes, and once."""
        for old, new in changes:
            if new is None or new["kind"] != "Pod" or "deletionTimestamp" not in new["metadata"]:
                continue
            ref = (new["metadata"].get("namespace", ""), *owner_of(new))
            if self._named(ref):
                self._add(ref, terminations_of(new) - terminations_of(old))

    def note(self, policy: Manifest, target: str, seen: Passage) -> None:
        """Keeps what a stream of requests saw of a rollout."""
        if (ref := _refs(policy).get(target)) is not None:
            self._pass(ref, (seen,))

    def recall(self, report: Manifest) -> None:
        """Takes back what a report tells as evidence."""
        body = report.get("report") or {}
        kind, _, name = str(body.get("workload", "")).partition("/")
        ref = (report["metadata"]["namespace"], kind, name)
        for row in body.get("results") or ():
            if row["id"] == END_CONTROL:
                self._add(ref, parse_terminations(row.get("evidence", "")))
            elif row["id"] == ROLLOUT_CONTROL:
                self._pass(ref, parse_passages(row.get("evidence", "")))

    def terminations(self, policy: Manifest) -> Mapping[str, tuple[Termination, ...]]:
        """The ends that are known of each target of a policy; nothing where there are none."""
        return _by_target(policy, self._ended)

    def passages(self, policy: Manifest) -> Mapping[str, tuple[Passage, ...]]:
        """The rollouts that were watched of each target of a policy."""
        return _by_target(policy, self._passed)

    def _add(self, ref: Ref, ends: Iterable[Termination]) -> None:
        known = self._ended.get(ref, ())
        fresh = tuple(e for e in ends if not any(_same(e, k) for k in known))
        if not fresh:
            return
        if ref not in self._ended and len(self._ended) >= TIDY:
            self._ended = {r: found for r, found in self._ended.items() if self._named(r)}
            self._passed = {r: found for r, found in self._passed.items() if self._named(r)}
        self._ended[ref] = kept((*known, *fresh))

    def _pass(self, ref: Ref, seen: Iterable[Passage]) -> None:
        """No rollout comes without ends of pods, so that tidying those is enough."""
        found = sorted({*self._passed.get(ref, ()), *seen}, key=lambda p: -p.ended)
        if found:
            self._passed[ref] = tuple(found[:KEPT])


def _refs(policy: Manifest) -> Mapping[str, Ref]:
    namespace = policy["metadata"]["namespace"]
    return {t.target: (namespace, t.kind, t.workload) for t in targets_of(policy)}


def _by_target(policy: Manifest, found: Mapping[Ref, tuple[V, ...]]) -> Mapping[str, tuple[V, ...]]:
    return {target: found[ref] for target, ref in _refs(policy).items() if ref in found}


def _same(one: Termination, other: Termination) -> bool:
    """What comes back from a report names no container."""
    there = (one.pod, one.finished) == (other.pod, other.finished)
    return there and (one.container == other.container or "" in (one.container, other.container))

"""What stands in the way of taking away the primary of a data service: everything has to be well before.

Pure. Consent, the window and incidents are asked elsewhere, except for whether it would be over in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.api.durations import seconds
from readiness.backups.proof import remedy_of, unrestored, unsaved
from readiness.control import Subject, unknown
from readiness.dataservices.roll import is_calm, outdated
from readiness.model import Manifest, Verdict
from readiness.schedule import window_at
from readiness.snapshot import Seen
from readiness.stores import Store
from readiness.workload import is_ready

WAIT: Final = "wait until it is; see status.dataServices and: kubectl get pods -l readiness.dev/data-service={}"


def hindrance(subject: Subject, takes: float) -> Verdict | None:
    """The first thing that stands in the way of what `takes` so many seconds; None where nothing does.

    What a drill under way does itself is none.
    """
    return next(_hindrances(subject, takes), None)


def _hindrances(subject: Subject, takes: float) -> Iterator[Verdict]:
    store = subject.store
    if store is None or not store.provided:
        yield unknown(
            "NotOurs", "the operator cannot take away a member of a data service that others run",
            fix="let them show a failover test of theirs, and have a ReadinessWaiver approved for it",
        )  # fmt: skip
        return
    yield from _unprotected(subject, store)
    if store.name not in subject.snapshot.drilled:
        yield from _unwell(subject, store)
        yield from _too_late(subject, takes)


def _unprotected(subject: Subject, store: Store) -> Iterator[Verdict]:
    """A young backup that can be restored, or the word that there is to be none."""
    service = next(each for each in subject.policy.data_services if each.name == store.name)
    if service.backup is not None and not service.backup.enabled:
        return
    declared = subject.policy.backups is not None
    lacks = [lack.words for lack in (unsaved(store.backup, subject.now), unrestored(store.backup, subject.now)) if lack]  # fmt: skip
    if lacks or not declared:
        yield unknown(
            "BackupUnproven", f"nothing shows that {store.name} could be restored, should the drill go wrong",
            expected="a backup of the last 26 h, and a restore drill of the last 8 days that passed, or the word that none is wanted",
            observed="; ".join(lacks) if declared else "the policy declares no backups",
            fix=remedy_of(store.name) if declared else "declare spec.backups, or "
            f"set spec.dataServices[{store.name}].backup: {{enabled: false}}, if it is meant to have no backups",
        )  # fmt: skip


def _unwell(subject: Subject, store: Store) -> Iterator[Verdict]:
    seen, fix = store.seen, WAIT.format(store.name)
    if seen is None or not store.sets:
        yield unknown("NotLookedAt", f"how the members of {store.name} are is not known yet", fix=fix)  # fmt: skip
        return
    yield from _complaining(store, seen)
    yield from _moving(subject, store, seen)


def _complaining(store: Store, seen: Seen) -> Iterator[Verdict]:
    """What the servers themselves say."""
    fix = WAIT.format(store.name)
    if complaints := [f"{m.name} {', '.join(m.reasons)}" for m in seen.members if m.reasons]:
        yield unknown("MemberUnwell", f"not every member of {store.name} is well: {'; '.join(complaints[:3])}", fix=fix)  # fmt: skip
    if seen.reason:
        yield unknown("MemberUnwell", f"{store.name} is not well: {seen.reason}", fix=fix)
    if needed := [m.name for m in seen.members if m.needed_by]:
        yield unknown("MemberUnwell", f"{store.name} could not do without {needed[0]}: something hangs on it", fix=fix)  # fmt: skip


def _moving(subject: Subject, store: Store, seen: Seen) -> Iterator[Verdict]:
    """What the cluster shows of their pods, and what is being done to them."""
    fix = WAIT.format(store.name)
    if nodes := _away(subject, store):
        yield unknown("NodeNotReady", f"a member of {store.name} is on node {nodes[0]}, which is not Ready", fix=fix)  # fmt: skip
    if any(map(_runs, subject.snapshot.provided.runs.get(store.name, ()))):
        yield unknown("BackupUnderWay", f"a backup of {store.name} is being made, or restored to see whether it can be", fix="wait until it is over")  # fmt: skip
    if outdated(store.sets, store.pods):
        yield unknown("RollInProgress", f"pods of {store.name} are being replaced", fix=fix)
    if not is_calm(store.sets, store.pods, seen):
        yield unknown("NotSettled", f"not every member of {store.name} is Ready, or something is being changed", fix=fix)  # fmt: skip


def _away(subject: Subject, store: Store) -> list[str]:
    nodes = {str((pod.get("spec") or {}).get("nodeName", "")) for pod in store.pods}
    known = subject.snapshot.nodes
    return sorted(name for name in nodes & known.keys() if not is_ready(known[name]))


def _runs(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Pending", "Running")


def _too_late(subject: Subject, takes: float) -> Iterator[Verdict]:
    """It has to be over when the window closes."""
    named = subject.policy.safety.disruptive
    if named is None:
        return
    given = named.window
    window = window_at(given.schedule, given.time_zone, seconds(given.duration), subject.now)
    if window.opens <= subject.now and not window.holds(subject.now, takes):
        yield unknown(
            "OutsideWindow", "the window closes before a drill of a failover would be over",
            fix="wait for the next window, or correct spec.safety.disruptive.window",
        )  # fmt: skip

"""What a policy lets controls do to the system they look at, what its namespace refuses, and when.

Looking and harmless requests need no consent; every other class is named in `spec.safety.allow`.
Pure; it knows no evidence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from readiness.api.durations import seconds
from readiness.control import Control, Subject, unknown
from readiness.drills.selected import selected
from readiness.model import Result, Safety, Verdict
from readiness.naming import DENY
from readiness.passive import listed
from readiness.schedule import window_at
from readiness.snapshot import Snapshot
from readiness.workload import pressures_of, ready_since, rolled_out

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec

MOST_NAMED: Final = 3
LEAK: Final = "DrillLeak"


def allows(policy: PolicySpec, control: Control) -> bool:
    """Whether a control may run: by its class, or by its name where it disturbs what is live."""
    if control.safety is Safety.DISRUPTIVE:
        named = policy.safety.disruptive
        return named is not None and control.id in named.controls
    return not control.safety.needs_opt_in or str(control.safety) in policy.safety.allow


def not_allowed(control: Control) -> Verdict:
    """The verdict on a control whose class the policy does not allow, with the line that would."""
    if control.safety is Safety.DISRUPTIVE:
        return Verdict(
            Result.OPT_IN_REQUIRED, "OptInRequired",
            f"{control.id} disturbs what is live, and spec.safety.disruptive does not name it",
            fix=f'add to the policy\'s spec: safety: {{disruptive: {{controls: [{control.id}], window: {{schedule: "0 3 * * 0", '
            "duration: 1h}, acknowledge: <spec.environment>}}",
        )  # fmt: skip
    return Verdict(
        Result.OPT_IN_REQUIRED, "OptInRequired",
        f"{control.id} is of class {control.safety}, which spec.safety.allow does not name",
        fix=f"add to the policy's spec: safety: {{allow: [{control.safety}]}}",
    )  # fmt: skip


def withheld(control: Control, subject: Subject, now: float) -> Verdict | None:
    """Why a control may not ask now: its namespace refuses, or would take clones for its own, an incident goes on, or a rollout has not settled."""
    return (
        _denied(control, subject.snapshot)
        or _leaked(control, subject)
        or _under_pressure(control, subject)
        or _amid_incident(control, subject.snapshot)
        or (selected(subject) if control.safety is Safety.DRILL else None)
        or _unsettled(control, subject, now)
        or _outside(control, subject)
    )


def opens_at(control: Control, subject: Subject) -> float:
    """From when on a drill may start, as epoch seconds: a rollout is to be complete, and stable for a while.

    Never while it goes on; what disturbs what is live waits for its window, and other controls need not wait.
    """
    if control.safety is Safety.DISRUPTIVE and (named := subject.policy.safety.disruptive):
        given = named.window
        length = seconds(given.duration)
        return window_at(given.schedule, given.time_zone, length, subject.now).opens
    if control.safety is not Safety.DRILL or subject.workload is None:
        return 0.0
    if not rolled_out(subject.workload):
        return math.inf
    return max(map(ready_since, subject.pods), default=0.0) + subject.snapshot.drill_settle


def _unsettled(control: Control, subject: Subject, now: float) -> Verdict | None:
    if control.safety is not Safety.DRILL or opens_at(control, subject) <= now:
        return None
    return unknown(
        "RolloutInProgress",
        f"the rollout of {subject.where} is not complete, or not yet stable for {subject.snapshot.drill_settle:g} s",
        fix=f"wait, or see: kubectl rollout status {subject.where.lower()}",
    )


def _outside(control: Control, subject: Subject) -> Verdict | None:
    """Whether somebody has acknowledged that it is this environment, and a window is open."""
    named, environment = subject.policy.safety.disruptive, subject.policy.environment
    if control.safety is not Safety.DISRUPTIVE or named is None:
        return None
    if named.acknowledge != environment:
        return unknown(
            "NotAcknowledged",
            f"safety.disruptive was acknowledged for {named.acknowledge}, and this environment is {environment}",
            fix=f"set spec.safety.disruptive.acknowledge to {environment}, if that is meant",
        )
    if opens_at(control, subject) <= subject.now:
        return None
    return unknown(
        "OutsideWindow",
        f"{control.id} runs in its window only: {named.window.schedule} ({named.window.time_zone}), for {named.window.duration}",
        fix="wait for the window, or correct spec.safety.disruptive.window",
    )


def _amid_incident(control: Control, snapshot: Snapshot) -> Verdict | None:
    """Nobody drills while something is on fire, or while nobody knows whether something is."""
    if not control.safety.drills:
        return None
    if problem := snapshot.incidents.problem:
        return unknown(
            "IncidentsUnseen",
            f"whether an incident goes on cannot be seen: the operator's Prometheus {problem}",
            fix="let the operator reach what its setting READINESS_PROMETHEUS names, or remove the setting",
        )
    if not (names := snapshot.incidents.concerning(snapshot.namespace)):
        return None
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return unknown(
        "IncidentOngoing",
        f"nothing is drilled while these alerts fire: {', '.join(names[:MOST_NAMED])}{more}",
        fix="end the incident; an alert that is silenced still fires",
    )


def _leaked(control: Control, subject: Subject) -> Verdict | None:
    """Nothing more is drilled of a target while pods of an earlier drill of it are still there."""
    left = subject.snapshot.leftover.get(subject.target.name, ())
    if not (control.safety.drills and left):
        return None
    return unknown(
        LEAK,
        f"an earlier drill of {subject.target.name} left pods behind: {listed(left, MOST_NAMED)}",
        fix=f"see what keeps them: kubectl describe pod {left[0]} -n {subject.snapshot.namespace}",
    )


def _under_pressure(control: Control, subject: Subject) -> Verdict | None:
    """Nothing is added to a node that runs short with the target's own pods on it, nor to a cluster that does as a whole."""
    if not control.safety.drills:
        return None
    short = {name for name, node in subject.snapshot.nodes.items() if pressures_of(node)}
    own = sorted(short & {(pod.get("spec") or {}).get("nodeName", "") for pod in subject.pods})
    if not own and not (short and short == subject.snapshot.nodes.keys()):
        return None
    named = own or sorted(short)
    words = ", ".join(pressures_of(subject.snapshot.nodes[named[0]]))
    return unknown(
        "NodePressure",
        f"nothing is drilled on nodes that run short: {listed(named, MOST_NAMED)} ({words})",
        fix=f"see kubectl describe node {named[0]}; drills go on by themselves when it has recovered",
    )


def _denied(control: Control, snapshot: Snapshot) -> Verdict | None:
    """What the namespace's label refuses. A word that is not known refuses everything."""
    what = snapshot.namespace_labels.get(DENY)
    if what is None or (what == "drills" and not control.safety.drills):
        return None
    return unknown(
        "DrillsDenied" if what == "drills" else "ProbesDenied",
        f"namespace {snapshot.namespace} carries the label {DENY}: {what}",
        fix=f"kubectl label namespace {snapshot.namespace} {DENY}-",
    )

"""The conditions of a policy: which exist, what each says, and why. Pure.

All nine stand from the first write on. Only Reconciling and Stalled are abnormal when True
(kstatus). `Ready` never waits for the verdict; the verdict is `Compliant`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from readiness.consent import LEAK
from readiness.dataservices.backed import backups_of
from readiness.dataservices.provision import Provision
from readiness.dataservices.telling import PASSING, PROVISIONING, provisioned_of
from readiness.judgement import PENDING, Ground
from readiness.model import Finding, Manifest, Result, Safety, Severity
from readiness.passive import listed

ACCEPTED: Final = "Accepted"
READY: Final = "Ready"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
COMPLIANT: Final = "Compliant"
PROVISIONED: Final = "Provisioned"
BACKUPS_HEALTHY: Final = "BackupsHealthy"
PROBES_PASSING: Final = "ProbesPassing"
SHUTDOWN_SAFE: Final = "ShutdownSafe"

_SHUTDOWN_PROOF: Final = frozenset({"SHD-001", "SHD-004", "SHD-008"})
_DECIDING: Final = (Severity.P0, Severity.P1)
_NO_OCCASION: Final = frozenset({"TooFewTerminations", "TooFewRollouts", "NothingToAsk"})
"""Open because too little has happened yet: nobody can hurry it, so it holds nothing back."""
NAMED: Final = 5
QUIET: Final = frozenset({"Evaluating", "NothingDeclared", "Provisioning"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition before it gets its times."""

    type: str
    status: str
    reason: str
    message: str


def conditions_of(
    ground: Ground, findings: Sequence[Finding], provision: Provision, services: Sequence[Manifest]
) -> tuple[Condition, ...]:
    """The nine conditions of a judged policy; `services` are the rows of its status."""
    pending = sorted(
        {f"{f.id} ({f.target})" for f in findings if f.counts and f.verdict.reason == PENDING}
    )
    waiting = f"first looks under way: {listed(pending, NAMED)}"
    provided = Condition(PROVISIONED, *provisioned_of(provision))
    absent = ground.snapshot.provided.absent.values()
    busy = pending or provided.reason == PROVISIONING
    reason, text = ("Evaluating", waiting) if pending else (provided.reason, provided.message)
    stuck = provided.status == "False" and provided.reason not in PASSING
    return (
        Condition(ACCEPTED, "True", "Valid", "the spec is valid"),
        Condition(READY, "Unknown" if busy else "False", reason, text)
        if pending or provided.status != "True"
        else Condition(
            READY, "True", "Evaluated", "accepted, evaluated, nothing left to provision"
        ),
        Condition(RECONCILING, "True", reason, text)
        if busy
        else Condition(RECONCILING, "False", "Settled", "nothing under way"),
        Condition(STALLED, "True", provided.reason, provided.message)
        if stuck
        else Condition(STALLED, "False", "NotStalled", "nothing stands in the way"),
        compliance_of(ground, findings),
        provided,
        Condition(BACKUPS_HEALTHY, *backups_of(ground.policy, services, ground.now, absent)),
        _probes(findings),
        _leaking(ground.snapshot.leftover) or _shutdown(findings),
    )


def event_of(old: Manifest, new: Manifest) -> str:
    """The type of event that a transition is worth; empty for none.

    Told are the verdict, data services, and of drills what they left behind: the verdict tells the rest.
    """
    type_, reason, leaks = new["type"], new["reason"], new["reason"] == LEAK
    same = (old.get("status"), old.get("reason")) == (new["status"], reason)
    told = type_ == COMPLIANT or (type_ == PROVISIONED and new["status"] != "Unknown") or leaks
    if same or reason in QUIET or not told:
        return ""
    bad = leaks or new["status"] == "False" or reason == "InvalidSpec"
    return "Warning" if bad else "Normal"


def compliance_of(ground: Ground, findings: Sequence[Finding]) -> Condition:
    """The verdict: enforced P0 and P1 controls. Missing data never makes it True."""
    counting = [f for f in findings if f.counts and f.severity in _DECIDING]
    if not ground.subjects:
        return Condition(
            COMPLIANT,
            "Unknown",
            "NoTargets",
            "neither spec.targets nor spec.dataServices holds anything: declare what to judge",
        )
    if not counting:
        return Condition(
            COMPLIANT,
            "Unknown",
            "NothingEnforced",
            "no P0 or P1 control is enforced: name a profile",
        )
    failing = [f for f in counting if f.result is Result.FAIL]
    if failing:
        worst = min(f.severity for f in failing)
        text = (
            f"{len(failing)} of {len(counting)} enforced P0 and P1 controls fail: {_worst(failing)}"
        )
        return Condition(COMPLIANT, "False", f"{worst}Failed", text)
    open_ = [f for f in counting if not f.holds]
    if open_:
        return _unproven(open_, len(counting))
    return Condition(
        COMPLIANT,
        "True",
        "AllControlsHold",
        f"all {len(counting)} enforced P0 and P1 controls hold",
    )


def _unproven(open_: Sequence[Finding], total: int) -> Condition:
    absent = [f for f in open_ if f.verdict.reason == "TargetNotFound"]
    if absent:
        messages = dict.fromkeys(f.verdict.message for f in absent)
        return Condition(COMPLIANT, "Unknown", "TargetNotFound", "; ".join(messages))
    pending = any(f.verdict.reason == PENDING for f in open_)
    reason = "Evaluating" if pending else "Unproven"
    text = f"{len(open_)} of {total} enforced P0 and P1 controls are unproven: {_worst(open_)}"
    return Condition(COMPLIANT, "Unknown", reason, text)


def refused_conditions(reason: str, text: str) -> tuple[Condition, ...]:
    """The nine conditions of a spec that cannot be judged."""
    waits = "not judged: the spec was not accepted"
    return (
        Condition(ACCEPTED, "False", reason, text),
        Condition(READY, "False", reason, text),
        Condition(RECONCILING, "False", "Settled", "nothing under way"),
        Condition(STALLED, "True", reason, text),
        Condition(COMPLIANT, "Unknown", reason, text),
        *(
            Condition(t, "Unknown", reason, waits)
            for t in (PROVISIONED, BACKUPS_HEALTHY, PROBES_PASSING, SHUTDOWN_SAFE)
        ),
    )


def suspended_conditions(old: Mapping[str, Manifest]) -> tuple[Condition, ...]:
    """The last conditions, with Reconciling saying that nobody looks any more."""
    text = "spec.suspend is true: nobody looks; the last verdict stands until validUntil"
    fresh = {RECONCILING: Condition(RECONCILING, "False", "Suspended", text)}
    for type_ in (
        ACCEPTED,
        READY,
        STALLED,
        COMPLIANT,
        PROVISIONED,
        BACKUPS_HEALTHY,
        PROBES_PASSING,
        SHUTDOWN_SAFE,
    ):
        known = old.get(type_)
        fresh[type_] = (
            Condition(type_, known["status"], known["reason"], known["message"])
            if known
            else Condition(type_, "Unknown", "Suspended", text)
        )
    order = (
        ACCEPTED,
        READY,
        RECONCILING,
        STALLED,
        COMPLIANT,
        PROVISIONED,
        BACKUPS_HEALTHY,
        PROBES_PASSING,
        SHUTDOWN_SAFE,
    )
    return tuple(fresh[t] for t in order)


def _probes(findings: Iterable[Finding]) -> Condition:
    asked = (f for f in findings if f.safety is Safety.BENIGN and not f.capability)
    probes = [f for f in asked if f.verdict.reason not in _NO_OCCASION]
    return _all_of(PROBES_PASSING, probes, "no control of this policy sends a request")


def _leaking(leftover: Mapping[str, tuple[str, ...]]) -> Condition | None:
    """Whoever leaves pods behind proves nothing about the ends of others."""
    if not leftover:
        return None
    pods = listed([pod for target in sorted(leftover) for pod in leftover[target]], NAMED)
    text = f"pods outlive their drill: {pods}; nothing more is drilled of {', '.join(sorted(leftover))} until they are gone"
    return Condition(SHUTDOWN_SAFE, "Unknown", LEAK, text)


def _shutdown(findings: Iterable[Finding]) -> Condition:
    shutdown = (f for f in findings if f.id.startswith("SHD-"))
    every = [f for f in shutdown if f.verdict.reason not in _NO_OCCASION]
    family = [f for f in every if f.result is not Result.OPT_IN_REQUIRED]
    held = {(f.id, f.target) for f in family if f.holds}
    proven = {(id_, f.target) for f in every for id_ in _SHUTDOWN_PROOF} <= held
    if every and all(f.holds for f in family) and not proven:
        return Condition(
            SHUTDOWN_SAFE,
            "Unknown",
            "NotDrilled",
            "what can be read holds; no drill has proven a shutdown",
        )
    return _all_of(SHUTDOWN_SAFE, family, "no shutdown control is in force")


def _all_of(type_: str, findings: Sequence[Finding], none: str) -> Condition:
    failing = [f for f in findings if f.result is Result.FAIL]
    open_ = [f for f in findings if not f.holds]
    if not findings:
        return Condition(type_, "Unknown", "NothingDeclared", none)
    if failing:
        return Condition(
            type_,
            "False",
            "ControlsFail",
            f"{len(failing)} of {len(findings)} fail: {_worst(failing)}",
        )
    if open_:
        reason = "Evaluating" if all(f.verdict.reason == PENDING for f in open_) else "Unproven"
        return Condition(
            type_, "Unknown", reason, f"{len(open_)} of {len(findings)} unproven: {_worst(open_)}"
        )
    return Condition(type_, "True", "AllControlsHold", f"all {len(findings)} controls hold")


def _worst(findings: Sequence[Finding]) -> str:
    rows = sorted(findings, key=lambda f: (f.severity, f.id, f.target))
    return listed(
        [f"{f.id}{f' ({f.target})' if f.target else ''} {f.verdict.reason}" for f in rows], NAMED
    )

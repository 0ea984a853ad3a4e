"""Judging one policy: every control on every target, weighed by settings, evidence and waivers.

The order of questions is the same for each: is it known, is its safety class allowed, is its input
declared, is there a target, do its prerequisites hold, what did the look say, is the evidence
fresh, was a floor undercut, does a waiver excuse it. Pure: evidence comes in as Memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from readiness.consent import allows, not_allowed, withheld
from readiness.control import Control, PolicyView, Subject, asks_nothing, declaration, unknown
from readiness.evidence import PREVIOUS_REVISION_SECONDS, Look, Memory
from readiness.model import Finding, Mode, Result, Safety, Severity, Verdict
from readiness.request import Answers
from readiness.rules import Rules
from readiness.snapshot import Snapshot
from readiness.subjects import about, declares
from readiness.waivers import Waiver
from readiness.weigh import Setting

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec

PENDING: Final = "NotYetObserved"
PREVIOUS: Final = "PreviousRevision"


@dataclass(frozen=True, slots=True)
class Ground:
    """What one pass judges on: the parsed policy, its settings, its subjects, the evidence."""

    name: str
    policy: PolicySpec
    snapshot: Snapshot
    settings: Mapping[str, Setting]
    subjects: Mapping[str, Subject]
    memory: Memory
    waivers: tuple[Waiver, ...]
    now: float
    revisions: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def judge_policy(rules: Rules, ground: Ground) -> tuple[Finding, ...]:
    """Every finding: targets in order, controls by id, then the gates over all of them."""
    found: list[Finding] = []
    for subject in ground.subjects.values():
        holding: dict[str, Finding] = {}
        for setting in _ordered(rules, ground):
            finding = _judge_control(rules, ground, subject, setting, holding)
            if finding is not None:
                holding[setting.id] = finding
        found += sorted(holding.values(), key=lambda f: f.id)
    return (*found, *_judge_gates(rules, ground, tuple(found)))


def _ordered(rules: Rules, ground: Ground) -> Iterator[Setting]:
    """Prerequisites first, so that one walk knows whether they hold."""
    live = [
        s for s in ground.settings.values() if s.mode is not Mode.OFF and s.id not in rules.gates
    ]
    return iter(sorted(live, key=lambda s: (len(_chain(rules, s.id)), s.id)))


def _chain(rules: Rules, id_: str, seen: tuple[str, ...] = ()) -> tuple[str, ...]:
    control = rules.controls.get(id_)
    if control is None or id_ in seen:
        return seen
    chains = [_chain(rules, r, (*seen, id_)) for r in control.requires]
    return max(chains, key=len, default=(*seen, id_))


def _judge_control(
    rules: Rules, ground: Ground, subject: Subject, setting: Setting, holding: Mapping[str, Finding]
) -> Finding | None:
    control = rules.controls.get(setting.id)
    safety = control.safety if control else Safety.PASSIVE
    finding = Finding(
        setting.id, subject.target.name, setting.severity, setting.mode, safety,
        unknown("UnknownControl", f"no control {setting.id} in this version",
                fix="correct the id (`readiness controls` lists them) or upgrade the operator"),
        counts=setting.mode is Mode.ENFORCE,
    )  # fmt: skip
    if control is None:
        return None if subject.store else _weighed(finding, setting, ground)
    if not _judgeable(control, subject):
        return None
    if not allows(ground.policy, control):
        return _weighed(_closed(finding, setting, control), setting, ground)
    missing = next((n for n in control.needs if not declares(subject, n)), "")
    if missing:
        return _weighed(_undeclared(finding, setting, missing), setting, ground)
    verdict, marks = _verdict(control, ground, subject, setting, holding)
    return _weighed(replace(finding, verdict=verdict, marks=marks), setting, ground)


def _judgeable(control: Control, subject: Subject) -> bool:
    """Offline, manifests serve the static controls and a URL serves the probes; nothing else."""
    if not about(control, subject):
        return False
    if subject.snapshot.live:
        return True
    if control.safety is Safety.DRILL:
        return False
    if control.ask is asks_nothing:
        return control.static and subject.workload is not None
    return bool(subject.hops)


def _closed(finding: Finding, setting: Setting, control: Control) -> Finding:
    """Counts, and can be waived, where a floor demands it; elsewhere one row stands for the class."""
    closed = "disruptive" if control.safety is Safety.DISRUPTIVE else f"allow[{control.safety}]"
    capability = "" if setting.floored else f"safety.{closed}"
    counts = finding.counts and setting.floored
    return replace(finding, verdict=not_allowed(control), capability=capability, counts=counts)


def _undeclared(finding: Finding, setting: Setting, capability: str) -> Finding:
    of_policy = capability.startswith("spec.")
    where = "" if of_policy else f"spec.targets[{finding.target}]."
    verdict = Verdict(
        Result.OPT_IN_REQUIRED if finding.safety.needs_opt_in else Result.UNKNOWN, "NotDeclared",
        f"{capability} is not declared{'' if of_policy else f' on target {finding.target}'}",
        fix=f"declare {where}{declaration(capability)}",
    )  # fmt: skip
    return replace(
        finding, verdict=verdict, capability=capability, counts=finding.counts and setting.floored
    )


def _verdict(
    control: Control,
    ground: Ground,
    subject: Subject,
    setting: Setting,
    holding: Mapping[str, Finding],
) -> tuple[Verdict, tuple[str, ...]]:
    if (unseen := _forbidden(control, subject) or _absent(subject)) is not None:
        return unseen, ()
    if setting.wrong:
        return _misconfigured(setting), ()
    blocker = next(
        (holding[r] for r in control.requires if r in holding and not holding[r].holds), None
    )
    if blocker is not None:
        return Verdict(
            Result.BLOCKED, "PrerequisiteFailed" if blocker.result is Result.FAIL else "PrerequisiteUnproven",
            f"{blocker.id} must hold first; it is {blocker.result}/{blocker.verdict.reason}",
            fix=f"see {blocker.id}",
        ), ()  # fmt: skip
    if control.ask is asks_nothing:
        return judge_safely(control, replace(subject, params=setting.params), {}), ()
    return _standing(control, ground, subject, setting)


def _misconfigured(setting: Setting) -> Verdict:
    return unknown(
        "InvalidParam", setting.wrong, fix=f"`readiness explain {setting.id}` lists the parameters"
    )


def _forbidden(control: Control, subject: Subject) -> Verdict | None:
    """Not being allowed to look is not the same as nothing being there."""
    needed = [f"{subject.target.workload_ref.kind.lower()}s"] if subject.store is None else []
    if not control.static:
        needed += ["pods"]
    if control.ask is not asks_nothing:  # a namespace's label may deny probes
        needed += ["namespaces", "services", "endpointslices"]
    refused = subject.snapshot.unreadable
    kind = next((kind for kind in needed if kind in refused), "")
    if not kind:
        return None
    return unknown(
        "Forbidden",
        f"{kind} cannot be read: {refused[kind]}",
        fix=f"grant the operator list and watch of {kind}, as the chart's ClusterRole does",
    )


def _absent(subject: Subject) -> Verdict | None:
    snapshot = subject.snapshot
    if subject.workload is not None or subject.store is not None or not snapshot.live:
        return None
    ref = subject.target.workload_ref
    return unknown(
        "TargetNotFound",
        f"{ref.kind}/{ref.name} does not exist in namespace {snapshot.namespace}; "
        "it is judged as soon as it appears",
        fix=f"apply the {ref.kind}, or correct spec.targets[{subject.target.name}].workloadRef",
    )


def judge_safely(control: Control, subject: Subject, answers: Answers) -> Verdict:
    """The control's verdict; a crash of one control is its own Unknown and nobody else's."""
    try:
        return control.judge(subject, answers)
    except Exception as error:  # noqa: BLE001 -- one of two walls: per control, per queue key
        return unknown(
            "EvaluationError",
            f"{control.id} could not be judged: {type(error).__name__}. This is a defect of the operator",
            fix="report it with the policy and the workload's manifest",
        )


def _standing(
    control: Control, ground: Ground, subject: Subject, setting: Setting
) -> tuple[Verdict, tuple[str, ...]]:
    look = ground.memory.get((control.id, subject.target.name))
    if look is None or look.standing is None:
        if (refusal := withheld(control, subject, ground.now)) is not None:
            return refusal, ()
        if control.safety in (Safety.DRILL, Safety.DISRUPTIVE):
            return unknown(PENDING, "its first drill has not ended yet: drills take minutes and run few at a time",
                           fix="wait some minutes"), ()  # fmt: skip
        return unknown(PENDING, "the first looks have not settled yet", fix="wait some seconds"), ()
    return _aged(look, ground.now, setting)


def _aged(look: Look, now: float, setting: Setting) -> tuple[Verdict, tuple[str, ...]]:
    if look.standing is None:
        raise ValueError("a look without a standing verdict has no age")
    if look.revised_at and now - look.revised_at > PREVIOUS_REVISION_SECONDS:
        return unknown("Stale", "the workload changed and has not been looked at for 30 min",
                       fix="see whether the rollout is stuck: kubectl rollout status"), ()  # fmt: skip
    if not look.revised_at and now - look.at > setting.max_age:
        return unknown("Stale", "the evidence is older than its maxAge",
                       fix="see the operator's log and metric readiness_evidence_age_seconds"), ()  # fmt: skip
    return look.standing, (PREVIOUS,) if look.revised_at else ()


def _weighed(finding: Finding, setting: Setting, ground: Ground) -> Finding:
    """The finding after floors and waivers."""
    if setting.weakened:
        verdict = unknown(
            "WeakenedWithoutWaiver", f"the policy goes below the floor: {'; '.join(setting.weakened)}",
            expected="the profile's floor, or a ReadinessWaiver for this control",
            observed="; ".join(setting.weakened), fix="remove the setting, or have a waiver approved",
        )  # fmt: skip
        finding = replace(finding, verdict=verdict, counts=True, capability="")
    if finding.holds or finding.capability:
        return finding
    waiver = next((w for w in ground.waivers if w.covers(finding.id, finding.target)), None)
    if waiver is None:
        return finding
    verdict = replace(
        finding.verdict,
        result=Result.WAIVED,
        message=f"waived by {waiver.name} ({waiver.owner}): {finding.verdict.message}",
    )
    return replace(finding, verdict=verdict, actual=finding.result, waiver=waiver.name)


def _judge_gates(rules: Rules, ground: Ground, findings: tuple[Finding, ...]) -> Iterator[Finding]:
    view = PolicyView(
        ground.policy, ground.snapshot, findings, ground.name, ground.settings, ground.waivers,
        {k: ground.now - look.at if look.standing else None for k, look in ground.memory.items()},
        now=ground.now,
    )  # fmt: skip
    for id_ in sorted(ground.settings.keys() & rules.gates.keys()):
        gate, setting = rules.gates[id_], ground.settings[id_]
        if setting.mode is Mode.OFF or not (ground.snapshot.live or gate.static):
            continue
        judged = replace(view, params=setting.params)
        verdict = _misconfigured(setting) if setting.wrong else gate.judge(judged)
        yield _weighed(
            Finding(id_, "", setting.severity, setting.mode, gate.safety, verdict, counts=setting.mode is Mode.ENFORCE),
            setting, ground,
        )  # fmt: skip


def severity_of(rules: Rules, settings: Mapping[str, Setting], id_: str) -> Severity:
    """The severity that waivers of a control are measured by: the stricter of own and effective."""
    rule = rules.find(id_)
    known = [each.severity for each in (settings.get(id_), rule) if each]
    return min(known, default=Severity.P0)

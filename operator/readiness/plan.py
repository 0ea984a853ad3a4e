"""The decision: policy, snapshot, evidence and answers in; findings, status, reports and events out.

The same functions serve the operator and the command line, so their verdicts cannot disagree.
Pure: the clock is `Situation.now`, and nothing here waits for anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from readiness import report, status
from readiness.api import InvalidSpecError, read_policy
from readiness.consent import allows, opens_at, withheld
from readiness.control import Control, Subject, asks_nothing
from readiness.dataservices.backed import rows_of
from readiness.dataservices.provision import Provision
from readiness.dataservices.wish import Wish
from readiness.drills.outage import with_switches
from readiness.evidence import (
    PREVIOUS_REVISION_SECONDS,
    RENEW_AT,
    RUN,
    UNASKED,
    Look,
    Memory,
    revised,
    series_of,
    unasked,
)
from readiness.judgement import Ground, judge_policy, judge_safely, severity_of
from readiness.model import Finding, Manifest, Mode, Safety
from readiness.naming import run_at
from readiness.recall import recalled_key
from readiness.request import Stream, Trial, TrialAnswers
from readiness.rollouts import streams_of
from readiness.rules import Rules
from readiness.snapshot import Snapshot
from readiness.status import Note, Standing
from readiness.subjects import about, declares, revision_of, subjects_of
from readiness.waivers import read_waivers
from readiness.weigh import ProfileNotFoundError, Setting, settings_of
from readiness.workload import rolled_out

if TYPE_CHECKING:
    from readiness.api.policy import PolicySpec

FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What one pass starts from. `policy` is the object as the API server gave it; `now` is epoch seconds.

    `spec` is the policy's, where it has been read already; `token` is random, for what is made up once.
    """

    policy: Manifest
    snapshot: Snapshot
    memory: Memory
    now: float
    spec: PolicySpec | None = None
    token: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass decided. Empty `status` and `reports` mean: nothing differs, write nothing."""

    findings: tuple[Finding, ...] = ()
    memory: Memory = field(default_factory=dict)
    next_at: float = FOREVER
    status: Manifest | None = None
    reports: tuple[Manifest, ...] = ()
    stale: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    looks: tuple[tuple[str, str], ...] = ()
    streams: tuple[Stream, ...] = ()
    provision: Provision = field(default_factory=Provision)


Answered = Mapping[tuple[str, str], TrialAnswers]


def requests(rules: Rules, situation: Situation) -> tuple[Trial, ...]:
    """The probes that are due and allowed, one trial per control and target."""
    if situation.policy["spec"].get("suspend"):
        return ()
    if "namespaces" in situation.snapshot.unreadable:  # the label that denies would not be seen
        return ()
    try:
        ground = _ground(rules, situation)
    except (InvalidSpecError, ProfileNotFoundError):
        return ()
    return tuple(
        Trial(control.id, subject.target.name, asked)
        for control, subject, setting in _probes(rules, ground)
        if withheld(control, subject, situation.now) is None
        and _due(situation, ground, control, subject)
        and (asked := control.ask(replace(subject, params=setting.params)))
    )


def make(rules: Rules, situation: Situation, answers: Answered) -> Plan:
    """The decision for one policy. Never raises for what a tenant wrote."""
    standing = Standing(situation.policy, situation.now)
    try:
        ground = _ground(rules, situation)
    except (InvalidSpecError, ProfileNotFoundError) as error:
        return _unjudged(situation, standing, status.refused(standing, error))
    if ground.policy.suspend:
        return _unjudged(situation, standing, status.suspended(standing))
    memory = _remember(rules, ground, situation, answers)
    ground = replace(ground, memory=memory, snapshot=with_switches(ground.snapshot, answers))
    findings = judge_policy(rules, ground)
    reports = report.reports_of(standing, ground, findings)
    provision = _provided(situation, ground)
    told = status.status_of(standing, ground, findings, reports.rows, provision)
    return Plan(
        findings=findings,
        memory=memory,
        next_at=min(_next(rules, ground, told), provision.next_at),
        status=told if told != situation.policy.get("status") else None,
        reports=reports.changed,
        stale=reports.stale,
        notes=status.notes_of(standing, told),
        looks=tuple(
            (f.id, f.target) for f in findings
            if not f.capability and ((f.id, f.target) not in memory or (f.id, f.target) in answers)
        ),
        streams=streams_of(rules, ground, situation.policy),
        provision=provision,
    )  # fmt: skip


def _provided(situation: Situation, ground: Ground) -> Provision:
    """Builders are imported where there is something to provide, or left to remove."""
    declared = ground.policy.data_services or ground.policy.backups
    if not (declared or ground.snapshot.provided.children):
        return Provision()
    from readiness.dataservices.kinds import KINDS
    from readiness.dataservices.whole import provide_all

    wish = Wish(situation.policy, ground.policy, situation.now, situation.token)
    return provide_all(wish, ground.snapshot, KINDS)


@lru_cache(maxsize=1)
def _ground(rules: Rules, situation: Situation) -> Ground:
    """What both questions of one pass stand on; remembered from the first to the second."""
    meta, seen = situation.policy["metadata"], situation.snapshot
    snapshot = replace(seen, saved=rows_of(situation.policy, seen.provided.runs))
    policy = situation.spec or read_policy(situation.policy.get("spec") or {})
    settings = settings_of(rules, policy, snapshot)
    waivers = read_waivers(
        snapshot.waivers, meta["name"],
        severity_of=lambda id_: severity_of(rules, settings, id_), now=situation.now,
    )  # fmt: skip
    subjects = subjects_of(meta["name"], policy, snapshot, situation.now)
    return Ground(
        meta["name"], policy, snapshot, settings, subjects, situation.memory, waivers, situation.now,
        {name: _revision(subject, situation.policy) for name, subject in subjects.items()},
    )  # fmt: skip


def _revision(subject: Subject, policy: Manifest) -> tuple[str, str]:
    """While no pod tells its digest, the one last seen of the same template stands."""
    digest, template = revision_of(subject)
    rows: list[Manifest] = (policy.get("status") or {}).get("targets") or []
    old = next((r for r in rows if r["name"] == subject.target.name), {})
    known = old.get("imageDigest", "") if old.get("templateHash") == template else ""
    return digest or known, template


def _probes(rules: Rules, ground: Ground) -> Iterator[tuple[Control, Subject, Setting]]:
    """Every control that asks the outside world, on every target that can be asked."""
    for id_, setting in ground.settings.items():
        control = rules.controls.get(id_)
        if (
            control is None
            or control.ask is asks_nothing
            or setting.mode is Mode.OFF
            or setting.wrong
        ):
            continue
        for subject in ground.subjects.values():
            there = (subject.workload or subject.store) if ground.snapshot.live else subject.hops
            asked = there and about(control, subject) and allows(ground.policy, control)
            if asked and all(declares(subject, need) for need in control.needs):
                yield control, subject, setting


def _due(situation: Situation, ground: Ground, control: Control, subject: Subject) -> bool:
    look, key = _bound(situation, ground, control, subject)
    if look.standing is None or look.streak or look.key == UNASKED:
        return look.due <= situation.now or look.key == UNASKED
    if look.key != key:
        return subject.workload is None or rolled_out(subject.workload)
    mark = _run_marker(situation).get(RUN)
    return look.due <= situation.now or (mark is not None and look.at < mark.at)


def _bound(
    situation: Situation, ground: Ground, control: Control, subject: Subject
) -> tuple[Look, str]:
    """The look as remembered, brought to the key of now; a recalled look gets it if nothing changed."""
    key = _key(ground, control, subject)
    look = situation.memory.get((control.id, subject.target.name)) or Look(key)
    meta, status_ = situation.policy["metadata"], situation.policy.get("status") or {}
    same = status_.get("observedGeneration") == meta.get("generation")
    revision = recalled_key(*ground.revisions[subject.target.name])
    look = replace(look, key=key) if same and look.key == revision else look
    return revised(look, key, situation.now), key


def _key(ground: Ground, control: Control, subject: Subject) -> str:
    """What evidence is bound to: what is asked, and of which revision."""
    digest, template = ground.revisions[subject.target.name]
    declared = subject.target.model_dump_json(by_alias=True, exclude_defaults=True)
    params = sorted(ground.settings[control.id].params.items())
    used = [s for s in ground.policy.data_services if s.name in subject.target.uses]
    store = subject.store.bound_to if subject.store else ""
    if subject.store and control.safety is Safety.DISRUPTIVE:  # its own doing must not spoil it
        store = subject.store.text
    text = f"{control.id}\0{declared}\0{used}{store}\0{params}\0{digest}\0{template}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remember(rules: Rules, ground: Ground, situation: Situation, answers: Answered) -> Memory:
    """The evidence after this pass; looks of controls that left are forgotten."""
    memory: dict[tuple[str, str], Look] = {}
    for control, subject, setting in _probes(rules, ground):
        place = (control.id, subject.target.name)
        look, key = _bound(situation, ground, control, subject)
        seen, judged = answers.get(place), replace(subject, params=setting.params)
        if seen is not None:
            look = series_of(control.safety).settle(
                look, judge_safely(control, judged, seen.answers),
                now=ground.now, max_age=setting.max_age, jitter=_jitter(ground.name, *place),
            )  # fmt: skip
        elif _without_evidence(look, ground.now, setting):
            open_ = control.ask(judged)
            look = (
                _fresh(look, key)
                if open_
                else unasked(judge_safely(control, judged, {}), ground.now)
            )
        memory[place] = look
    return memory | _run_marker(situation)


def _without_evidence(look: Look, now: float, setting: Setting) -> bool:
    """Nothing was ever seen, or it is too old to stand: then no way to ask is the verdict."""
    return look.standing is None or look.key == UNASKED or now - look.at > setting.max_age


def _fresh(look: Look, key: str) -> Look:
    return Look(key) if look.key == UNASKED else look


def _run_marker(situation: Situation) -> dict[tuple[str, str], Look]:
    """Remembers when `run-at` was first seen, until every look is younger than that."""
    asked = run_at(situation.policy["metadata"].get("annotations"))
    if not asked or asked == (situation.policy.get("status") or {}).get("lastRunAt", ""):
        return {}
    old = situation.memory.get(RUN)
    return {RUN: old if old is not None and old.key == asked else Look(asked, at=situation.now)}


def _jitter(*key: str) -> float:
    """A number in 0…1 that stays with its key: looks spread without randomness."""
    return int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:2], "big") / 65535


def _next(rules: Rules, ground: Ground, told: Manifest) -> float:
    """When this policy must be looked at again even if nothing changes, as epoch seconds."""
    looks = [look for place, look in ground.memory.items() if place != RUN]
    times = [look.due for look in looks if look.due > ground.now]
    times += [look.revised_at + PREVIOUS_REVISION_SECONDS + 1 for look in looks if look.revised_at]
    passive = [
        s.max_age for id_, s in ground.settings.items()
        if (c := rules.find(id_)) and getattr(c, "ask", asks_nothing) is asks_nothing
    ]  # fmt: skip
    if passive:
        times.append(ground.now + min(passive) * (RENEW_AT - 0.1 * _jitter(ground.name)))
    times += [w.expires for w in ground.waivers if w.expires > ground.now]
    times.append(status.renewal_of(told, ground.now))
    opening = (opens_at(control, subject) for control, subject, _ in _probes(rules, ground))
    times += [at for at in opening if at < FOREVER]
    return min(at for at in times if at > ground.now)


def _unjudged(situation: Situation, standing: Standing, told: Manifest) -> Plan:
    differs = told != situation.policy.get("status")
    notes = status.notes_of(standing, told)
    return Plan(status=told if differs else None, memory=situation.memory, notes=notes)

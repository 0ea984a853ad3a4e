"""GAT: requirements on the policy itself. They see findings and settings, never the application.

What they say about priorities, prerequisites, freshness, scope and waivers is decided here: the
ladder of levels is `status.level`; GAT-001 guards that nobody climbs it upside down.
"""

from __future__ import annotations

from readiness.control import Gate, PolicyView, failed, passed, unknown
from readiness.model import Mode, Result, Severity, Verdict
from readiness.passive import listed

HIGH = (Severity.P0, Severity.P1)
NAMED = 5


def judge_order(view: PolicyView) -> Verdict:
    """GAT-001."""
    enforced = [s for s in view.settings.values() if s.mode is Mode.ENFORCE]
    lowered = sorted(i for i, s in view.settings.items() if s.lowered and s.severity in HIGH)
    lower = sorted(
        i for i, s in view.settings.items() if s.mode is Mode.ENFORCE and s.severity not in HIGH
    )
    if not any(s.severity in HIGH for s in enforced):
        return unknown("NothingEnforced", "no P0 or P1 control is enforced, so no level can be reached",
                       fix="name a profile such as baseline in spec.profiles")  # fmt: skip
    if lowered and lower:
        return failed(
            "OrderInverted",
            f"{listed(lowered, NAMED)} of P0 or P1 are lowered by the policy while lower priorities are enforced",
            expected="P0 and P1 enforced before P2 and P3",
            observed=f"lowered: {listed(lowered, NAMED)}; enforced below: {listed(lower, NAMED)}",
            fix="enforce the lowered controls, or have them waived by a ReadinessWaiver",
        )
    return passed("OrderKept", "no P0 or P1 control is lowered below an enforced P2 or P3 control")


def judge_prerequisites(view: PolicyView) -> Verdict:
    """GAT-002."""
    blocked = [f for f in view.findings if f.result is Result.BLOCKED and f.counts]
    failing = sorted(
        {f"{f.id} ({f.target})" for f in blocked if f.verdict.reason == "PrerequisiteFailed"}
    )
    if failing:
        return failed(
            "PrerequisiteFailed",
            f"{listed(failing, NAMED)} cannot be judged because a prerequisite fails",
            expected="prerequisites hold, so that what depends on them is judged",
            observed=f"{len(failing)} blocked",
            fix="fix the prerequisite each finding names; the blocked ones are then judged by themselves",
        )
    if blocked:
        names = listed(sorted({f"{f.id} ({f.target})" for f in blocked}), NAMED)
        return unknown("PrerequisiteUnproven", f"{names} wait for a prerequisite that is unproven",
                       fix="see the prerequisite each finding names")  # fmt: skip
    return passed("NothingBlocked", "no enforced control waits for a prerequisite")


def judge_freshness(view: PolicyView) -> Verdict:
    """GAT-003."""
    old: list[str] = []
    for (control, target), age in view.ages.items():
        setting = view.settings.get(control)
        if setting is not None and age is not None and age > 2 * setting.max_age:
            old.append(f"{control} ({target})")
    if old:
        return failed(
            "EvidenceExpired", f"nobody has looked at {listed(sorted(old), NAMED)} for twice its maxAge",
            expected="every enforced control is looked at within its maxAge", observed=f"{len(old)} expired",
            fix="see whether probes are denied (namespace label readiness.dev/deny) or the operator is stuck",
        )  # fmt: skip
    if any(f.counts and f.verdict.reason == "NotYetObserved" for f in view.findings):
        return unknown(
            "NotYetObserved", "the first looks have not settled yet", fix="wait some seconds"
        )
    stale = sorted(
        f"{f.id} ({f.target})" for f in view.findings if f.counts and f.verdict.reason == "Stale"
    )
    if stale:
        return unknown(
            "EvidenceStale",
            f"{listed(stale, NAMED)} have no fresh evidence yet",
            fix="wait for the next look",
        )
    return passed("EvidenceFresh", "every enforced control was looked at within its maxAge")


def judge_scope(view: PolicyView) -> Verdict:
    """GAT-004."""
    if "workloads" in view.snapshot.unreadable:
        return unknown("Forbidden", f"workloads of the namespace cannot be listed: {view.snapshot.unreadable['workloads']}",
                       fix="grant the operator get, list and watch on deployments, statefulsets and daemonsets")  # fmt: skip
    exempt = {e.ref for e in view.policy.exempt}
    open_ = sorted(set(view.snapshot.inventory) - view.snapshot.covered - exempt)
    if open_:
        return failed(
            "WorkloadsUncovered", f"{listed(open_, NAMED)} in namespace {view.snapshot.namespace} have no target and no exemption",
            expected="every workload is a target of a policy, or exempt with a reason",
            observed=f"{len(open_)} of {len(view.snapshot.inventory)} uncovered",
            fix=f"add a target, or spec.exempt: [{{ref: {open_[0]}, reason: why it needs no verdict}}]",
        )  # fmt: skip
    return passed(
        "ScopeComplete", "every workload of the namespace is a target or exempt with a reason"
    )


def judge_waivers(view: PolicyView) -> Verdict:
    """GAT-005."""
    if "readinesswaivers" in view.snapshot.unreadable:
        return unknown("Forbidden", f"waivers cannot be read, so none is honoured: {view.snapshot.unreadable['readinesswaivers']}",
                       fix="grant the operator get, list and watch on readinesswaivers")  # fmt: skip
    bad = [w for w in view.waivers if w.problem]
    if bad:
        return failed(
            "WaiverInvalid", "; ".join(f"{w.name}: {w.problem}" for w in bad[:NAMED]),
            expected="every waiver of this policy has a reason, an owner and an expiry ahead (P0: 30 days at most, others 90)",
            observed=f"{len(bad)} of {len(view.waivers)} do not hold",
            fix=f"renew or delete: kubectl delete readinesswaiver {bad[0].name}",
        )  # fmt: skip
    return passed("WaiversValid", "every waiver of this policy holds")


PLUGINS = (
    Gate(
        id="GAT-001", title="Priorities in order", severity=Severity.P0, judge=judge_order, static=True,
        criterion="No P0 or P1 control is lowered by the policy while a P2 or P3 control is enforced; status.level is the ladder.",
        fix="Enforce P0 and P1 controls before lower ones.",
        checklists=("000/L1", "000/L2", "000/E1"),
    ),
    Gate(
        id="GAT-002", title="Prerequisites hold", severity=Severity.P0, judge=judge_prerequisites, static=True,
        criterion="No enforced control is blocked by a prerequisite that fails; blocked ones name it and never pass.",
        fix="Fix the named prerequisite first.",
        checklists=("002/1.r1", "002/2.r1", "002/5.r1", "002/7.r1", "002/9.r1", "002/10.r1"),
    ),
    Gate(
        id="GAT-003", title="Evidence is fresh", severity=Severity.P0, judge=judge_freshness,
        criterion="Every enforced control was looked at within its maxAge and for the running revision.",
        fix="Let the operator look: remove suspend or the deny label, and see its log.",
    ),
    Gate(
        id="GAT-004", title="Scope is complete", severity=Severity.P1, judge=judge_scope,
        criterion="Every workload of the namespace is a target of a policy or exempt with a reason.",
        fix="Add a target or an exemption.",
        checklists=("003/S1", "003/S2", "003/S3", "003/S4"),
    ),
    Gate(
        id="GAT-005", title="Waivers are valid", severity=Severity.P1, judge=judge_waivers, static=True,
        criterion="Every waiver has exact ids, a reason, an owner and an expiry ahead (P0 at most 30 days, others 90).",
        fix="Renew or delete the waiver.",
    ),
)  # fmt: skip

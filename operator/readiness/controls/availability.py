"""HA: whether the loss of one pod or node, or a drain, takes the application down.

What is observed counts: ready pods, the nodes they are on, the disruption budget as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Manifest, Severity, Verdict
from readiness.passive import SPEC, listed, on_workload
from readiness.workload import is_ready, matches, pod_spec, rolled_out, scaled, template_metadata

_TOPOLOGY: Final = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")


def judge_replicas(subject: Subject, workload: Manifest) -> Verdict:
    """HA-006: enough ready replicas, on more than one node, and a budget that lets one go."""
    if not subject.snapshot.live:
        return unknown("NeedsCluster", "ready replicas and their nodes are seen in a cluster only")
    for judge in (_declared, _cluster, _ready, _nodes, _budget):
        problem = judge(subject, workload)
        if problem is not None:
            return problem
    least = subject.params["minReplicas"]
    found = f"at least {least} ready replicas on {least} nodes or more, and one may go"
    if workload.get("kind") == "DaemonSet" or _spread(workload):
        return passed("SpreadByRule", found)
    labels = template_metadata(workload).get("labels") or {}
    app = ", ".join(f"{k}: {v}" for k, v in sorted(labels.items())[:1])
    return passed(
        "HighlyAvailable",
        f"{found} (SpreadByLuck: no rule keeps them apart)",
        fix=f"add {SPEC}.topologySpreadConstraints: [{{maxSkew: 1, topologyKey: kubernetes.io/hostname, "
        f"whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{{app}}}}}}}]",
    )


def _wanted(workload: Manifest) -> int:
    """How many replicas a workload other than a DaemonSet is meant to have now."""
    replicas = (workload.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _declared(subject: Subject, workload: Manifest) -> Verdict | None:
    wanted, least = _wanted(workload), int(subject.params["minReplicas"])
    if wanted >= least or workload.get("kind") == "DaemonSet":
        return None
    return failed(
        "TooFewReplicas",
        f"{subject.where} asks for fewer replicas than it needs to survive the loss of one",
        expected=f"{least} or more",
        observed=f"spec.replicas: {wanted}",
        fix=f"set spec.replicas: {least}; if its storage allows only one, ask for a waiver of HA-006",
    )


def _cluster(subject: Subject, _workload: Manifest) -> Verdict | None:
    """One usable node can prove nothing; cordoned and tainted ones count where our pods run."""
    nodes, used = subject.snapshot.nodes, _used(subject)
    if len({name for name, node in nodes.items() if _usable(node)} | used) >= 2:
        return None
    if not nodes:
        why = subject.snapshot.unreadable.get("nodes", "no node was found")
        return unknown("NodesNotVisible", f"the cluster's nodes cannot be seen: {why}")
    return unknown(
        "OneNodeCluster",
        "the cluster has one node for workloads: nothing can be spread, and its loss ends everything",
        fix="judge on a cluster with two or more nodes",
    )


def _usable(node: Manifest) -> bool:
    spec = node.get("spec") or {}
    taints = (taint.get("effect") for taint in spec.get("taints") or ())
    return not spec.get("unschedulable") and not {"NoSchedule", "NoExecute"} & set(taints)


def _used(subject: Subject) -> set[str]:
    found = ((pod.get("spec") or {}).get("nodeName") for pod in subject.pods if is_ready(pod))
    return {name for name in found if name}


def _ready(subject: Subject, workload: Manifest) -> Verdict | None:
    ready, least = sum(map(is_ready, subject.pods)), int(subject.params["minReplicas"])
    if ready >= least:
        return None
    if not rolled_out(workload):
        return unknown(
            "RolloutInProgress",
            f"fewer than {least} replicas are ready while a rollout is under way",
            fix=f"kubectl rollout status {subject.where.lower()}",
        )
    return failed(
        "TooFewReady",
        f"fewer than {least} replicas of {subject.where} are ready",
        expected=f"{least} or more ready",
        observed=f"{ready} ready",
        fix="kubectl describe the pods that are not ready; check their readinessProbe",
    )


def _nodes(subject: Subject, _workload: Manifest) -> Verdict | None:
    if len(_used(subject)) >= 2:
        return None
    return failed(
        "OnOneNode",
        f"all ready replicas of {subject.where} are on one node",
        expected="two nodes or more",
        observed="one node",
        fix=f"add {SPEC}.topologySpreadConstraints with topologyKey kubernetes.io/hostname and whenUnsatisfiable: "
        "DoNotSchedule, and roll out",
    )


def _budget(subject: Subject, workload: Manifest) -> Verdict | None:
    """A drain does not evict pods of a DaemonSet, and a budget cannot count them."""
    if workload.get("kind") == "DaemonSet":
        return None
    if "poddisruptionbudgets" in subject.snapshot.unreadable:
        reason = subject.snapshot.unreadable["poddisruptionbudgets"]
        return unknown("Forbidden", f"PodDisruptionBudgets cannot be read: {reason}")
    labels = template_metadata(workload).get("labels") or {}
    found = [b for b in subject.snapshot.budgets if matches(_spec(b).get("selector"), labels)]
    names = listed(sorted(f"PodDisruptionBudget/{b['metadata']['name']}" for b in found))
    if len(found) == 1:
        return None if _lets_one_go(found[0], workload) else _blocking(found[0], names)
    return failed(
        "OverlappingBudgets" if found else "NoBudget",
        f"{names} select the same pods: the API refuses to evict them"
        if found
        else f"no PodDisruptionBudget selects the pods of {subject.where}: a drain may take all at once",
        expected="exactly one PodDisruptionBudget",
        observed=names or "none",
        fix="keep one of them"
        if found
        else "apply a PodDisruptionBudget with maxUnavailable: 1 and the workload's selector",
    )


def _blocking(budget: Manifest, name: str) -> Verdict:
    spec = _spec(budget)
    rule = next(
        (f"{k}: {spec[k]}" for k in ("minAvailable", "maxUnavailable") if k in spec), "no rule"
    )
    return failed(
        "BudgetBlocksDrain",
        f"{name} lets no pod go: a node cannot be drained",
        expected="at least one disruption allowed",
        observed=f"{name} with {rule}",
        fix=f"set spec.maxUnavailable: 1 in {name} and drop minAvailable",
    )


def _spec(budget: Manifest) -> Manifest:
    return budget.get("spec") or {}


def _lets_one_go(budget: Manifest, workload: Manifest) -> bool:
    """What the budget allows when every pod is healthy: a passing outage is not its fault.

    `expectedPods - desiredHealthy` is the controller's own answer, where it has given one.
    """
    status, spec = budget.get("status") or {}, _spec(budget)
    if any(c.get("reason") == "SyncFailed" for c in status.get("conditions") or ()):
        return False
    current = status.get("observedGeneration") == (budget.get("metadata") or {}).get("generation")
    expected = int(status.get("expectedPods") or _wanted(workload))
    if current and status.get("expectedPods") and "desiredHealthy" in status:
        return expected > int(status["desiredHealthy"])
    if spec.get("maxUnavailable") is not None:
        return scaled(spec["maxUnavailable"], expected) >= 1
    return expected > scaled(spec.get("minAvailable", 0), expected)


def _spread(workload: Manifest) -> bool:
    """Whether the scheduler must not put all replicas on one node."""
    spec, labels = pod_spec(workload), template_metadata(workload).get("labels") or {}
    for rule in spec.get("topologySpreadConstraints") or ():
        hard = rule.get("whenUnsatisfiable") == "DoNotSchedule"
        if hard and int(rule.get("maxSkew") or 1) < _wanted(workload) and _apart(rule, labels):
            return True
    anti = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    terms = anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return any(_apart(term, labels) for term in terms)


def _apart(rule: Manifest, labels: Mapping[str, str]) -> bool:
    return rule.get("topologyKey") in _TOPOLOGY and matches(rule.get("labelSelector"), dict(labels))


PLUGINS: Final = (
    Control(
        id="HA-006",
        title="Two replicas, spread, with a disruption budget",
        severity=Severity.P1,
        criterion="At least 2 replicas are ready on at least 2 nodes, and exactly one PodDisruptionBudget selects them and "
        "lets one go (a DaemonSet needs none). Without a hard spread rule the message says SpreadByLuck. Unknown on a "
        "cluster with one usable node and during a rollout.",
        fix="spec.replicas: 2, topologySpreadConstraints by kubernetes.io/hostname, a PodDisruptionBudget with maxUnavailable: 1",
        judge=on_workload(judge_replicas),
        params=(Param("minReplicas", 2, "Replicas that must be ready.", "higher"),),
        checklists=("003/G6",),
    ),
)  # fmt: skip
